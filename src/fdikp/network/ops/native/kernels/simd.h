/* What every kernel shares: the vectors of one instruction set, bfloat16, and the names of entry points. */
#ifndef FDIKP_SIMD_H
#define FDIKP_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../export.h"

#define INLINE static inline __attribute__((always_inline))

/* ENTRY(blend) is fdikp_blend_avx2 where ISA is avx2. */
#define ENTRY(name) EXPORT JOIN(fdikp_##name, ISA)
#define JOIN(name, isa) PASTE(name, isa)
#define PASTE(name, isa) name##_##isa

#define CHANNELS 3

/* LANES floats, and as many integers: the masks that comparisons of floats give. */
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

/* Red, green, blue and zero. */
typedef float pixel __attribute__((vector_size(16)));

typedef float unaligned_floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float unaligned_pixel __attribute__((vector_size(16), aligned(4), may_alias));

typedef uint16_t bfloat16;

INLINE floats load_floats(const void *from) { return *(const unaligned_floats *)from; }

INLINE void store_floats(void *to, floats x) { *(unaligned_floats *)to = x; }

/* a where the mask is set, else b. */
INLINE floats select_floats(ints mask, floats a, floats b) { return (floats)((mask & (ints)a) | (~mask & (ints)b)); }

INLINE float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE uint32_t as_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Element i of an array of bfloat16 or float. */
INLINE float load(const void *from, size_t i, int is_bfloat16)
{
    return is_bfloat16 ? as_float((uint32_t)((const bfloat16 *)from)[i] << 16) : ((const float *)from)[i];
}

/* bfloat16 is rounded to nearest, ties to even; NaN stays NaN. */
INLINE void store(void *to, size_t i, float x, int is_bfloat16)
{
    if (is_bfloat16) {
        uint32_t bits = as_bits(x), rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
        ((bfloat16 *)to)[i] = (bfloat16)(x != x ? 0x7FC0 : rounded);
    } else
        ((float *)to)[i] = x;
}

/* Scratch memory of the running kernel, one for each thread; defined in generic.c. Thread-local rather than on the
 * stack, because some systems give threads stacks of 512 KiB. It is aligned when it is used: Windows may align
 * thread-local memory to 16 bytes only. */
#define WORKSPACE_FLOATS (168 * 1024)
#define WORKSPACE_SIZE (WORKSPACE_FLOATS + 16) /* with room to align it to 64 bytes */

extern _Thread_local float fdikp_workspace[WORKSPACE_SIZE] __attribute__((visibility("hidden")));

INLINE float *workspace(void) { return (float *)(((uintptr_t)fdikp_workspace + 63) & ~(uintptr_t)63); }

#endif
