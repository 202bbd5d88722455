/* Attention among the tokens of each strip in bfloat16, of which the weights of a few queries at a time are in memory.
 *
 * Sixteen queries are the lanes of a vector, so that maximum, exponential and sum are taken for all of them at once;
 * heads have few numbers, which would leave lanes empty. */
#include "numbers.h"

#ifdef PRODUCTS

#define LANES 16
#define MOST_TOKENS 1024
#define MOST_FEATURES 20 /* of a head */
#define KEYS 8           /* looked at together */

static _Thread_local _Alignas(64) float weight[MOST_TOKENS + KEYS][LANES];
static _Thread_local _Alignas(64) uint32_t keys[(MOST_TOKENS + KEYS) * MOST_FEATURES / 2];
static _Thread_local _Alignas(64) uint32_t values[MOST_TOKENS / 2 + 1][MOST_FEATURES];

/* 2 to the x, within 1e-4 of it in proportion, for x ≤ 0: bfloat16 is rounded by 40 times that. */
PRODUCTS INLINE __m512 power_of_two(__m512 x)
{
    __m512 whole = _mm512_roundscale_ps(x, 0), part = _mm512_sub_ps(x, whole);
    __m512 series = _mm512_set1_ps(9.6180256e-3f);
    series = _mm512_fmadd_ps(series, part, _mm512_set1_ps(5.5503272e-2f));
    series = _mm512_fmadd_ps(series, part, _mm512_set1_ps(2.4022651e-1f));
    series = _mm512_fmadd_ps(series, part, _mm512_set1_ps(6.9314721e-1f));
    series = _mm512_fmadd_ps(series, part, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(series, whole);
}

INLINE uint32_t pair(const bfloat16 *at)
{
    uint32_t both;
    memcpy(&both, at, sizeof both);
    return both;
}

/* One head of one strip. q, k, v: of the first token; the next is `step` numbers on. out: likewise, by `out_step`. */
PRODUCTS INLINE void head(const bfloat16 *q, const bfloat16 *k, const bfloat16 *v, bfloat16 *out, int tokens,
                          int features, size_t step, size_t out_step)
{
    float scale = 1.44269504f / __builtin_sqrtf((float)features);
    int pairs = features / 2;
    /* Side by side: tokens of a column lie a power of two or so apart, where caches have room for a few only */
    for (int key = 0; key < tokens + KEYS; key++) /* past the end the last key stands in */
        for (int p = 0; p < pairs; p++)
            keys[key * pairs + p] = pair(k + (key < tokens ? key : tokens - 1) * step + 2 * p);
    for (int key = 0; key < tokens; key += 2)
        for (int f = 0; f < features; f++)
            values[key / 2][f] = v[key * step + f] | (key + 1 < tokens ? (uint32_t)v[(key + 1) * step + f] << 16 : 0);
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                                22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int first = 0; first < tokens; first += LANES) {
        int few = tokens - first < LANES ? tokens - first : LANES;
        _Alignas(64) uint32_t query[MOST_FEATURES / 2][LANES] = {{0}};
        for (int t = 0; t < few; t++)
            for (int p = 0; p < pairs; p++)
                query[p][t] = pair(q + (first + t) * step + 2 * p);

        __m512 most = _mm512_set1_ps(-__builtin_inff());
        for (int key = 0; key < tokens; key += KEYS) {
            __m512 score[KEYS];
            for (int i = 0; i < KEYS; i++)
                score[i] = _mm512_setzero_ps();
            for (int p = 0; p < pairs; p++) {
                __m512bh by = (__m512bh)_mm512_load_si512(query[p]);
                for (int i = 0; i < KEYS; i++)
                    score[i] = _mm512_dpbf16_ps(score[i], by,
                                                (__m512bh)_mm512_set1_epi32((int)keys[(key + i) * pairs + p]));
            }
            for (int i = 0; i < KEYS; i++) {
                most = _mm512_max_ps(most, score[i]);
                _mm512_store_ps(weight[key + i], score[i]);
            }
        }

        __m512 sum = _mm512_setzero_ps(), total[MOST_FEATURES];
        __m512 by = _mm512_set1_ps(scale), away = _mm512_mul_ps(most, by);
#pragma GCC unroll 32 /* as in the loop below: else the totals are in memory */
        for (int f = 0; f < features; f++)
            total[f] = _mm512_setzero_ps();
        for (int key = 0; key < tokens; key += 2) {
            __m512 one = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(weight[key]), by, away));
            __m512 two = key + 1 < tokens ? power_of_two(_mm512_fmsub_ps(_mm512_load_ps(weight[key + 1]), by, away))
                                          : _mm512_setzero_ps();
            sum = _mm512_add_ps(sum, _mm512_add_ps(one, two));
            __m512bh both = (__m512bh)_mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(two, one));
#pragma GCC unroll 32
            for (int f = 0; f < features; f++)
                total[f] = _mm512_dpbf16_ps(total[f], both, (__m512bh)_mm512_set1_epi32((int)values[key / 2][f]));
        }

        bfloat16 result[MOST_FEATURES][LANES];
#pragma GCC unroll 32
        for (int f = 0; f < features; f++)
            _mm256_storeu_si256((__m256i *)result[f], (__m256i)_mm512_cvtneps_pbh(_mm512_div_ps(total[f], sum)));
        for (int t = 0; t < few; t++)
            for (int f = 0; f < features; f++)
                out[(first + t) * out_step + f] = result[f][t];
    }
}

/* Strips first .. last - 1. qkv: queries, keys and values of a token side by side, [3, heads, features], bfloat16, the
 * next token `step` numbers on and the next strip `strip`. out: [heads, features] of a token, likewise by out_step and
 * out_strip. features: 8 or 20, which ours have: code of their own keeps all totals in registers. */
PRODUCTS void fdikp_attend(const bfloat16 *qkv, bfloat16 *out, int tokens, int heads, int features, int step, int strip,
                           int out_step, int out_strip, int first, int last)
{
    size_t all = (size_t)heads * features;
    for (int row = first; row < last; row++)
        for (int h = 0; h < heads; h++) {
            const bfloat16 *q = qkv + (size_t)row * strip + h * features;
            bfloat16 *to = out + (size_t)row * out_strip + h * features;
            if (features == 8)
                head(q, q + all, q + 2 * all, to, tokens, 8, step, out_step);
            else
                head(q, q + all, q + 2 * all, to, tokens, 20, step, out_step);
        }
}

#endif
