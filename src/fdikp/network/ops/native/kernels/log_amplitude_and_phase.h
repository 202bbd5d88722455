/* Amplitude and phase of a spectrum, in one pass over it. */
#include <math.h>

#include "simd_math.h"

/* Planes first .. last - 1 of f [planes, H, W, 2], real and imaginary parts of a half-plane spectrum.
 *
 * amplitude, phase: [planes, H, W], the zero vertical frequency in row H / 2:
 * log(1 + |F| / noise_floor) / 4 and arg F · |F|² / (|F|² + noise_floor²). */
void ENTRY(log_amplitude_and_phase)(const float *restrict f, float *restrict amplitude, float *restrict phase,
                                    float noise_floor, int H, int W, int first, int last)
{
    float scale = 1.0f / noise_floor, noise_power = noise_floor * noise_floor;
    for (int plane = first; plane < last; plane++)
        for (int y = 0; y < H; y++) {
            const float *row = f + ((size_t)plane * H + y) * W * 2;
            size_t to = ((size_t)plane * H + (y + H / 2) % H) * W;
            for (int x = 0; x < W; x++) {
                float real = row[2 * x], imaginary = row[2 * x + 1];
                float power = real * real + imaginary * imaginary;
                amplitude[to + x] = 0.25f * log1p_positive(scale * sqrtf(power));
                phase[to + x] = angle(imaginary, real) * (power / (power + noise_power));
            }
        }
}
