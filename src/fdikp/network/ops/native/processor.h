/* What the processor has and the operating system preserves. Written out, because __builtin_cpu_supports needs a library
 * that clang-cl does not link. */
#ifndef FDIKP_PROCESSOR_H
#define FDIKP_PROCESSOR_H

#include <cpuid.h>

#define YMM 0x06u /* of extended control register 0: registers of AVX */
#define ZMM 0xE6u /* the same and those of AVX-512 */

/* Whether there are FMA, all these features of leaf 7 (bits of EBX), and all these registers. */
static int processor_has(unsigned features, unsigned registers)
{
    unsigned a, b, c, d, enabled, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA))
        return 0;
    __asm__("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
    if ((enabled & registers) != registers || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    return (b & features) == features;
}

#endif
