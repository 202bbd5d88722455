/* The recurrent unit's arithmetic between its convolutions: two kernels, each one pass over its maps.
 *
 * Maps are innermost in memory: [pixels, maps]. `is_bfloat16` says that they are bfloat16, else they are float. */
#include "simd_math.h"

#define MAX_MAPS 64 /* as in fused_cpu.py */
#define BUFFER (4 * MAX_MAPS * 16)

/* Pixels first .. last - 1 of gates [pixels, 4 maps] (forget, write, read, new) and of the old cell [pixels, maps], to
 * the new hidden state and cell.
 *
 * Several pixels are computed together: loops over pixels and maps at once are long enough to vectorise. */
INLINE void lstm_cell(const void *gates, const void *old_cell, void *hidden, void *cell, int maps, int is_bfloat16,
                      int first, int last)
{
    float scale[BUFFER], open[BUFFER], state[BUFFER / 4], read[BUFFER / 4];
    int group = BUFFER / (4 * maps);
    for (int i = 0; i < group * 4 * maps; i++) /* sigmoid of three gates by tanh(x / 2), tanh of the fourth */
        scale[i] = i % (4 * maps) < 3 * maps ? 1 : 2;
    for (int pixel = first; pixel < last; pixel += group) {
        int pixels = pixel + group < last ? group : last - pixel;
        size_t start = (size_t)pixel * maps;
        for (int i = 0; i < pixels * 4 * maps; i++)
            open[i] = tanh_half(scale[i] * load(gates, 4 * start + i, is_bfloat16));
        for (int p = 0; p < pixels; p++)
            for (int m = 0; m < maps; m++) {
                const float *gate = open + p * 4 * maps + m;
                float forget = 0.5f + 0.5f * gate[0], write = 0.5f + 0.5f * gate[maps];
                state[p * maps + m]
                    = forget * load(old_cell, start + p * maps + m, is_bfloat16) + write * gate[3 * maps];
                read[p * maps + m] = 0.5f + 0.5f * gate[2 * maps];
            }
        for (int i = 0; i < pixels * maps; i++) {
            store(cell, start + i, state[i], is_bfloat16);
            store(hidden, start + i, read[i] * tanh_half(2 * state[i]), is_bfloat16);
        }
    }
}

/* Rows first .. last - 1, counted through the batch, of spatial [.., H, W, maps] to coefficients of the same shape:
 * tanh((u v + u) / 2) with v = relu(scale · spatial + shift) and u the pixel of hidden [.., H/2, W/2, maps] at the same
 * place. scale, shift: [maps]. H and W are even. */
INLINE void coefficient_maps(const void *spatial, const void *hidden, const float *scale, const float *shift, void *out,
                             int maps, int W, int is_bfloat16, int first, int last)
{
    float scales[BUFFER], shifts[BUFFER], u[BUFFER];
    int group = BUFFER / maps / 2 * 2;
    for (int i = 0; i < group * maps; i++) {
        scales[i] = scale[i % maps];
        shifts[i] = shift[i % maps];
    }
    for (int row = first; row < last; row++)
        for (int x = 0; x < W; x += group) {
            int pixels = x + group < W ? group : W - x;
            size_t start = ((size_t)row * W + x) * maps, half = ((size_t)(row / 2) * (W / 2) + x / 2) * maps;
            for (int p = 0; p < pixels / 2; p++)
                for (int m = 0; m < maps; m++)
                    u[2 * p * maps + m] = u[(2 * p + 1) * maps + m] = load(hidden, half + p * maps + m, is_bfloat16);
            for (int i = 0; i < pixels * maps; i++) {
                float v = scales[i] * load(spatial, start + i, is_bfloat16) + shifts[i];
                v = v < 0 ? 0 : v;
                store(out, start + i, tanh_half(u[i] * v + u[i]), is_bfloat16);
            }
        }
}

void ENTRY(lstm_cell)(const void *gates, const void *old_cell, void *hidden, void *cell, int maps, int is_bfloat16,
                      int first, int last)
{
    if (is_bfloat16)
        lstm_cell(gates, old_cell, hidden, cell, maps, 1, first, last);
    else
        lstm_cell(gates, old_cell, hidden, cell, maps, 0, first, last);
}

void ENTRY(coefficient_maps)(const void *spatial, const void *hidden, const float *scale, const float *shift, void *out,
                             int maps, int W, int is_bfloat16, int first, int last)
{
    if (is_bfloat16)
        coefficient_maps(spatial, hidden, scale, shift, out, maps, W, 1, first, last);
    else
        coefficient_maps(spatial, hidden, scale, shift, out, maps, W, 0, first, last);
}
