/* The sum of all candidates' changes, weighed by their coefficient maps and the last convolution, in one pass. Called
 * through ctypes by blend_cpu.py. */
#include "numbers.h"

#define CHANNELS 3
#define MOST_CANDIDATES 32 /* of each image, as MOST_MAPS / 2 in compiled.py */
#define PIXELS 16

typedef float colour __attribute__((vector_size(16)));

/* Pixels first .. last - 1 of one picture, a few at a time: their 16-bit numbers are made float in loops of their own.
 *
 * changes: for each of two images [pixels, candidates, 3], and coefficients [pixels, 2 candidates], bfloat16 (half) or
 * float. weights: [2 candidates, 3, 4], what each channel adds to red, green and blue, and nothing; bias: [3].
 * begin and out: [3, pixels], float. */
INLINE void blend(const void *const changes[2], const void *coefficients, const colour *weights, const float *bias,
                  const float *begin, float *out, int candidates, int half, int pixels, int first, int last)
{
    float change[2][PIXELS * MOST_CANDIDATES * CHANNELS], share[PIXELS * 2 * MOST_CANDIDATES];
    int values = candidates * CHANNELS;
    for (int pixel = first; pixel < last; pixel += PIXELS) {
        int few = pixel + PIXELS < last ? PIXELS : last - pixel;
        for (int image = 0; image < 2; image++)
            for (int i = 0; i < few * values; i++)
                change[image][i] = load(changes[image], (size_t)pixel * values + i, half);
        for (int i = 0; i < few * 2 * candidates; i++)
            share[i] = load(coefficients, (size_t)pixel * 2 * candidates + i, half);
        for (int p = 0; p < few; p++) {
            colour total = {bias[0], bias[1], bias[2], 0};
            for (int candidate = 0; candidate < 2 * candidates; candidate++) {
                const float *of = change[candidate / candidates] + p * values + candidate % candidates * CHANNELS;
                const colour *to = weights + candidate * CHANNELS;
                colour whole = of[0] * to[0] + of[1] * to[1] + of[2] * to[2];
                total += share[p * 2 * candidates + candidate] * whole;
            }
            for (int c = 0; c < CHANNELS; c++) {
                size_t at = (size_t)c * pixels + pixel + p;
                out[at] = begin[at] + total[c];
            }
        }
    }
}

/* The paper's six candidates are worth code of their own. */
CLONES void fdikp_blend(const void *ours, const void *theirs, const void *coefficients, const void *weights,
                        const float *bias, const float *begin, float *out, int candidates, int half, int pixels,
                        int first, int last)
{
    const void *const changes[2] = {ours, theirs};
    if (candidates == 6 && half)
        blend(changes, coefficients, weights, bias, begin, out, 6, 1, pixels, first, last);
    else if (candidates == 6)
        blend(changes, coefficients, weights, bias, begin, out, 6, 0, pixels, first, last);
    else
        blend(changes, coefficients, weights, bias, begin, out, candidates, half, pixels, first, last);
}
