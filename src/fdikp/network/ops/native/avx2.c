/* The kernels for x86-64 with AVX2 and FMA. */
#include "export.h"

#ifdef __x86_64__
#include "processor.h"

#define ISA avx2
#define LANES 8
#define TILES 6

EXPORT int fdikp_has_avx2(void) { return processor_has(bit_AVX2, YMM); }

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

EXPORT int fdikp_has_avx2(void) { return 0; }

#endif
