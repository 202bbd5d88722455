/* Position adaptive convolution (eq. 9) on CPUs: sample once, weigh N times, with nothing of the picture's size between.
 *
 * A pixel is four floats, red, green, blue and nothing, so that a sample is one vector and interpolation costs no
 * gathering. Called through ctypes by pac_cpu.py, which says what the arguments are; plain C, so that it needs neither
 * Python's headers nor torch's, and is built wherever there is a compiler.
 */
#include "numbers.h"

#define LARGEST_KERNEL 15
#define MOST_KERNELS 15
#define CHANNELS 3

typedef float pixel __attribute__((vector_size(16)));

/* Where K taps along one axis fall: the two pixels that each lies between, its share of the second, and how it moves
 * with the dilation. Beyond the border the border pixel is repeated, and nothing moves. */
typedef struct {
    int low[LARGEST_KERNEL], high[LARGEST_KERNEL];
    float share[LARGEST_KERNEL], slope[LARGEST_KERNEL];
} taps;

INLINE void place(taps *t, int at, int side, float dilation, int K)
{
    for (int i = 0; i < K; i++) {
        float step = (float)(i - K / 2);
        float position = (float)at + step * dilation, last = (float)(side - 1);
        int inside = position > 0 && position < last;
        position = position > 0 ? position : 0; /* what is not a number becomes 0, which is a place in the picture */
        position = position < last ? position : last;
        t->low[i] = (int)position;
        t->high[i] = t->low[i] + 1 < side ? t->low[i] + 1 : side - 1;
        t->share[i] = position - (float)t->low[i];
        t->slope[i] = inside ? step : 0;
    }
}

INLINE pixel between(pixel a, pixel b, float share) { return a + share * (b - a); }

INLINE float sum(pixel v) { return v[0] + v[1] + v[2]; }

/* Rows first .. last - 1 of the batch, counted through all its pictures.
 *
 * With a picture to begin from, out is not what the kernels make but what that, and last the picture itself, would
 * change of it; `half` says that out is bfloat16 then. */
INLINE void forward(const pixel *x, const float *kernels, const float *dilation, const pixel *begin, void *out,
                    int half, int N, int K, int H, int W, int first, int last)
{
    int images = begin ? N + 1 : N;
    for (int row = first; row < last; row++) {
        int b = row / H, y = row % H;
        const pixel *picture = x + (size_t)b * H * W;
        const float *k = kernels + (size_t)b * K * K * N;
        for (int column = 0; column < W; column++) {
            size_t here = (size_t)row * W + column;
            taps across, down;
            place(&across, column, W, dilation[here], K);
            place(&down, y, H, dilation[here], K);
            pixel total[MOST_KERNELS + 1], from = begin ? begin[here] : (pixel){0};
            for (int n = 0; n < N; n++)
                total[n] = (pixel){0};
            total[N] = x[here];
            for (int j = 0; j < K; j++) {
                const pixel *upper = picture + (size_t)down.low[j] * W, *lower = picture + (size_t)down.high[j] * W;
                for (int i = 0; i < K; i++) {
                    int left = across.low[i], right = across.high[i];
                    pixel sample = between(between(upper[left], upper[right], across.share[i]),
                                           between(lower[left], lower[right], across.share[i]), down.share[j]);
                    for (int n = 0; n < N; n++)
                        total[n] += k[(j * K + i) * N + n] * sample;
                }
            }
            float values[(MOST_KERNELS + 1) * CHANNELS];
            for (int n = 0; n < images; n++)
                for (int c = 0; c < CHANNELS; c++)
                    values[n * CHANNELS + c] = total[n][c] - from[c];
            for (int i = 0; i < images * CHANNELS; i++)
                store(out, here * images * CHANNELS + i, values[i], half);
        }
    }
}

