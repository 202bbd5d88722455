/* The kernels for x86-64 with AVX-512: its parts F, BW, DQ and VL, which all such processors but Xeon Phi have. */
#include "export.h"

#ifdef __x86_64__
#include "processor.h"

#define ISA avx512
#define LANES 16
#define TILES 12

EXPORT int fdikp_has_avx512(void)
{
    return processor_has(bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL, ZMM);
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

EXPORT int fdikp_has_avx512(void) { return 0; }

#endif
