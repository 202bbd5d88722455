/* What winograd.c does, in float, with vectors that a compiler makes of what registers there are. Who includes this has
 * defined WITH and LANES as winograd.h wants them, and TILES and VECTORS: how many of each are worked on together. */
#define NUMBER float
#include "winograd.h"

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(4 * LANES), aligned(4)));

WITH INLINE void down(const float *const rows[4], int column, Shape shape, vector into[4])
{
    vector d[4];
    for (int i = 0; i < 4; i++)
        d[i] = rows[i] && column >= 0 && column < shape.W ? *(const vector *)(rows[i] + (size_t)column * shape.from)
                                                         : (vector){0};
    into[0] = d[0] - d[2];
    into[1] = d[1] + d[2];
    into[2] = d[2] - d[1];
    into[3] = d[1] - d[3];
}

WITH INLINE void transform(const float *x, Shape shape, int row, int column, int tiles, float *into, int room)
{
    size_t next = (size_t)room * shape.from;
    for (int c = 0; c < shape.from; c += LANES) {
        const float *rows[4];
        for (int i = 0; i < 4; i++) {
            int y = 2 * row - 1 + i;
            rows[i] = y >= 0 && y < shape.H ? x + (size_t)y * shape.W * shape.from + c : NULL;
        }
        vector first[4], second[4], third[4], fourth[4];
        down(rows, 2 * column - 1, shape, first);
        down(rows, 2 * column, shape, second);
        for (int tile = 0; tile < tiles; tile++) {
            down(rows, 2 * (column + tile) + 1, shape, third);
            down(rows, 2 * (column + tile) + 2, shape, fourth);
            float *to = into + (size_t)tile * shape.from + c;
            for (int i = 0; i < 4; i++, to += 4 * next) {
                *(vector *)to = first[i] - third[i];
                *(vector *)(to + next) = second[i] + third[i];
                *(vector *)(to + 2 * next) = third[i] - second[i];
                *(vector *)(to + 3 * next) = second[i] - fourth[i];
                first[i] = third[i], second[i] = fourth[i];
            }
        }
    }
}

WITH INLINE void product(const float *a, const float *b, float *into, Shape shape, int tiles, int vectors)
{
    vector sum[TILES][VECTORS] = {0};
    for (int k = 0; k < shape.from; k++, b += vectors * LANES)
        for (int t = 0; t < tiles; t++)
            for (int n = 0; n < vectors; n++)
                sum[t][n] += a[(size_t)t * shape.from + k] * *(const vector *)(b + n * LANES);
    for (int t = 0; t < tiles; t++)
        for (int n = 0; n < vectors; n++)
            *(vector *)(into + (size_t)t * shape.to + n * LANES) = sum[t][n];
}

WITH INLINE void restore(const float *m, int room, const float *bias, const float *skip, float slope, float *out,
                    Shape shape, int row, int column)
{
    size_t next = (size_t)room * shape.to;
    for (int c = 0; c < shape.to; c += LANES) {
        vector across[4][2], offset = *(const vector *)(bias + c);
        for (int i = 0; i < 4; i++) {
            const float *at = m + 4 * i * next + c;
            vector one = *(const vector *)(at + next), two = *(const vector *)(at + 2 * next);
            across[i][0] = *(const vector *)at + (one + two);
            across[i][1] = one - two - *(const vector *)(at + 3 * next);
        }
        for (int q = 0; q < 2; q++) {
            vector one = across[1][q] + offset, two = across[2][q];
            vector tile[2] = {across[0][q] + one + two, one - two - across[3][q]};
            for (int p = 0; p < 2; p++) {
                int y = 2 * row + p, x = 2 * column + q;
                if (y >= shape.H || x >= shape.W)
                    continue;
                size_t at = ((size_t)y * shape.W + x) * shape.to + c;
                vector value = tile[p];
                if (skip)
                    value += *(const vector *)(skip + at);
                vector less = value * slope;
                bits larger = value > less;
                *(vector *)(out + at) = (vector)(((bits)value & larger) | ((bits)less & ~larger));
            }
        }
    }
}
