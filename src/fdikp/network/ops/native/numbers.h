/* What the compiled paths share: code for each generation of processors, 16-bit numbers, and functions that vectorise.
 *
 * The functions are polynomials rather than the C library's, and signs are bits rather than branches, so that loops
 * over them become vectors whatever the library. Coefficients are least-squares fits at Chebyshev points; each function
 * says how far off it is at most.
 */
#ifndef FDIKP_NUMBERS_H
#define FDIKP_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

/* Functions with vectors of 64 bytes in their source, which compilers make poor code of for processors without such. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 11)
#define AVX512 __attribute__((target("arch=x86-64-v4")))
#endif

/* Functions written for AVX-512 with its bfloat16 products, which a compiler must know and a processor have. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 11)
#define PRODUCTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#include <immintrin.h>
#endif

typedef uint16_t bfloat16;

INLINE float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE uint32_t as_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Element i of an array of bfloat16 (half) or float. */
INLINE float load(const void *from, size_t i, int half)
{
    return half ? as_float((uint32_t)((const bfloat16 *)from)[i] << 16) : ((const float *)from)[i];
}

/* Rounds to nearest, ties to even; what is not a number stays none. */
INLINE void store(void *to, size_t i, float x, int half)
{
    if (half) {
        uint32_t bits = as_bits(x), rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
        ((bfloat16 *)to)[i] = (bfloat16)(x != x ? 0x7FC0 : rounded);
    } else
        ((float *)to)[i] = x;
}

INLINE float absolute(float x) { return as_float(as_bits(x) & 0x7FFFFFFFu); }

INLINE float with_sign_of(float size, float x) { return as_float(as_bits(size) | (as_bits(x) & 0x80000000u)); }

/* e to the x, within 2e-7 of it; x beyond ±87 counts as that, and what is not a number stays none. */
INLINE float exponential(float x)
{
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float turns = x * 1.44269504f;
    float whole = (turns + 12582912.0f) - 12582912.0f; /* 1.5 · 2²³, beside which there are no fractions */
    float part = turns - whole; /* -½ .. ½ */
    float power = 1.3400432e-3f;
    power = power * part + 9.6180256e-3f;
    power = power * part + 5.5503272e-2f;
    power = power * part + 2.4022651e-1f;
    power = power * part + 6.9314721e-1f;
    power = power * part + 1.0f;
    return power * as_float((uint32_t)((int)whole + 127) << 23);
}

/* tanh(x / 2) = 2 sigmoid(x) - 1, within 4e-7, and as exact for small x. */
INLINE float half_tanh(float x)
{
    float size = absolute(x), squared = x * x;
    float series = 3.3479139e-5f;
    series = series * squared - 4.1397845e-4f;
    series = series * squared + 4.1640091e-3f;
    series = series * squared - 4.1666340e-2f;
    series = series * squared + 0.5f;
    float far = with_sign_of(1.0f - 2.0f / (exponential(size) + 1.0f), x);
    return size >= 1.0f ? far : series * x;
}

/* log(1 + x) for x ≥ 0, within 2e-7 of it. */
INLINE float log_of_one_and(float x)
{
    float sum = 1.0f + x;
    uint32_t bits = as_bits(sum) - 0x3F3504F3u; /* √½, so that what remains lies between √½ and √2 */
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
    /* What 1 + x was rounded by is put back to first order */
    return log + (x - (sum - 1.0f)) / sum;
}

/* The angle of (x, y), -π .. π, within 3e-7; 0 at the origin. */
INLINE float angle(float y, float x)
{
    float across = absolute(x), up = absolute(y);
    float large = across > up ? across : up, small = across > up ? up : across;
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
    turn = up > across ? 1.57079633f - turn : turn;
    turn = x < 0 ? 3.14159265f - turn : turn;
    return with_sign_of(turn, y);
}

#endif
