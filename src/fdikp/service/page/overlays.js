// Colours of the maps that can be laid over the photo.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const STOPS = VIRIDIS.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
const LEAST_TOP_RADIUS = 4;

const COLOURS = Array.from({ length: 256 }, (_, n) => {
  const place = (n / 255) * (STOPS.length - 1);
  const below = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[below].map((value, c) => Math.round(value + (place - below) * (STOPS[below + 1][c] - value)));
});

/** The blur radius at the upper end of the colours: the largest of the map, and at least 4 pixels. */
export function topRadius(samples, unit) {
  let largest = 0;
  for (const sample of samples) if (sample > largest) largest = sample;
  return Math.max(LEAST_TOP_RADIUS, largest * unit);
}

/** Mix the colours of values, 0..top, into RGBA pixels. */
export function tint(pixels, values, top, opacity) {
  for (let n = 0, i = 0; n < values.length; n++, i += 4) {
    const colour = COLOURS[Math.min(255, Math.round((255 * values[n]) / top))];
    for (let c = 0; c < 3; c++) pixels[i + c] += opacity * (colour[c] - pixels[i + c]);
  }
}

/** Draw the scale of the colours over a whole canvas. */
export function drawScale(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${COLOURS[Math.floor((255 * x) / canvas.width)].join()})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
