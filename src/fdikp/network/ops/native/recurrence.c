/* The recurrent unit's arithmetic between its convolutions, each in one pass. Called through ctypes by dsrm_cpu.py.
 *
 * Maps lie innermost in memory: [pixels, maps]. `half` says that they are bfloat16, else they are float. */
#include "numbers.h"

#define MOST_MAPS 64 /* as in compiled.py */
#define BUFFER (4 * MOST_MAPS * 16)

/* Pixels first .. last - 1 of gates [pixels, 4 maps] (forget, write, read, new) and of the cell, to hidden and cell.
 *
 * A few pixels at a time, so that loops run over their maps and pixels at once and become vectors. */
INLINE void cell(const void *gates, const void *before, void *hidden, void *after, int maps, int half, int first,
                 int last)
{
    float scale[BUFFER], open[BUFFER], state[BUFFER / 4], out[BUFFER / 4];
    int most = BUFFER / (4 * maps);
    for (int i = 0; i < most * 4 * maps; i++) /* sigmoid(x) of three gates by tanh(x / 2), tanh(x) of the fourth */
        scale[i] = i % (4 * maps) < 3 * maps ? 1 : 2;
    for (int pixel = first; pixel < last; pixel += most) {
        int pixels = pixel + most < last ? most : last - pixel;
        size_t here = (size_t)pixel * maps;
        for (int i = 0; i < pixels * 4 * maps; i++)
            open[i] = half_tanh(scale[i] * load(gates, 4 * here + i, half));
        for (int p = 0; p < pixels; p++)
            for (int m = 0; m < maps; m++) {
                const float *gate = open + p * 4 * maps + m;
                float forget = 0.5f + 0.5f * gate[0], write = 0.5f + 0.5f * gate[maps];
                state[p * maps + m] = forget * load(before, here + p * maps + m, half) + write * gate[3 * maps];
                out[p * maps + m] = 0.5f + 0.5f * gate[2 * maps];
            }
        for (int i = 0; i < pixels * maps; i++) {
            store(after, here + i, state[i], half);
            store(hidden, here + i, out[i] * half_tanh(2 * state[i]), half);
        }
    }
}

/* Rows first .. last - 1, counted through the batch, of located [.., H, W, maps] to coefficients of the same shape:
 * tanh((u v + u) / 2) with v = relu(scale · located + shift) and u the pixel of hidden [.., H/2, W/2, maps] below it.
 * scale and shift [maps]; H and W even. */
INLINE void coefficients(const void *located, const void *hidden, const float *scale, const float *shift, void *out,
                         int maps, int W, int half, int first, int last)
{
    float scales[BUFFER], shifts[BUFFER], u[BUFFER];
    int most = BUFFER / maps / 2 * 2;
    for (int i = 0; i < most * maps; i++) {
        scales[i] = scale[i % maps];
        shifts[i] = shift[i % maps];
    }
    for (int row = first; row < last; row++)
        for (int x = 0; x < W; x += most) {
            int pixels = x + most < W ? most : W - x;
            size_t here = ((size_t)row * W + x) * maps, under = ((size_t)(row / 2) * (W / 2) + x / 2) * maps;
            for (int p = 0; p < pixels / 2; p++)
                for (int m = 0; m < maps; m++)
                    u[2 * p * maps + m] = u[(2 * p + 1) * maps + m] = load(hidden, under + p * maps + m, half);
            for (int i = 0; i < pixels * maps; i++) {
                float v = scales[i] * load(located, here + i, half) + shifts[i];
                v = v < 0 ? 0 : v;
                store(out, here + i, half_tanh(u[i] * v + u[i]), half);
            }
        }
}

CLONES void fdikp_cell(const void *gates, const void *before, void *hidden, void *after, int maps, int half, int first,
                       int last)
{
    if (half)
        cell(gates, before, hidden, after, maps, 1, first, last);
    else
        cell(gates, before, hidden, after, maps, 0, first, last);
}

CLONES void fdikp_coefficients(const void *located, const void *hidden, const float *scale, const float *shift,
                               void *out, int maps, int W, int half, int first, int last)
{
    if (half)
        coefficients(located, hidden, scale, shift, out, maps, W, 1, first, last);
    else
        coefficients(located, hidden, scale, shift, out, maps, W, 0, first, last);
}
