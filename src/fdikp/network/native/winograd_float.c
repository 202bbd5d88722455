/* What winograd.c does, in float and for any processor: vectors of eight numbers, which a compiler makes of what
 * registers there are. */
#define NUMBER float
#define LANES 8
#define WITH
#include "winograd.h"

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(32), aligned(4)));

INLINE void down(const float *const rows[4], int column, Shape shape, eight into[4])
{
    eight d[4];
    for (int i = 0; i < 4; i++)
        d[i] = rows[i] && column >= 0 && column < shape.W ? *(const eight *)(rows[i] + (size_t)column * shape.from)
                                                         : (eight){0};
    into[0] = d[0] - d[2];
    into[1] = d[1] + d[2];
    into[2] = d[2] - d[1];
    into[3] = d[1] - d[3];
}

INLINE void transform(const float *x, Shape shape, int row, int column, int tiles, float *into, int room)
{
    size_t next = (size_t)room * shape.from;
    for (int c = 0; c < shape.from; c += LANES) {
        const float *rows[4];
        for (int i = 0; i < 4; i++) {
            int y = 2 * row - 1 + i;
            rows[i] = y >= 0 && y < shape.H ? x + (size_t)y * shape.W * shape.from + c : NULL;
        }
        eight first[4], second[4], third[4], fourth[4];
        down(rows, 2 * column - 1, shape, first);
        down(rows, 2 * column, shape, second);
        for (int tile = 0; tile < tiles; tile++) {
            down(rows, 2 * (column + tile) + 1, shape, third);
            down(rows, 2 * (column + tile) + 2, shape, fourth);
            float *to = into + (size_t)tile * shape.from + c;
            for (int i = 0; i < 4; i++, to += 4 * next) {
                *(eight *)to = first[i] - third[i];
                *(eight *)(to + next) = second[i] + third[i];
                *(eight *)(to + 2 * next) = third[i] - second[i];
                *(eight *)(to + 3 * next) = second[i] - fourth[i];
                first[i] = third[i], second[i] = fourth[i];
            }
        }
    }
}

INLINE void product(const float *a, const float *b, float *into, Shape shape, int tiles, int vectors)
{
    eight sum[6][2] = {0}; /* with the weights and a pixel, what sixteen registers of eight hold */
    for (int k = 0; k < shape.from; k++, b += vectors * LANES)
        for (int t = 0; t < tiles; t++)
            for (int n = 0; n < vectors; n++)
                sum[t][n] += a[(size_t)t * shape.from + k] * *(const eight *)(b + n * LANES);
    for (int t = 0; t < tiles; t++)
        for (int n = 0; n < vectors; n++)
            *(eight *)(into + (size_t)t * shape.to + n * LANES) = sum[t][n];
}

INLINE void restore(const float *m, int room, const float *bias, const float *skip, float slope, float *out,
                    Shape shape, int row, int column)
{
    size_t next = (size_t)room * shape.to;
    for (int c = 0; c < shape.to; c += LANES) {
        eight across[4][2], offset = *(const eight *)(bias + c);
        for (int i = 0; i < 4; i++) {
            const float *at = m + 4 * i * next + c;
            eight one = *(const eight *)(at + next), two = *(const eight *)(at + 2 * next);
            across[i][0] = *(const eight *)at + (one + two);
            across[i][1] = one - two - *(const eight *)(at + 3 * next);
        }
        for (int q = 0; q < 2; q++) {
            eight one = across[1][q] + offset, two = across[2][q];
            eight tile[2] = {across[0][q] + one + two, one - two - across[3][q]};
            for (int p = 0; p < 2; p++) {
                int y = 2 * row + p, x = 2 * column + q;
                if (y >= shape.H || x >= shape.W)
                    continue;
                size_t at = ((size_t)y * shape.W + x) * shape.to + c;
                eight value = tile[p];
                if (skip)
                    value += *(const eight *)(skip + at);
                eight less = value * slope;
                bits larger = value > less;
                *(eight *)(out + at) = (eight)(((bits)value & larger) | ((bits)less & ~larger));
            }
        }
    }
}

/* As fdikp_winograd in winograd.c; weights: [16, to / 16, from, 16]. */
CLONES void fdikp_winograd_float(const float *x, const float *weights, const float *bias, const float *skip,
                                 float slope, float *out, int H, int W, int from, int to, int first, int last)
{
    convolve(x, weights, bias, skip, slope, out, (Shape){H, W, from, to}, first, last, 6, 2);
}
