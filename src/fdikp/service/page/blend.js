// The formula of the library (fdikp.imaging.selection and fdikp.inference.restoring), in codes of 0..255.

export const MAX_STRENGTH = 2;
const RELATIVE_SOFTNESS = 0.25;
const MIN_SOFTNESS = 0.5;

function smoothstep(t) {
  const clamped = Math.min(1, Math.max(0, t));
  return clamped * clamped * (3 - 2 * clamped);
}

const softness = (limit) => Math.max(MIN_SOFTNESS, RELATIVE_SOFTNESS * limit);

/** The weight, 0..1, of a pixel with this blur radius; a limit is in pixels, or null. */
export function blurGate(radius, minBlur, maxBlur) {
  let gate = 1;
  if (minBlur !== null) gate *= smoothstep((radius - minBlur) / softness(minBlur) + 1);
  if (maxBlur !== null) gate *= smoothstep((maxBlur - radius) / softness(maxBlur) + 1);
  return gate;
}

/**
 * The weights of n pixels, Float32Array in 0..1; null if they are 1 everywhere.
 *
 * radius: Float32Array of n blur radii in pixels, or null. mask: Uint8Array of n, 255 is restored; or null.
 */
export function weights(radius, mask, minBlur, maxBlur) {
  const gated = radius !== null && (minBlur !== null || maxBlur !== null);
  if (!gated && mask === null) return null;
  const result = new Float32Array((radius ?? mask).length);
  for (let i = 0; i < result.length; i++) {
    const gate = gated ? blurGate(radius[i], minBlur, maxBlur) : 1;
    result[i] = mask === null ? gate : gate * (mask[i] / 255);
  }
  return result;
}

/**
 * before + strength · weight · (after - before), rounded and clamped, into `out`.
 *
 * before, after, out: Uint8ClampedArray of n RGBA pixels; `after` is the network's result at strength 1. Alpha is that
 * of `before`. weight: as `weights` returns it. A Uint8ClampedArray clamps and rounds half to even, as torch does.
 */
export function blend(before, after, weight, strength, out) {
  for (let i = 0, pixel = 0; i < before.length; i += 4, pixel++) {
    const factor = weight === null ? strength : strength * weight[pixel];
    out[i] = before[i] + factor * (after[i] - before[i]);
    out[i + 1] = before[i + 1] + factor * (after[i + 1] - before[i + 1]);
    out[i + 2] = before[i + 2] + factor * (after[i + 2] - before[i + 2]);
    out[i + 3] = before[i + 3];
  }
  return out;
}
