/* Position adaptive convolution (eq. 9): each tap is sampled once and weighted N times.
 *
 * A pixel is four floats, red, green, blue and 0, so that one load reads a whole pixel. */
#include "simd.h"

#define MAX_KERNEL 15 /* N and K; as in pac_cpu.py */
#define NEIGHBOURS (LANES / 4) /* pixels side by side that one vector holds */

/* Where K taps fall along one axis: the two pixels that each is between, its weight for the second, and its derivative by
 * the dilation. Outside the image the border pixel is repeated, and the derivative is 0. */
typedef struct {
    int low[MAX_KERNEL], high[MAX_KERNEL];
    float weight[MAX_KERNEL], slope[MAX_KERNEL];
} Taps;

INLINE void place_taps(Taps *t, int at, int side, float dilation, int K)
{
    for (int i = 0; i < K; i++) {
        float step = (float)(i - K / 2);
        float position = (float)at + step * dilation, last = (float)(side - 1);
        int inside = position > 0 && position < last;
        position = position > 0 ? position : 0; /* NaN becomes 0, which is inside the image */
        position = position < last ? position : last;
        t->low[i] = (int)position;
        t->high[i] = t->low[i] + 1 < side ? t->low[i] + 1 : side - 1;
        t->weight[i] = position - (float)t->low[i];
        t->slope[i] = inside ? step : 0;
    }
}

INLINE pixel lerp(pixel a, pixel b, float weight) { return a + weight * (b - a); }

INLINE float sum_channels(pixel v) { return v[0] + v[1] + v[2]; }

/* Images x [B, H, W] and their kernels [B, K², N]. With a base image, results are not the convolved images but their
 * residuals, and last that of x itself. */
typedef struct {
    const pixel *x, *base;
    const float *kernels, *dilation;
    int N, K, H, W;
} Work;

/* The results of one pixel: values [N, 3], or [N + 1, 3] with a base image. */
INLINE void convolve_pixel(Work w, int b, int y, int column, int N, int K, float *values)
{
    const pixel *image = w.x + (size_t)b * w.H * w.W;
    const float *k = w.kernels + (size_t)b * K * K * N;
    size_t here = ((size_t)b * w.H + y) * w.W + column;
    Taps across, down;
    place_taps(&across, column, w.W, w.dilation[here], K);
    place_taps(&down, y, w.H, w.dilation[here], K);
    pixel total[MAX_KERNEL + 1], base = w.base ? w.base[here] : (pixel){0};
    for (int n = 0; n < N; n++)
        total[n] = (pixel){0};
    total[N] = w.x[here];
    for (int j = 0; j < K; j++) {
        const pixel *upper = image + (size_t)down.low[j] * w.W, *lower = image + (size_t)down.high[j] * w.W;
        for (int i = 0; i < K; i++) {
            int left = across.low[i], right = across.high[i];
            pixel sample = lerp(lerp(upper[left], upper[right], across.weight[i]),
                                lerp(lower[left], lower[right], across.weight[i]), down.weight[j]);
            for (int n = 0; n < N; n++)
                total[n] += k[(j * K + i) * N + n] * sample;
        }
    }
    for (int n = 0; n < (w.base ? N + 1 : N); n++)
        for (int c = 0; c < CHANNELS; c++)
            values[n * CHANNELS + c] = total[n][c] - base[c];
}

/* One tap of NEIGHBOURS pixels along one axis, as `place_taps`: returns the low pixel of the first of them, and all
 * weights. `stray` becomes non-zero where the low pixel of another is not `apart` pixels on. */
INLINE int place_together(floats at, float step, int side, floats dilation, ints apart, floats *weight, ints *stray)
{
    floats position = at + step * dilation, last = (floats){0} + (float)(side - 1);
    position = select_floats(position > 0, position, (floats){0});
    position = select_floats(position < last, position, last);
    ints low = __builtin_convertvector(position, ints);
    *weight = position - __builtin_convertvector(low, floats);
    *stray |= low ^ (low[0] + apart);
    return low[0];
}

INLINE int any(ints mask)
{
    int bits = 0;
    for (int i = 0; i < LANES; i++)
        bits |= mask[i];
    return bits;
}

