/* The kernels for x86-64 with AVX-512: its parts F, BW, DQ and VL, which all such processors but Xeon Phi have. */
#ifdef __x86_64__
#define ISA avx512
#define LANES 16
#define TILES 12

int fdikp_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl");
}

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif
#include "kernels/kernels.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

#else

int fdikp_has_avx512(void) { return 0; }

#endif
