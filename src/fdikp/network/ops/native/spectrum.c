/* Amplitude and phase of a half-plane spectrum, in one pass over it: logarithm and arg F, zero frequency in the middle
 * row. Called through ctypes by compiled.py. */
#include <math.h>

#include "numbers.h"

/* Planes first .. last - 1 of f [planes, H, W, 2]; both results [planes, H, W]: log(1 + |F| / rounding) / 4, and
 * arg F |F|^2 / (|F|^2 + rounding^2). */
INLINE void polar(const float *f, float *amplitude, float *phase, float rounding, int H, int W, int first, int last)
{
    float scale = 1.0f / rounding, floor = rounding * rounding;
    for (int plane = first; plane < last; plane++) {
        const float *from = f + (size_t)plane * H * W * 2;
        for (int y = 0; y < H; y++) {
            const float *row = from + (size_t)y * W * 2;
            size_t to = ((size_t)plane * H + (y + H / 2) % H) * W;
            for (int x = 0; x < W; x++) {
                float real = row[2 * x], imaginary = row[2 * x + 1];
                float power = real * real + imaginary * imaginary;
                amplitude[to + x] = 0.25f * log_of_one_and(scale * sqrtf(power));
                phase[to + x] = angle(imaginary, real) * (power / (power + floor));
            }
        }
    }
}

CLONES void fdikp_polar(const float *f, float *amplitude, float *phase, float rounding, int H, int W, int first, int last)
{
    polar(f, amplitude, phase, rounding, H, W, first, last);
}
