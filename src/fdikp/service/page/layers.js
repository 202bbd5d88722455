// A photo's images at full size, sampled part by part, so that a large photo needs no second copy in memory.

const REDUCED_SIDE = 2048;

/** A 2D context of this size without transparency whose pixels are read often. */
function contextOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { alpha: false, willReadFrequently: true });
}

/** An image that is sampled by positions in the photo, whatever its own size. */
export class Layer {
  constructor(bitmap) {
    this.bitmap = bitmap;
    this.reduced = null;
  }

  static async decode(blob) {
    return new Layer(await createImageBitmap(blob)).withReduced();
  }

  /** Add a smaller copy, from which far views are drawn. */
  async withReduced() {
    const { width, height } = this.bitmap;
    const factor = REDUCED_SIDE / Math.max(width, height);
    if (factor < 1) {
      const size = { resizeWidth: Math.round(width * factor), resizeHeight: Math.round(height * factor) };
      this.reduced = await createImageBitmap(this.bitmap, { ...size, resizeQuality: "high" });
    }
    return this;
  }

  /** The RGBA pixels of a part { x, y, width, height } of a photo of this size, as columns × rows. */
  sample(photo, part, columns, rows) {
    const target = columns / part.width;
    const reduced = this.reduced && target * photo.width <= this.reduced.width;
    const source = reduced ? this.reduced : this.bitmap;
    const fx = source.width / photo.width;
    const fy = source.height / photo.height;
    const context = contextOf(columns, rows);
    context.imageSmoothingQuality = "high";
    context.imageSmoothingEnabled = columns !== part.width * fx;
    context.drawImage(source, part.x * fx, part.y * fy, part.width * fx, part.height * fy, 0, 0, columns, rows);
    return context.getImageData(0, 0, columns, rows).data;
  }

  close() {
    this.bitmap.close();
    this.reduced?.close();
  }
}

/** The nearest samples of a map { width, height, samples } for a part of a photo, times `unit`, as Float32Array. */
export function sampleMap(map, photo, part, columns, rows, unit) {
  const result = new Float32Array(columns * rows);
  const xs = Int32Array.from({ length: columns }, (_, n) => {
    const x = part.x + ((n + 0.5) * part.width) / columns;
    return Math.min(map.width - 1, Math.floor((x * map.width) / photo.width));
  });
  for (let row = 0, n = 0; row < rows; row++) {
    const y = part.y + ((row + 0.5) * part.height) / rows;
    const start = Math.min(map.height - 1, Math.floor((y * map.height) / photo.height)) * map.width;
    for (let column = 0; column < columns; column++, n++) result[n] = map.samples[start + xs[column]] * unit;
  }
  return result;
}

const BLOCK = 32;
const STRIP = 512;

/**
 * The centre { x, y } of the window of this size where two images differ most, at full resolution: a smaller copy would
 * hide blur. It gives way to the page between strips, and ends with null once `wanted()` is false.
 */
export async function mostChanged(before, after, photo, width, height, wanted) {
  const columns = Math.ceil(photo.width / BLOCK);
  const rows = Math.ceil(photo.height / BLOCK);
  const sums = new Float64Array((columns + 1) * (rows + 1)); // summed-area table, with a row and column of zeros
  for (let y = 0; y < photo.height; y += STRIP) {
    const part = { x: 0, y, width: photo.width, height: Math.min(STRIP, photo.height - y) };
    const a = before.sample(photo, part, part.width, part.height);
    const b = after.sample(photo, part, part.width, part.height);
    for (let i = 0, row = 0; row < part.height; row++) {
      const start = (Math.floor((y + row) / BLOCK) + 1) * (columns + 1) + 1;
      for (let column = 0; column < part.width; column++, i += 4) {
        const change = Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]);
        sums[start + Math.floor(column / BLOCK)] += change;
      }
    }
    await new Promise((resolve) => setTimeout(resolve));
    if (!wanted()) return null;
  }
  for (let row = 1; row <= rows; row++) {
    for (let column = 1; column <= columns; column++) {
      const at = row * (columns + 1) + column;
      sums[at] += sums[at - 1] + sums[at - columns - 1] - sums[at - columns - 2];
    }
  }
  const across = Math.min(columns, Math.max(1, Math.floor(width / BLOCK)));
  const down = Math.min(rows, Math.max(1, Math.floor(height / BLOCK)));
  let best = { change: -1, x: 0, y: 0 };
  for (let row = 0; row + down <= rows; row++) {
    for (let column = 0; column + across <= columns; column++) {
      const [top, bottom] = [row, row + down].map((r) => r * (columns + 1));
      const change = sums[bottom + column + across] - sums[top + column + across] - sums[bottom + column] + sums[top + column];
      if (change > best.change) best = { change, x: (column + across / 2) * BLOCK, y: (row + down / 2) * BLOCK };
    }
  }
  return { x: best.x, y: best.y };
}
