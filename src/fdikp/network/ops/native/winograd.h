/* How winograd.c and winograd_float.c go through the tiles of pictures. Each includes this once, after it has defined
 *
 * NUMBER   the type of pixels, weights and results;
 * LANES    how many floats are a vector;
 * WITH     attributes of functions that use them;
 *
 * and defines the three functions that are declared here. */
#include "numbers.h"

#define POSITIONS 16
#define MOST_TILES 256
#define ROOM (512 * 1024) /* bytes for tiles before and after the product: enough for 256 channels each way */

typedef struct {
    int H, W, from, to; /* a picture's size, its channels and those of the result */
} Shape;

static _Thread_local _Alignas(64) unsigned char workspace[ROOM];

/* Bᵀ d B of `tiles` tiles side by side, from tile (row, column) of picture x [H, W, from] on, into [16, room, from]. */
WITH INLINE void transform(const NUMBER *x, Shape shape, int row, int column, int tiles, NUMBER *into, int room);

/* a [tiles, from] times b [from, vectors] into [tiles, to], for a few tiles and vectors of results that fit the
 * registers: both are constants where this is called. */
WITH INLINE void product(const NUMBER *a, const NUMBER *b, float *into, Shape shape, int tiles, int vectors);

/* Aᵀ m A of one tile from products m [16, room, to], and what follows: bias, the skip (none where it is NULL), and
 * LeakyReLU (none where slope is 1). skip, out: [H, W, to]. */
WITH INLINE void restore(const float *m, int room, const float *bias, const NUMBER *skip, float slope, NUMBER *out,
                         Shape shape, int row, int column);

/* Tiles first .. last - 1, counted row by row through all pictures, `few` of them and a few vectors of results at a time
 * in the registers. A few dozen tiles are worked on between the steps, so that what is in between stays in the cache. */
WITH INLINE void convolve(const NUMBER *x, const NUMBER *weights, const float *bias, const NUMBER *skip,
                          float slope, NUMBER *out, Shape shape, int first, int last, int few, int vectors)
{
    int group = vectors * LANES;
    int across = (shape.W + 1) / 2, all = (shape.H + 1) / 2 * across;
    int block = ROOM / (POSITIONS * (int)(sizeof(NUMBER) * shape.from + sizeof(float) * shape.to)) / few * few;
    block = block > MOST_TILES / few * few ? MOST_TILES / few * few : block;
    float *products = (float *)workspace;
    NUMBER *pixels = (NUMBER *)(products + (size_t)POSITIONS * block * shape.to);
    for (int start = first; start < last; start += block) {
        int tiles = start + block < last ? block : last - start;
        for (int done = 0, run; done < tiles; done += run) { /* a run lies in one row of one picture */
            int picture = (start + done) / all, tile = (start + done) % all;
            run = across - tile % across < tiles - done ? across - tile % across : tiles - done;
            transform(x + (size_t)picture * shape.H * shape.W * shape.from, shape, tile / across, tile % across, run,
                      pixels + (size_t)done * shape.from, block);
        }
        for (int position = 0; position < POSITIONS; position++)
            for (int c = 0; c < shape.to; c += group)
                for (int done = 0; done < tiles; done += few) /* past the last tile there is room, and nobody reads */
                    product(pixels + ((size_t)position * block + done) * shape.from,
                            weights + ((size_t)position * shape.to + c) * shape.from,
                            products + ((size_t)position * block + done) * shape.to + c, shape, few, vectors);
        for (int done = 0; done < tiles; done++) {
            int picture = (start + done) / all, tile = (start + done) % all;
            size_t at = (size_t)picture * shape.H * shape.W * shape.to;
            restore(products + (size_t)done * shape.to, block, bias, skip ? skip + at : NULL, slope, out + at, shape,
                    tile / across, tile % across);
        }
    }
}
