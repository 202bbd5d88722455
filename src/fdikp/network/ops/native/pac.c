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

/* What there is to convolve: pictures [B, H, W], and for each its kernels [K², N]. With a picture to begin from, results
 * are not what the kernels make but what that, and last the picture itself, would change of it. */
typedef struct {
    const pixel *x, *begin;
    const float *kernels, *dilation;
    int N, K, H, W;
} Work;

/* The results of one pixel, [N or N + 1, 3]. */
INLINE void single(Work w, int b, int y, int column, int N, int K, float *values)
{
    const pixel *picture = w.x + (size_t)b * w.H * w.W;
    const float *k = w.kernels + (size_t)b * K * K * N;
    size_t here = ((size_t)b * w.H + y) * w.W + column;
    taps across, down;
    place(&across, column, w.W, w.dilation[here], K);
    place(&down, y, w.H, w.dilation[here], K);
    pixel total[MOST_KERNELS + 1], from = w.begin ? w.begin[here] : (pixel){0};
    for (int n = 0; n < N; n++)
        total[n] = (pixel){0};
    total[N] = w.x[here];
    for (int j = 0; j < K; j++) {
        const pixel *upper = picture + (size_t)down.low[j] * w.W, *lower = picture + (size_t)down.high[j] * w.W;
        for (int i = 0; i < K; i++) {
            int left = across.low[i], right = across.high[i];
            pixel sample = between(between(upper[left], upper[right], across.share[i]),
                                   between(lower[left], lower[right], across.share[i]), down.share[j]);
            for (int n = 0; n < N; n++)
                total[n] += k[(j * K + i) * N + n] * sample;
        }
    }
    for (int n = 0; n < (w.begin ? N + 1 : N); n++)
        for (int c = 0; c < CHANNELS; c++)
            values[n * CHANNELS + c] = total[n][c] - from[c];
}

#ifdef AVX512
/* Four pixels side by side. Where the blur changes slowly, as it mostly does, their taps fall side by side too, between
 * the same rows and columns, and one vector holds what all four read there. */
#define FOUR 4
typedef float pixels __attribute__((vector_size(64)));
typedef int32_t numbers __attribute__((vector_size(64)));
typedef float pixel_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef float pixels_anywhere __attribute__((vector_size(64), aligned(4), may_alias));

AVX512 INLINE pixels at_once(const pixel *from) { return *(const pixels_anywhere *)from; }

AVX512 INLINE pixels mixed(pixels a, pixels b, pixels share) { return a + share * (b - a); }

AVX512 INLINE pixels chosen(numbers mask, pixels a, pixels b)
{
    return (pixels)((mask & (numbers)a) | (~mask & (numbers)b));
}

/* As `place`, one tap of four pixels: the first one's low place, and all shares. `stray` gets a bit where another's place
 * is not `apart` of it. */
AVX512 INLINE int place_together(pixels at, float step, int side, pixels dilation, numbers apart, pixels *share,
                               numbers *stray)
{
    pixels position = at + step * dilation, last = (pixels){0} + (float)(side - 1);
    position = chosen(position > 0, position, (pixels){0});
    position = chosen(position < last, position, last);
    numbers low = __builtin_convertvector(position, numbers);
    *share = position - __builtin_convertvector(low, pixels);
    *stray |= low ^ (low[0] + apart);
    return low[0];
}

AVX512 INLINE int any(numbers n)
{
    int found = 0;
    for (int i = 0; i < 16; i++)
        found |= n[i];
    return found;
}

/* As `single`, for four pixels from `column` on: [4, N or N + 1, 3] and one number more. Returns 0, and does nothing,
 * where their taps do not fall side by side. */
