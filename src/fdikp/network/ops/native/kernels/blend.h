/* The sum of all candidate residuals, weighted by their coefficient maps and the output convolution, in one pass. */
#include "simd.h"

#define MAX_CANDIDATES 32 /* of each image: half of MAX_MAPS in fused_cpu.py */
#define BLEND_PIXELS 16   /* converted to float together */

/* Pixels first .. last - 1 of one image.
 *
 * residuals: of each of two images, [pixels, candidates, 3], and coefficients [pixels, 2 candidates], bfloat16 or float.
 * weights: [2 candidates, 3, 4], what each channel adds to red, green and blue, and 0. bias: [3].
 * base, out: [3, pixels], float. */
INLINE void blend(const void *const residuals[2], const void *coefficients, const pixel *weights, const float *bias,
                  const float *base, float *out, int candidates, int is_bfloat16, int pixels, int first, int last)
{
    float residual[2][BLEND_PIXELS * MAX_CANDIDATES * CHANNELS], coefficient[BLEND_PIXELS * 2 * MAX_CANDIDATES];
    int values = candidates * CHANNELS;
    for (int start = first; start < last; start += BLEND_PIXELS) {
        int count = start + BLEND_PIXELS < last ? BLEND_PIXELS : last - start;
        for (int image = 0; image < 2; image++)
            for (int i = 0; i < count * values; i++)
                residual[image][i] = load(residuals[image], (size_t)start * values + i, is_bfloat16);
        for (int i = 0; i < count * 2 * candidates; i++)
            coefficient[i] = load(coefficients, (size_t)start * 2 * candidates + i, is_bfloat16);
        for (int p = 0; p < count; p++) {
            pixel total = {bias[0], bias[1], bias[2], 0};
            for (int candidate = 0; candidate < 2 * candidates; candidate++) {
                const float *from = residual[candidate / candidates] + p * values + candidate % candidates * CHANNELS;
                const pixel *weight = weights + candidate * CHANNELS;
                pixel product = from[0] * weight[0] + from[1] * weight[1] + from[2] * weight[2];
                total += coefficient[p * 2 * candidates + candidate] * product;
            }
            for (int c = 0; c < CHANNELS; c++) {
                size_t at = (size_t)c * pixels + start + p;
                out[at] = base[at] + total[c];
            }
        }
    }
}

/* With the paper's six candidates as a constant, the loops over them are unrolled. */
void ENTRY(blend)(const void *first_residuals, const void *second_residuals, const void *coefficients,
                  const void *weights, const float *bias, const float *base, float *out, int candidates,
                  int is_bfloat16, int pixels, int first, int last)
{
    const void *const residuals[2] = {first_residuals, second_residuals};
    if (candidates == 6 && is_bfloat16)
        blend(residuals, coefficients, weights, bias, base, out, 6, 1, pixels, first, last);
    else if (candidates == 6)
        blend(residuals, coefficients, weights, bias, base, out, 6, 0, pixels, first, last);
    else
        blend(residuals, coefficients, weights, bias, base, out, candidates, is_bfloat16, pixels, first, last);
}
