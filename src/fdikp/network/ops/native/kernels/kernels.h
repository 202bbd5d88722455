/* All kernels, for one instruction set.
 *
 * generic.c, avx2.c and avx512.c include this file. Each first defines
 *
 *   ISA      the suffix of the entry points;
 *   LANES    floats in a vector: 4, 8 or 16;
 *   TILES    Winograd tiles whose sums are in registers together;
 *
 * so that all instruction sets run the same source. */
#include "band_energy.h"
#include "blend.h"
#include "log_amplitude_and_phase.h"
#include "pac.h"
#include "recurrence.h"
#include "winograd.h"