AVX512 INLINE int together(Work w, int b, int y, int column, int N, int K, float *values)
{
    const pixel *picture = w.x + (size_t)b * w.H * w.W;
    const float *k = w.kernels + (size_t)b * K * K * N;
    size_t here = ((size_t)b * w.H + y) * w.W + column;
    const float *d = w.dilation + here;
    pixels dilation = {d[0], d[0], d[0], d[0], d[1], d[1], d[1], d[1], d[2], d[2], d[2], d[2], d[3], d[3], d[3], d[3]};
    numbers beside = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, level = {0}, stray = {0};
    pixels columns = (float)column + __builtin_convertvector(beside, pixels), row = (float)y + (pixels){0};
    pixels across[LARGEST_KERNEL], down[LARGEST_KERNEL], total[MOST_KERNELS + 1];
    int left[LARGEST_KERNEL], top[LARGEST_KERNEL], beyond = 0;
    for (int i = 0; i < K; i++) {
        float step = (float)(i - K / 2);
        left[i] = place_together(columns, step, w.W, dilation, beside, &across[i], &stray);
        top[i] = place_together(row, step, w.H, dilation, level, &down[i], &stray);
        beyond |= left[i] + FOUR >= w.W;
    }
    if (beyond || any(stray))
        return 0;
    for (int n = 0; n < N; n++)
        total[n] = (pixels){0};
    for (int j = 0; j < K; j++) {
        const pixel *upper = picture + (size_t)top[j] * w.W, *lower = top[j] + 1 < w.H ? upper + w.W : upper;
        for (int i = 0; i < K; i++) {
            pixels sample = mixed(mixed(at_once(upper + left[i]), at_once(upper + left[i] + 1), across[i]),
                                  mixed(at_once(lower + left[i]), at_once(lower + left[i] + 1), across[i]), down[j]);
            for (int n = 0; n < N; n++)
                total[n] += k[(j * K + i) * N + n] * sample;
        }
    }
    if (w.begin) {
        pixels from = at_once(w.begin + here);
        total[N] = at_once(w.x + here);
        for (int n = 0; n <= N; n++)
            total[n] -= from;
    }
    int images = w.begin ? N + 1 : N;
    /* The fourth number of each is written over by what comes next */
    for (int p = 0; p < FOUR; p++)
        for (int n = 0; n < images; n++)
            *(pixel_anywhere *)(values + (p * images + n) * CHANNELS) = ((const pixel *)&total[n])[p];
    return 1;
}

#endif

/* Rows first .. last - 1 of the batch, counted through all its pictures; `half` says that out is bfloat16. */
INLINE void forward(Work w, int N, int K, void *out, int half, int first, int last)
{
    int width = (w.begin ? N + 1 : N) * CHANNELS;
    float values[(MOST_KERNELS + 1) * CHANNELS];
    for (int row = first; row < last; row++)
        for (int column = 0; column < w.W; column++) {
            single(w, row / w.H, row % w.H, column, N, K, values);
            for (int i = 0; i < width; i++)
                store(out, ((size_t)row * w.W + column) * width + i, values[i], half);
        }
}

#ifdef AVX512
/* As `forward`, four pixels at a time where that can be. */
AVX512 INLINE void forward_wide(Work w, int N, int K, void *out, int half, int first, int last)
{
    int width = (w.begin ? N + 1 : N) * CHANNELS;
    float values[FOUR * (MOST_KERNELS + 1) * CHANNELS + 1];
    for (int row = first; row < last; row++) {
        int b = row / w.H, y = row % w.H, count;
        for (int column = 0; column < w.W; column += count) {
            count = w.W - column < FOUR ? w.W - column : FOUR;
            if (count < FOUR || !together(w, b, y, column, N, K, values))
                for (int n = 0; n < count; n++)
                    single(w, b, y, column + n, N, K, values + n * width);
            size_t at = ((size_t)row * w.W + column) * width;
            for (int i = 0; i < count * width; i++)
                store(out, at + i, values[i], half);
        }
    }
}

AVX512 static void pac_wide(Work w, void *out, int half, int first, int last)
{
    if (w.N == 5 && w.K == 5 && half)
        forward_wide(w, 5, 5, out, 1, first, last);
    else if (w.N == 5 && w.K == 5)
        forward_wide(w, 5, 5, out, 0, first, last);
    else
        forward_wide(w, w.N, w.K, out, half, first, last);
}
#endif

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

/* wide: whether the processor has AVX-512. The paper's shape is worth code of its own, in which loops over taps and kernels
 * are unrolled. */
CLONES void fdikp_pac_forward(const void *x, const float *kernels, const float *dilation, float *out, int wide, int N,
                              int K, int H, int W, int first, int last)
{
    Work work = {x, 0, kernels, dilation, N, K, H, W};
#ifdef AVX512
    if (wide) {
        pac_wide(work, out, 0, first, last);
        return;
    }
#endif
    if (N == 5 && K == 5)
        forward(work, 5, 5, out, 0, first, last);
    else
        forward(work, N, K, out, 0, first, last);
}

CLONES void fdikp_pac_changes(const void *x, const float *kernels, const float *dilation, const void *begin, void *out,
                              int half, int wide, int N, int K, int H, int W, int first, int last)
{
    Work work = {x, begin, kernels, dilation, N, K, H, W};
#ifdef AVX512
    if (wide) {
        pac_wide(work, out, half, first, last);
        return;
    }
#endif
    if (N == 5 && K == 5 && half)
        forward(work, 5, 5, out, 1, first, last);
    else
        forward(work, N, K, out, half, first, last);
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
