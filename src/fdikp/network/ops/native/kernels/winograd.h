/* 3×3 convolutions of stride 1 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray 2016, "Fast algorithms for
 * convolutional neural networks").
 *
 * A tile of 2×2 results reads 4×4 pixels d. Bᵀ d B of the pixels and G g Gᵀ of the weights are multiplied element by
 * element and summed over channels: 16 multiplications for each pair of channels instead of 36. The sum over channels is
 * a matrix product for each of the 16 positions. Aᵀ m A of these products m is the tile of results. */
#include "simd.h"

#define POSITIONS 16
#define GROUP 16 /* channels of results in registers together; as in winograd.py */
#define VECTORS (GROUP / LANES)
#define MAX_TILES 256             /* of a block */
#define BLOCK_FLOATS (128 * 1024) /* pixels and products of a block: they stay in the L2 cache */

_Static_assert(BLOCK_FLOATS <= WORKSPACE_FLOATS, "a block does not fit into the workspace");
_Static_assert(POSITIONS * 2 * 256 * TILES <= BLOCK_FLOATS, "256 channels each way do not fit into a block");

typedef struct {
    int H, W, inputs, outputs; /* size of an image, and channels */
} Shape;

/* Bᵀ of one column of four pixels; outside the image pixels are 0. */
INLINE void transform_column(const float *const rows[4], int column, Shape shape, floats out[4])
{
    floats d[4];
    for (int i = 0; i < 4; i++)
        d[i] = rows[i] && column >= 0 && column < shape.W ? load_floats(rows[i] + (size_t)column * shape.inputs)
                                                         : (floats){0};
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[1] - d[3];
}

/* Bᵀ d B of `count` tiles side by side, from tile (row, column) of image x [H, W, inputs] on.
 * out: [16, block, inputs], of which the first `count` of each position are written. */
INLINE void transform_tiles(const float *x, Shape shape, int row, int column, int count, float *out, int block)
{
    size_t next = (size_t)block * shape.inputs; /* the next position */
    for (int c = 0; c < shape.inputs; c += LANES) {
        const float *rows[4];
        for (int i = 0; i < 4; i++) {
            int y = 2 * row - 1 + i;
            rows[i] = y >= 0 && y < shape.H ? x + (size_t)y * shape.W * shape.inputs + c : NULL;
        }
        floats d0[4], d1[4], d2[4], d3[4];
        transform_column(rows, 2 * column - 1, shape, d0);
        transform_column(rows, 2 * column, shape, d1);
        for (int tile = 0; tile < count; tile++) {
            transform_column(rows, 2 * (column + tile) + 1, shape, d2);
            transform_column(rows, 2 * (column + tile) + 2, shape, d3);
            float *to = out + (size_t)tile * shape.inputs + c;
            for (int i = 0; i < 4; i++, to += 4 * next) {
                store_floats(to, d0[i] - d2[i]);
                store_floats(to + next, d1[i] + d2[i]);
                store_floats(to + 2 * next, d2[i] - d1[i]);
                store_floats(to + 3 * next, d1[i] - d3[i]);
                d0[i] = d2[i], d1[i] = d3[i];
            }
        }
    }
}

/* pixels [TILES, inputs] times weights [inputs, GROUP] to out [TILES, outputs], of which GROUP channels are written. */
INLINE void multiply(const float *pixels, const float *weights, float *out, Shape shape)
{
    floats sum[TILES][VECTORS] = {0};
    for (int k = 0; k < shape.inputs; k++, weights += GROUP)
        for (int t = 0; t < TILES; t++)
            for (int n = 0; n < VECTORS; n++)
                sum[t][n] += pixels[(size_t)t * shape.inputs + k] * load_floats(weights + n * LANES);
    for (int t = 0; t < TILES; t++)
        for (int n = 0; n < VECTORS; n++)
            store_floats(out + (size_t)t * shape.outputs + n * LANES, sum[t][n]);
}

/* Tile (row, column) of out [H, W, outputs] from products m [16, block, outputs]: LeakyReLU(Aᵀ m A + bias + skip).
 * skip: as out, or NULL. A slope of 1 is no activation. */
INLINE void write_tile(const float *m, int block, const float *bias, const float *skip, float slope, float *out,
                       Shape shape, int row, int column)
{
    size_t next = (size_t)block * shape.outputs;
    for (int c = 0; c < shape.outputs; c += LANES) {
        floats across[4][2], offset = load_floats(bias + c);
        for (int i = 0; i < 4; i++) {
            const float *at = m + 4 * i * next + c;
            floats m1 = load_floats(at + next), m2 = load_floats(at + 2 * next);
            across[i][0] = load_floats(at) + (m1 + m2);
            across[i][1] = m1 - m2 - load_floats(at + 3 * next);
        }
        for (int q = 0; q < 2; q++) {
            floats m1 = across[1][q] + offset, m2 = across[2][q];
            floats tile[2] = {across[0][q] + m1 + m2, m1 - m2 - across[3][q]};
            for (int p = 0; p < 2; p++) {
                int y = 2 * row + p, x = 2 * column + q;
                if (y >= shape.H || x >= shape.W)
                    continue;
                size_t at = ((size_t)y * shape.W + x) * shape.outputs + c;
                floats value = tile[p];
                if (skip)
                    value += load_floats(skip + at);
                floats scaled = value * slope;
                store_floats(out + at, select_floats(value > scaled, value, scaled));
            }
        }
    }
}

/* Tiles first .. last - 1, counted row by row through all images x [B, H, W, inputs], to out [B, H, W, outputs].
 *
 * weights: G g Gᵀ as [16, outputs / GROUP, inputs, GROUP]. bias: [outputs]. skip: as out, or NULL.
 * A block of tiles goes through the three steps before the next, so that intermediate results stay in the cache. */
void ENTRY(winograd)(const float *x, const float *weights, const float *bias, const float *skip, float slope,
                     float *out, int H, int W, int inputs, int outputs, int first, int last)
{
    Shape shape = {H, W, inputs, outputs};
    int across = (W + 1) / 2, per_image = (H + 1) / 2 * across;
    int block = BLOCK_FLOATS / (POSITIONS * (inputs + outputs)) / TILES * TILES;
    block = block > MAX_TILES / TILES * TILES ? MAX_TILES / TILES * TILES : block;
    float *products = workspace(), *pixels = products + (size_t)POSITIONS * block * outputs;
    for (int start = first; start < last; start += block) {
        int tiles = start + block < last ? block : last - start;
        for (int done = 0, run; done < tiles; done += run) { /* a run is within one row of one image */
            int image = (start + done) / per_image, tile = (start + done) % per_image;
            run = across - tile % across < tiles - done ? across - tile % across : tiles - done;
            transform_tiles(x + (size_t)image * H * W * inputs, shape, tile / across, tile % across, run,
                            pixels + (size_t)done * inputs, block);
        }
        for (int position = 0; position < POSITIONS; position++)
            for (int c = 0; c < outputs; c += GROUP)
                for (int done = 0; done < tiles; done += TILES) /* the block has room past the last tile */
                    multiply(pixels + ((size_t)position * block + done) * inputs,
                             weights + ((size_t)position * outputs + c) * inputs,
                             products + ((size_t)position * block + done) * outputs + c, shape);
        for (int done = 0; done < tiles; done++) {
            int image = (start + done) / per_image, tile = (start + done) % per_image;
            size_t at = (size_t)image * H * W * outputs;
            write_tile(products + (size_t)done * outputs, block, bias, skip ? skip + at : NULL, slope, out + at, shape,
                       tile / across, tile % across);
        }
    }
}
