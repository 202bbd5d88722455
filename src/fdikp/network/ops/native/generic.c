/* The kernels for every processor: with what the compiler uses by default (SSE2 on x86-64, NEON on ARM). */
#define ISA generic
#define LANES 4
#ifdef __x86_64__
#define TILES 2 /* 16 registers */
#else
#define TILES 6 /* 32 registers */
#endif
#include "kernels/kernels.h"

/* Shared by all instruction sets: a thread runs one kernel at a time. */
_Thread_local float fdikp_workspace[WORKSPACE_SIZE];
