/* Winograd's convolution in float for processors with AVX-512, which have 32 registers of sixteen numbers. */
#include "numbers.h"

#ifdef AVX512

int fdikp_wide(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
           && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}

#define LANES 16
#define TILES 12
#define VECTORS 1
#define WITH AVX512
#include "winograd_float.h"

/* As fdikp_winograd_float, whose weights these are. */
AVX512 void fdikp_winograd_wide(const float *x, const float *weights, const float *bias, const float *skip, float slope,
                                float *out, int H, int W, int from, int to, int first, int last)
{
    convolve(x, weights, bias, skip, slope, out, (Shape){H, W, from, to}, first, last, TILES, VECTORS);
}

#else

int fdikp_wide(void) { return 0; }

#endif
