/* Winograd's convolution in float for any processor: with two vectors of weights and a pixel, sums of six tiles fill the
 * sixteen registers of eight numbers that most have. */
#define LANES 8
#define TILES 6
#define VECTORS 2
#define WITH
#include "winograd_float.h"

/* As fdikp_winograd in winograd.c; weights: [16, to / 16, from, 16]. */
CLONES void fdikp_winograd_float(const float *x, const float *weights, const float *bias, const float *skip,
                                 float slope, float *out, int H, int W, int from, int to, int first, int last)
{
    convolve(x, weights, bias, skip, slope, out, (Shape){H, W, from, to}, first, last, TILES, VECTORS);
}