/* Pictures first .. last - 1: what they add to the gradients of x (where it is wanted), kernels and dilation. */
INLINE void backward(const pixel *x, const float *kernels, const float *dilation, const float *gradient, pixel *to_x,
                     float *to_kernels, float *to_dilation, int N, int K, int H, int W, int first, int last)
{
    for (int b = first; b < last; b++) {
        const pixel *picture = x + (size_t)b * H * W;
        pixel *to_picture = to_x ? to_x + (size_t)b * H * W : 0;
        const float *k = kernels + (size_t)b * K * K * N;
        pixel to_k[LARGEST_KERNEL * LARGEST_KERNEL * MOST_KERNELS];
        for (int i = 0; i < K * K * N; i++)
            to_k[i] = (pixel){0};
        for (int y = 0; y < H; y++)
            for (int column = 0; column < W; column++) {
                size_t here = ((size_t)b * H + y) * W + column;
                taps across, down;
                place(&across, column, W, dilation[here], K);
                place(&down, y, H, dilation[here], K);
                pixel g[MOST_KERNELS], to_d = {0};
                for (int n = 0; n < N; n++) {
                    const float *from = gradient + (here * N + n) * CHANNELS;
                    g[n] = (pixel){from[0], from[1], from[2], 0};
                }
                for (int j = 0; j < K; j++) {
                    size_t high = (size_t)down.low[j] * W, low = (size_t)down.high[j] * W;
                    const pixel *upper = picture + high, *lower = picture + low;
                    for (int i = 0; i < K; i++) {
                        int left = across.low[i], right = across.high[i];
                        float u = across.share[i], v = down.share[j];
                        pixel over = upper[right] - upper[left], under = lower[right] - lower[left];
                        pixel top = upper[left] + u * over, bottom = lower[left] + u * under;
                        pixel sample = between(top, bottom, v), to_sample = {0};
                        for (int n = 0; n < N; n++) {
                            int tap = (j * K + i) * N + n;
                            to_sample += k[tap] * g[n];
                            to_k[tap] += g[n] * sample;
                        }
                        to_d += to_sample
                                * (across.slope[i] * between(over, under, v) + down.slope[j] * (bottom - top));
                        if (to_picture) {
                            pixel to_lower = v * to_sample, to_upper = to_sample - to_lower;
                            to_picture[high + left] += (1 - u) * to_upper;
                            to_picture[high + right] += u * to_upper;
                            to_picture[low + left] += (1 - u) * to_lower;
                            to_picture[low + right] += u * to_lower;
                        }
                    }
                }
                to_dilation[here] = sum(to_d);
            }
        for (int i = 0; i < K * K * N; i++)
            to_kernels[(size_t)b * K * K * N + i] = sum(to_k[i]);
    }
}

/* The paper's shape is worth code of its own, in which loops over taps and kernels are unrolled. */
CLONES void fdikp_pac_forward(const void *x, const float *kernels, const float *dilation, float *out, int N, int K,
                              int H, int W, int first, int last)
{
    if (N == 5 && K == 5)
        forward(x, kernels, dilation, 0, out, 0, 5, 5, H, W, first, last);
    else
        forward(x, kernels, dilation, 0, out, 0, N, K, H, W, first, last);
}

CLONES void fdikp_pac_changes(const void *x, const float *kernels, const float *dilation, const void *begin, void *out,
                              int half, int N, int K, int H, int W, int first, int last)
{
    if (N == 5 && K == 5 && half)
        forward(x, kernels, dilation, begin, out, 1, 5, 5, H, W, first, last);
    else
        forward(x, kernels, dilation, begin, out, half, N, K, H, W, first, last);
}

CLONES void fdikp_pac_backward(const void *x, const float *kernels, const float *dilation, const float *gradient,
                               void *to_x, float *to_kernels, float *to_dilation, int N, int K, int H, int W, int first,
                               int last)
{
    if (N == 5 && K == 5)
        backward(x, kernels, dilation, gradient, to_x, to_kernels, to_dilation, 5, 5, H, W, first, last);
    else
        backward(x, kernels, dilation, gradient, to_x, to_kernels, to_dilation, N, K, H, W, first, last);
}
