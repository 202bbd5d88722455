/* 3×3 convolutions of stride 1 in bfloat16 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray 2016, "Fast
 * algorithms for convolutional neural networks"), for processors with AVX-512 and its bfloat16 products.
 *
 * A tile of 2×2 results needs 4×4 pixels. Of these Bᵀ d B is taken, of the weights G g Gᵀ, and the two are multiplied
 * number by number, summed over channels: 16 products for each pair of channels in place of 36. That sum over channels
 * is a matrix product for each of the 16 positions. Aᵀ m A of its result is the tile. Products and all that follow are
 * float; what is multiplied is rounded to bfloat16, as in any convolution of that type. */
#include "numbers.h"

#ifdef PRODUCTS

int fdikp_products(void) { return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw"); }

#define NUMBER bfloat16
#define LANES 16
#define WITH PRODUCTS
#include "winograd.h"

PRODUCTS INLINE __m512 widened(const bfloat16 *x)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)), 16));
}

PRODUCTS INLINE void narrowed(bfloat16 *to, __m512 x)
{
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

/* Down one column of four pixels, Bᵀ of it; beyond the picture there are zeros. */
PRODUCTS INLINE void down(const bfloat16 *const rows[4], int column, Shape shape, __m512 into[4])
{
    __m512 d[4];
    for (int i = 0; i < 4; i++)
        d[i] = rows[i] && column >= 0 && column < shape.W ? widened(rows[i] + (size_t)column * shape.from)
                                                         : _mm512_setzero_ps();
    into[0] = _mm512_sub_ps(d[0], d[2]);
    into[1] = _mm512_add_ps(d[1], d[2]);
    into[2] = _mm512_sub_ps(d[2], d[1]);
    into[3] = _mm512_sub_ps(d[1], d[3]);
}

PRODUCTS INLINE void transform(const bfloat16 *x, Shape shape, int row, int column, int tiles, bfloat16 *into, int room)
{
    for (int c = 0; c < shape.from; c += LANES) {
        const bfloat16 *rows[4];
        for (int i = 0; i < 4; i++) {
            int y = 2 * row - 1 + i;
            rows[i] = y >= 0 && y < shape.H ? x + (size_t)y * shape.W * shape.from + c : NULL;
        }
        __m512 first[4], second[4], third[4], fourth[4];
        down(rows, 2 * column - 1, shape, first);
        down(rows, 2 * column, shape, second);
        for (int tile = 0; tile < tiles; tile++) {
            down(rows, 2 * (column + tile) + 1, shape, third);
            down(rows, 2 * (column + tile) + 2, shape, fourth);
            bfloat16 *to = into + (size_t)tile * shape.from + c;
            size_t next = (size_t)room * shape.from;
            for (int i = 0; i < 4; i++, to += 4 * next) {
                narrowed(to, _mm512_sub_ps(first[i], third[i]));
                narrowed(to + next, _mm512_add_ps(second[i], third[i]));
                narrowed(to + 2 * next, _mm512_sub_ps(third[i], second[i]));
                narrowed(to + 3 * next, _mm512_sub_ps(second[i], fourth[i]));
                first[i] = third[i], second[i] = fourth[i];
            }
        }
    }
}

/* Both are read in pairs of channels. */
PRODUCTS INLINE void product(const bfloat16 *a, const bfloat16 *b, float *into, Shape shape, int tiles, int vectors)
{
    __m512 sum[12][5];
    for (int t = 0; t < tiles; t++)
        for (int n = 0; n < vectors; n++)
            sum[t][n] = _mm512_setzero_ps();
    for (int k = 0; k < shape.from; k += 2, b += vectors * 2 * LANES) {
        __m512bh weights[5];
        for (int n = 0; n < vectors; n++)
            weights[n] = (__m512bh)_mm512_load_si512(b + n * 2 * LANES);
        for (int t = 0; t < tiles; t++) {
            int pair;
            memcpy(&pair, a + (size_t)t * shape.from + k, sizeof pair);
            __m512bh pixel = (__m512bh)_mm512_set1_epi32(pair);
            for (int n = 0; n < vectors; n++)
                sum[t][n] = _mm512_dpbf16_ps(sum[t][n], pixel, weights[n]);
        }
    }
    for (int t = 0; t < tiles; t++)
        for (int n = 0; n < vectors; n++)
            _mm512_store_ps(into + (size_t)t * shape.to + n * LANES, sum[t][n]);
}

PRODUCTS INLINE void restore(const float *m, int room, const float *bias, const bfloat16 *skip, float slope,
                             bfloat16 *out, Shape shape, int row, int column)
{
    size_t next = (size_t)room * shape.to;
    __m512 steep = _mm512_set1_ps(slope);
    for (int c = 0; c < shape.to; c += LANES) {
        __m512 across[4][2], offset = _mm512_loadu_ps(bias + c);
        for (int i = 0; i < 4; i++) {
            const float *at = m + 4 * i * next + c;
            __m512 one = _mm512_load_ps(at + next), two = _mm512_load_ps(at + 2 * next);
            across[i][0] = _mm512_add_ps(_mm512_load_ps(at), _mm512_add_ps(one, two));
            across[i][1] = _mm512_sub_ps(_mm512_sub_ps(one, two), _mm512_load_ps(at + 3 * next));
        }
        for (int q = 0; q < 2; q++) {
            __m512 one = _mm512_add_ps(across[1][q], offset), two = across[2][q];
            __m512 tile[2] = {_mm512_add_ps(_mm512_add_ps(across[0][q], one), two),
                              _mm512_sub_ps(_mm512_sub_ps(one, two), across[3][q])};
            for (int p = 0; p < 2; p++) {
                int y = 2 * row + p, x = 2 * column + q;
                if (y >= shape.H || x >= shape.W)
                    continue;
                size_t at = ((size_t)y * shape.W + x) * shape.to + c;
                __m512 value = skip ? _mm512_add_ps(tile[p], widened(skip + at)) : tile[p];
                narrowed(out + at, _mm512_max_ps(value, _mm512_mul_ps(value, steep)));
            }
        }
    }
}

/* Tiles first .. last - 1 of pictures x [B, H, W, from] to out [B, H, W, to], bfloat16. Tiles are counted row by row.
 *
 * weights: G g Gᵀ as [16, to / 16 n, from / 2, 16 n, 2], bfloat16, on a multiple of 64 bytes, where n is how many
 * vectors of results are worked on together: 4, 5 or 2, the first of them that 16 n divides `to` by. bias: [to]. */
PRODUCTS void fdikp_winograd(const bfloat16 *x, const bfloat16 *weights, const float *bias, const bfloat16 *skip,
                             float slope, bfloat16 *out, int H, int W, int from, int to, int first, int last)
{
    Shape shape = {H, W, from, to};
    if (to % 64 == 0)
        convolve(x, weights, bias, skip, slope, out, shape, first, last, 6, 4);
    else if (to % 80 == 0)
        convolve(x, weights, bias, skip, slope, out, shape, first, last, 5, 5);
    else
        convolve(x, weights, bias, skip, slope, out, shape, first, last, 12, 2);
}

#else

int fdikp_products(void) { return 0; }

#endif
