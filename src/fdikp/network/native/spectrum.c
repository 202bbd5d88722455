/* Amplitude and phase of a half-plane spectrum, in one pass over it: log(1 + |F|) and arg F, zero frequency in the
 * middle row. Called through ctypes by kernels_cpu.py. */
#include <math.h>

#include "numbers.h"

/* Planes first .. last - 1 of f [planes, H, W, 2]; both results [planes, H, W]. An amplitude of at most `noise` times
 * the largest of its plane has no phase. */
INLINE void polar(const float *f, float *amplitude, float *phase, float noise, int H, int W, int first, int last)
{
    for (int plane = first; plane < last; plane++) {
        const float *from = f + (size_t)plane * H * W * 2;
        uint32_t largest = 0; /* positive numbers are in order as their bits are, and those have a largest in vectors */
        for (size_t i = 0; i < (size_t)H * W; i++) {
            uint32_t power = as_bits(from[2 * i] * from[2 * i] + from[2 * i + 1] * from[2 * i + 1]);
            largest = power > largest ? power : largest;
        }
        float floor = noise * noise * as_float(largest);
        for (int y = 0; y < H; y++) {
            const float *row = from + (size_t)y * W * 2;
            size_t to = ((size_t)plane * H + (y + H / 2) % H) * W;
            for (int x = 0; x < W; x++) {
                float real = row[2 * x], imaginary = row[2 * x + 1];
                float power = real * real + imaginary * imaginary;
                amplitude[to + x] = log_of_one_and(sqrtf(power));
                phase[to + x] = power > floor ? angle(imaginary, real) : 0;
            }
        }
    }
}

CLONES void fdikp_polar(const float *f, float *amplitude, float *phase, float noise, int H, int W, int first, int last)
{
    polar(f, amplitude, phase, noise, H, W, first, last);
}