INLINE floats lerp_floats(floats a, floats b, floats weight) { return a + weight * (b - a); }

/* The results of NEIGHBOURS pixels from `column` on: values [NEIGHBOURS, N or N + 1, 3], and one float more is written.
 *
 * Where the dilation changes slowly, as it mostly does, their taps fall side by side too, and one vector holds what all
 * of them read. Where they do not, or reach the right border, this returns 0. */
INLINE int convolve_neighbours(Work w, int b, int y, int column, int N, int K, float *values)
{
    const pixel *image = w.x + (size_t)b * w.H * w.W;
    const float *k = w.kernels + (size_t)b * K * K * N;
    size_t here = ((size_t)b * w.H + y) * w.W + column;
    floats dilation, columns, rows = (floats){0} + (float)y;
    ints apart, level = {0}, stray = {0};
    for (int i = 0; i < LANES; i++) {
        dilation[i] = w.dilation[here + i / 4];
        columns[i] = (float)(column + i / 4);
        apart[i] = i / 4;
    }
    floats across[MAX_KERNEL], down[MAX_KERNEL], total[MAX_KERNEL + 1];
    int left[MAX_KERNEL], top[MAX_KERNEL], beyond = 0;
    for (int i = 0; i < K; i++) {
        float step = (float)(i - K / 2);
        left[i] = place_together(columns, step, w.W, dilation, apart, &across[i], &stray);
        top[i] = place_together(rows, step, w.H, dilation, level, &down[i], &stray);
        beyond |= left[i] + NEIGHBOURS >= w.W;
    }
    if (beyond || any(stray))
        return 0;
    for (int n = 0; n < N; n++)
        total[n] = (floats){0};
    for (int j = 0; j < K; j++) {
        const pixel *upper = image + (size_t)top[j] * w.W, *lower = top[j] + 1 < w.H ? upper + w.W : upper;
        for (int i = 0; i < K; i++) {
            floats above = lerp_floats(load_floats(upper + left[i]), load_floats(upper + left[i] + 1), across[i]);
            floats below = lerp_floats(load_floats(lower + left[i]), load_floats(lower + left[i] + 1), across[i]);
            floats sample = lerp_floats(above, below, down[j]);
            for (int n = 0; n < N; n++)
                total[n] += k[(j * K + i) * N + n] * sample;
        }
    }
    if (w.base) {
        floats base = load_floats(w.base + here);
        total[N] = load_floats(w.x + here);
        for (int n = 0; n <= N; n++)
            total[n] -= base;
    }
    int images = w.base ? N + 1 : N;
    for (int p = 0; p < NEIGHBOURS; p++) /* the fourth float of each is overwritten by the next */
        for (int n = 0; n < images; n++)
            *(unaligned_pixel *)(values + (p * images + n) * CHANNELS) = ((const pixel *)&total[n])[p];
    return 1;
}

/* Rows first .. last - 1, counted through all images, to out [.., W, N or N + 1, 3]. */
INLINE void pac_forward(Work w, int N, int K, void *out, int is_bfloat16, int first, int last)
{
    int width = (w.base ? N + 1 : N) * CHANNELS;
    float values[NEIGHBOURS * (MAX_KERNEL + 1) * CHANNELS + 1];
    for (int row = first; row < last; row++) {
        int b = row / w.H, y = row % w.H, count;
        for (int column = 0; column < w.W; column += count) {
            count = w.W - column < NEIGHBOURS ? w.W - column : NEIGHBOURS;
            if (count < NEIGHBOURS || !convolve_neighbours(w, b, y, column, N, K, values))
                for (int n = 0; n < count; n++)
                    convolve_pixel(w, b, y, column + n, N, K, values + n * width);
            size_t at = ((size_t)row * w.W + column) * width;
            for (int i = 0; i < count * width; i++)
                store(out, at + i, values[i], is_bfloat16);
        }
    }
}

/* Images first .. last - 1: the gradients of kernels and dilation, and what is added to that of x unless grad_x is
 * NULL. */
