/* The Predictor's first unit in bfloat16: a wide convolution of three channels, ReLU, and sums over columns, so that the
 * widest map of the network is never in memory. */
#include "numbers.h"

#ifdef PRODUCTS

int fdikp_products(void) { return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw"); }

#define CHANNELS 3
#define LANES 16

/* To `sums` [16 vectors] is added what `pixels` results side by side have, of which the first `wanted` count.
 *
 * x: where the first one's window begins, in rows of `stride` numbers. A row of a window is side × 3 numbers side by
 * side: they are multiplied in pairs, the last with one beyond, whose weight is 0. weights: [side, pairs, 16 vectors, 2]. */
PRODUCTS INLINE void windows(const bfloat16 *x, size_t stride, const bfloat16 *weights, const float *bias, int side,
                             int wanted, float *sums, int pixels, int vectors)
{
    __m512 total[12][4];
    for (int p = 0; p < pixels; p++)
        for (int n = 0; n < vectors; n++)
            total[p][n] = _mm512_loadu_ps(bias + n * LANES);
    for (int row = 0; row < side; row++, x += stride)
        for (int k = 0; k < side * CHANNELS; k += 2, weights += vectors * 2 * LANES) {
            __m512bh by[4];
            for (int n = 0; n < vectors; n++)
                by[n] = (__m512bh)_mm512_loadu_si512(weights + n * 2 * LANES);
            for (int p = 0; p < pixels; p++) {
                int pair;
                memcpy(&pair, x + p * CHANNELS + k, sizeof pair);
                __m512bh pixel = (__m512bh)_mm512_set1_epi32(pair);
                for (int n = 0; n < vectors; n++)
                    total[p][n] = _mm512_dpbf16_ps(total[p][n], pixel, by[n]);
            }
        }
    for (int n = 0; n < vectors; n++) {
        __m512 sum = _mm512_loadu_ps(sums + n * LANES);
        for (int p = 0; p < pixels; p++)
            if (p < wanted)
                sum = _mm512_add_ps(sum, _mm512_max_ps(total[p][n], _mm512_setzero_ps()));
        _mm512_storeu_ps(sums + n * LANES, sum);
    }
}

PRODUCTS INLINE void across(const bfloat16 *x, size_t stride, const bfloat16 *weights, const float *bias, int side,
                            int from, int to, float *sums, int pixels, int vectors)
{
    for (int column = from; column < to; column += pixels)
        windows(x + (size_t)column * CHANNELS, stride, weights, bias, side, to - column, sums, pixels, vectors);
}

/* Rows first .. last - 1 of the results, of all pictures one after another.
 *
 * x: [B, H, W, 3] with the border of zeros that the convolution wants, and 12 · 3 numbers more at its end; bfloat16.
 * weights: [groups, side, pairs, 16 vectors, 2], bfloat16, results in groups of as many vectors as are worked on
 * together. bias: [width]. bins: [number, 2], the columns of the results that a sum is of. sums: [B · rows, number,
 * width], set to 0. */
PRODUCTS void fdikp_read(const bfloat16 *x, const bfloat16 *weights, const float *bias, const int *bins, float *sums,
                         int H, int W, int side, int width, int vectors, int number, int first, int last)
{
    int rows = H - side + 1, group = vectors * LANES;
    size_t each = (size_t)side * ((side * CHANNELS + 1) / 2) * 2 * group, stride = (size_t)W * CHANNELS;
    for (int item = first; item < last; item++) {
        const bfloat16 *row = x + ((size_t)(item / rows) * H + item % rows) * stride;
        for (int bin = 0; bin < number; bin++)
            for (int c = 0; c < width; c += group) {
                const bfloat16 *by = weights + c / group * each;
                float *to = sums + ((size_t)item * number + bin) * width + c;
                int from = bins[2 * bin], end = bins[2 * bin + 1];
                if (vectors == 4)
                    across(row, stride, by, bias + c, side, from, end, to, 6, 4);
                else
                    across(row, stride, by, bias + c, side, from, end, to, 12, 2);
            }
    }
}

#else

int fdikp_products(void) { return 0; }

#endif
