// The mask that the brush paints: 255 is restored, 0 is kept.

/** A mask of the photo's size, the same everywhere. */
export function newMask(width, height, value) {
  return { width, height, samples: new Uint8Array(width * height).fill(value) };
}

/**
 * Paint a stroke from one point to another, in pixels of the photo. The edge is soft over a quarter of the radius.
 *
 * restore: whether the stroke becomes white; else black.
 */
export function paint(mask, from, to, radius, restore) {
  const feather = Math.max(1, radius / 4);
  const reach = radius + feather;
  const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
  const right = Math.min(mask.width - 1, Math.ceil(Math.max(from.x, to.x) + reach));
  const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
  const bottom = Math.min(mask.height - 1, Math.ceil(Math.max(from.y, to.y) + reach));
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const squared = dx * dx + dy * dy || 1;
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - from.x;
      const py = y + 0.5 - from.y;
      const along = Math.min(1, Math.max(0, (px * dx + py * dy) / squared));
      const distance = Math.hypot(px - along * dx, py - along * dy);
      const cover = Math.round(255 * Math.min(1, Math.max(0, (radius - distance) / feather + 0.5)));
      const at = y * mask.width + x;
      mask.samples[at] = restore ? Math.max(mask.samples[at], cover) : Math.min(mask.samples[at], 255 - cover);
    }
  }
}
