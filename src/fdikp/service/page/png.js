// Grey PNG files without loss: a canvas would reduce 16 bits to 8.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

async function pass(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

function paeth(left, above, corner) {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** Undo the filter of each row in place; rows are one byte of filter type and `length` bytes. */
function unfilter(rows, height, length, step) {
  const above = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    const row = rows.subarray(y * (length + 1) + 1, (y + 1) * (length + 1));
    const filter = rows[y * (length + 1)];
    for (let i = 0; i < length; i++) {
      const left = i < step ? 0 : row[i - step];
      if (filter === 1) row[i] += left;
      else if (filter === 2) row[i] += above[i];
      else if (filter === 3) row[i] += (left + above[i]) >> 1;
      else if (filter === 4) row[i] += paeth(left, above[i], i < step ? 0 : above[i - step]);
    }
    above.set(row);
  }
}

/** A grey PNG of 8 or 16 bits: { width, height, samples }, a Uint8Array or Uint16Array row by row. */
export async function readGrey(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (!SIGNATURE.every((value, i) => bytes[i] === value)) throw new Error("The map is not a PNG file.");
  let header = null;
  const parts = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "IHDR") {
      const [depth, colour, , , interlace] = bytes.subarray(at + 16, at + 21);
      header = { width: view.getUint32(at + 8), height: view.getUint32(at + 12), depth, colour, interlace };
    } else if (type === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  if (!header || header.colour !== 0 || header.interlace !== 0 || ![8, 16].includes(header.depth)) {
    throw new Error("The map is not a grey PNG file of 8 or 16 bits.");
  }
  const { width, height, depth } = header;
  const rows = await pass(await new Blob(parts).arrayBuffer(), new DecompressionStream("deflate"));
  const step = depth / 8;
  unfilter(rows, height, width * step, step);
  const samples = depth === 8 ? new Uint8Array(width * height) : new Uint16Array(width * height);
  for (let y = 0, n = 0; y < height; y++) {
    let at = y * (width * step + 1) + 1;
    for (let x = 0; x < width; x++, n++, at += step) {
      samples[n] = depth === 8 ? rows[at] : (rows[at] << 8) | rows[at + 1];
    }
  }
  return { width, height, samples };
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(data, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < 8 + data.length; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + data.length, ~crc >>> 0);
  return bytes;
}

/** A grey PNG of 8 bits from a Uint8Array row by row, as a Blob. */
export async function writeGrey(width, height, samples) {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header[8] = 8;
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) rows.set(samples.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const data = await pass(rows, new CompressionStream("deflate"));
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}
