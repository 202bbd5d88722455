/* How much fine, medium and coarse detail there is around each pixel, in one pass over the picture: what `detail` of
 * blur.py says, of which each box is many passes.
 *
 * Rows go through the steps one after another, each as soon as the rows that it needs are there. Of every step the last
 * rows are kept, so that all of it stays in the cache; beyond the picture its border pixel counts again at every step. */
#include "numbers.h"

#define BANDS 3
#define NEIGHBOURHOOD 9
#define REACH 12     /* of a result: all boxes' together */
#define KEPT 16      /* rows of each step, and more than any waits for or looks back */
#define MOST 1024    /* columns of results side by side */
#define PAD 8        /* columns before a row of sums, of which a box needs half its side */
#define WIDE (MOST + 2 * REACH)

static const int SIDES[BANDS] = {3, 3, 5};

typedef float Rows[KEPT][WIDE];

/* The luminance, and what each box leaves of it; the energy of what it takes; and that in a neighbourhood, once. */
static _Thread_local _Alignas(64) Rows rest[BANDS + 1], energy[BANDS], near[BANDS];

INLINE int clamped(int y, int H) { return y < 0 ? 0 : y < H ? y : H - 1; }

/* Row y of the mean over squares of `side` pixels: rows of `from`, of a picture of H rows and W columns. */
INLINE void box(Rows from, int y, int side, int H, int W, float *to)
{
    float sums[PAD + WIDE + PAD];
    float *sum = sums + PAD;
    int reach = side / 2;
    const float *rows[NEIGHBOURHOOD];
    for (int i = 0; i < side; i++)
        rows[i] = from[clamped(y - reach + i, H) % KEPT];
    for (int x = 0; x < W; x++) {
        float total = rows[0][x];
        for (int i = 1; i < side; i++)
            total += rows[i][x];
        sum[x] = total;
    }
    for (int i = 1; i <= reach; i++)
        sum[-i] = sum[0], sum[W - 1 + i] = sum[W - 1];
    float share = 1.0f / (float)(side * side);
    for (int x = 0; x < W; x++) {
        float total = sum[x - reach];
        for (int i = 1; i < side; i++)
            total += sum[x - reach + i];
        to[x] = total * share;
    }
}

/* Rows first .. last - 1 of a picture x [3, H, W], columns left .. right - 1. */
INLINE void strip(const float *x, float *out, float floor, int H, int W, int first, int last, int left, int right)
{
    int start = left > REACH ? left - REACH : 0, end = right + REACH < W ? right + REACH : W, width = end - start;
    size_t plane = (size_t)H * W;
    int begin = first > REACH ? first - REACH : 0;
    for (int t = begin; t < last + REACH; t++) { /* the row of luminance that comes in; others follow behind */
        if (t < H) {
            const float *from = x + (size_t)t * W + start;
            float *to = rest[0][t % KEPT];
            for (int n = 0; n < width; n++)
                to[n] = (from[n] + from[plane + n] + from[2 * plane + n]) * (1.0f / 3.0f);
        }
        int behind = 0;
        for (int band = 0; band < BANDS; band++) {
            behind += SIDES[band] / 2;
            int y = t - behind;
            if (y < 0 || y >= H || y < begin + (begin ? behind : 0))
                continue;
            float *smooth = rest[band + 1][y % KEPT], *to = energy[band][y % KEPT];
            const float *before = rest[band][y % KEPT];
            if (SIDES[band] == 3)
                box(rest[band], y, 3, H, width, smooth);
            else
                box(rest[band], y, 5, H, width, smooth);
            for (int n = 0; n < width; n++)
                to[n] = (before[n] - smooth[n]) * (before[n] - smooth[n]);
        }
        int y = t - behind - NEIGHBOURHOOD / 2;
        if (y >= 0 && y < H && y >= begin + (begin ? REACH - NEIGHBOURHOOD / 2 : 0))
            for (int band = 0; band < BANDS; band++)
                box(energy[band], y, NEIGHBOURHOOD, H, width, near[band][y % KEPT]);
        y = t - REACH;
        if (y >= first && y < last)
            for (int band = 0; band < BANDS; band++) {
                float nearby[WIDE];
                box(near[band], y, NEIGHBOURHOOD, H, width, nearby);
                float *to = out + band * plane + (size_t)y * W;
                for (int n = left; n < right; n++)
                    to[n] = log_of_one_and(nearby[n - start] * floor) * 0.1f;
            }
    }
}

/* Rows first .. last - 1, counted through all pictures, of x [B, 3, H, W] and as many numbers of results; floor: the
 * energy of detail too faint to count, inverted. */
CLONES void fdikp_detail(const float *x, float *out, float floor, int H, int W, int first, int last)
{
    while (first < last) {
        int picture = first / H, end = (picture + 1) * H < last ? (picture + 1) * H : last;
        size_t at = (size_t)picture * BANDS * H * W;
        for (int left = 0; left < W; left += MOST)
            strip(x + at, out + at, floor, H, W, first - picture * H, end - picture * H, left,
                  left + MOST < W ? left + MOST : W);
        first = end;
    }
}
