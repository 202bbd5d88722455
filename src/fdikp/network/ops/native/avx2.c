/* The kernels for x86-64 with AVX2 and FMA. */
#ifdef __x86_64__
#define ISA avx2
#define LANES 8
#define TILES 6

int fdikp_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "kernels/kernels.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

#else

int fdikp_has_avx2(void) { return 0; }

#endif
