/* Functions whose loops the compiler can turn into vectors, whatever the C library.
 *
 * They are polynomials, with signs handled as bits instead of branches. The coefficients are least-squares fits at
 * Chebyshev points; each function states its largest error. */
#ifndef FDIKP_SIMD_MATH_H
#define FDIKP_SIMD_MATH_H

#include "simd.h"

INLINE float absolute(float x) { return as_float(as_bits(x) & 0x7FFFFFFFu); }

/* A non-negative magnitude with the sign of x. */
INLINE float copy_sign(float magnitude, float x) { return as_float(as_bits(magnitude) | (as_bits(x) & 0x80000000u)); }

/* exp(x), relative error 2e-7. x is clamped to ±87; NaN stays NaN. */
INLINE float exp_clamped(float x)
{
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float log2 = x * 1.44269504f;
    float whole = (log2 + 12582912.0f) - 12582912.0f; /* adding 1.5 · 2²³ rounds to an integer */
    float part = log2 - whole;                        /* -½ .. ½ */
    float power = 1.3400432e-3f;
    power = power * part + 9.6180256e-3f;
    power = power * part + 5.5503272e-2f;
    power = power * part + 2.4022651e-1f;
    power = power * part + 6.9314721e-1f;
    power = power * part + 1.0f;
    return power * as_float((uint32_t)((int)whole + 127) << 23);
}

/* tanh(x / 2) = 2 sigmoid(x) - 1, error 4e-7, and relative error 4e-7 for small x. */
INLINE float tanh_half(float x)
{
    float size = absolute(x), squared = x * x;
    float series = 3.3479139e-5f;
    series = series * squared - 4.1397845e-4f;
    series = series * squared + 4.1640091e-3f;
    series = series * squared - 4.1666340e-2f;
    series = series * squared + 0.5f;
    float by_exp = copy_sign(1.0f - 2.0f / (exp_clamped(size) + 1.0f), x);
    return size >= 1.0f ? by_exp : series * x;
}

/* log(1 + x) for x ≥ 0, relative error 2e-7. */
INLINE float log1p_positive(float x)
{
    float sum = 1.0f + x;
    uint32_t bits = as_bits(sum) - 0x3F3504F3u; /* √½: the mantissa m then lies in √½ .. √2 */
    int exponent = (int)bits >> 23;
    float m = as_float((bits & 0x7FFFFFu) + 0x3F3504F3u) - 1.0f;
    float series = 8.7440387e-2f;
    series = series * m - 1.4377460e-1f;
    series = series * m + 1.4949120e-1f;
    series = series * m - 1.6560681e-1f;
    series = series * m + 1.9956974e-1f;
    series = series * m - 2.5002154e-1f;
    series = series * m + 3.3334183e-1f;
    series = series * m - 5.0000000e-1f;
    series = series * m + 1.0f;
    float log = series * m + (float)exponent * 0.693147181f;
    /* First-order correction of the rounding of 1 + x */
    return log + (x - (sum - 1.0f)) / sum;
}

/* atan2(y, x) in -π .. π, error 3e-7; 0 at the origin. */
INLINE float angle(float y, float x)
{
    float width = absolute(x), height = absolute(y);
    float large = width > height ? width : height, small = width > height ? height : width;
    float ratio = large > 0 ? small / large : 0, squared = ratio * ratio;
    float series = 2.8340643e-3f;
    series = series * squared - 1.6005030e-2f;
    series = series * squared + 4.2587607e-2f;
    series = series * squared - 7.4954429e-2f;
    series = series * squared + 1.0636755e-1f;
    series = series * squared - 1.4202571e-1f;
    series = series * squared + 1.9992484e-1f;
    series = series * squared - 3.3333067e-1f;
    series = series * squared + 1.0f;
    float turn = series * ratio;
    turn = height > width ? 1.57079633f - turn : turn;
    turn = x < 0 ? 3.14159265f - turn : turn;
    return copy_sign(turn, y);
}

#endif