INLINE void pac_backward(const pixel *x, const float *kernels, const float *dilation, const float *grad_out,
                         pixel *grad_x, float *grad_kernels, float *grad_dilation, int N, int K, int H, int W,
                         int first, int last)
{
    for (int b = first; b < last; b++) {
        const pixel *image = x + (size_t)b * H * W;
        pixel *grad_image = grad_x ? grad_x + (size_t)b * H * W : NULL;
        const float *k = kernels + (size_t)b * K * K * N;
        pixel grad_k[MAX_KERNEL * MAX_KERNEL * MAX_KERNEL];
        for (int i = 0; i < K * K * N; i++)
            grad_k[i] = (pixel){0};
        for (int y = 0; y < H; y++)
            for (int column = 0; column < W; column++) {
                size_t here = ((size_t)b * H + y) * W + column;
                Taps across, down;
                place_taps(&across, column, W, dilation[here], K);
                place_taps(&down, y, H, dilation[here], K);
                pixel g[MAX_KERNEL], grad_d = {0};
                for (int n = 0; n < N; n++) {
                    const float *from = grad_out + (here * N + n) * CHANNELS;
                    g[n] = (pixel){from[0], from[1], from[2], 0};
                }
                for (int j = 0; j < K; j++) {
                    size_t upper_row = (size_t)down.low[j] * W, lower_row = (size_t)down.high[j] * W;
                    const pixel *upper = image + upper_row, *lower = image + lower_row;
                    for (int i = 0; i < K; i++) {
                        int left = across.low[i], right = across.high[i];
                        float u = across.weight[i], v = down.weight[j];
                        pixel upper_step = upper[right] - upper[left], lower_step = lower[right] - lower[left];
                        pixel above = upper[left] + u * upper_step, below = lower[left] + u * lower_step;
                        pixel sample = lerp(above, below, v), grad_sample = {0};
                        for (int n = 0; n < N; n++) {
                            int tap = (j * K + i) * N + n;
                            grad_sample += k[tap] * g[n];
                            grad_k[tap] += g[n] * sample;
                        }
                        grad_d += grad_sample
                                * (across.slope[i] * lerp(upper_step, lower_step, v) + down.slope[j] * (below - above));
                        if (grad_image) {
                            pixel grad_lower = v * grad_sample, grad_upper = grad_sample - grad_lower;
                            grad_image[upper_row + left] += (1 - u) * grad_upper;
                            grad_image[upper_row + right] += u * grad_upper;
                            grad_image[lower_row + left] += (1 - u) * grad_lower;
                            grad_image[lower_row + right] += u * grad_lower;
                        }
                    }
                }
                grad_dilation[here] = sum_channels(grad_d);
            }
        for (int i = 0; i < K * K * N; i++)
            grad_kernels[(size_t)b * K * K * N + i] = sum_channels(grad_k[i]);
    }
}

/* With the paper's N = K = 5 as constants, the loops over taps and kernels are unrolled. */
void ENTRY(pac_forward)(const void *x, const float *kernels, const float *dilation, float *out, int N, int K, int H,
                        int W, int first, int last)
{
    Work work = {x, NULL, kernels, dilation, N, K, H, W};
    if (N == 5 && K == 5)
        pac_forward(work, 5, 5, out, 0, first, last);
    else
        pac_forward(work, N, K, out, 0, first, last);
}

void ENTRY(pac_residuals)(const void *x, const float *kernels, const float *dilation, const void *base, void *out,
                          int is_bfloat16, int N, int K, int H, int W, int first, int last)
{
    Work work = {x, base, kernels, dilation, N, K, H, W};
    if (N == 5 && K == 5 && is_bfloat16)
        pac_forward(work, 5, 5, out, 1, first, last);
    else if (N == 5 && K == 5)
        pac_forward(work, 5, 5, out, 0, first, last);
    else
        pac_forward(work, N, K, out, is_bfloat16, first, last);
}

void ENTRY(pac_backward)(const void *x, const float *kernels, const float *dilation, const float *grad_out,
                         void *grad_x, float *grad_kernels, float *grad_dilation, int N, int K, int H, int W, int first,
                         int last)
{
    if (N == 5 && K == 5)
        pac_backward(x, kernels, dilation, grad_out, grad_x, grad_kernels, grad_dilation, 5, 5, H, W, first, last);
    else
        pac_backward(x, kernels, dilation, grad_out, grad_x, grad_kernels, grad_dilation, N, K, H, W, first, last);
}
