/* The energy of fine, medium and coarse detail around each pixel: what `band_energy` of reference_ops.py computes with
 * a pass over memory for each box filter, in one pass.
 *
 * Rows go through the steps one after another, each as soon as the rows that it reads are there. The last rows of every
 * step are kept in a ring, so that all of it stays in the cache. Outside the image each step repeats its border pixel. */
#include "simd_math.h"

#define BANDS 3
#define NEIGHBOURHOOD 9
#define REACH 12        /* of a result: half the sides of all its boxes */
#define RING 16         /* rows kept of each step: more than any step lags behind or looks back */
#define MAX_COLUMNS 1024 /* of results, computed together */
#define MARGIN 8        /* columns on each side of a row of sums; a box reads half its side */
#define MAX_WIDTH (MAX_COLUMNS + 2 * REACH)

static const int SIDES[BANDS] = {3, 3, 5};

typedef float Rows[RING][MAX_WIDTH];

typedef struct {
    Rows rest[BANDS + 1];      /* the luminance, and what each box leaves of it */
    Rows energy[BANDS];        /* of what each box takes away */
    Rows neighbourhood[BANDS]; /* the mean of that */
} Steps;

_Static_assert(sizeof(Steps) <= WORKSPACE_FLOATS * sizeof(float), "the steps do not fit into the workspace");

INLINE int clamp_row(int y, int H) { return y < 0 ? 0 : y < H ? y : H - 1; }

/* Row y of the mean over squares of `side` pixels of an image of H rows and W columns, whose rows are in `from`. */
INLINE void box_row(Rows from, int y, int side, int H, int W, float *restrict to)
{
    float sums[MARGIN + MAX_WIDTH + MARGIN];
    float *sum = sums + MARGIN;
    int reach = side / 2;
    const float *rows[NEIGHBOURHOOD];
    for (int i = 0; i < side; i++)
        rows[i] = from[clamp_row(y - reach + i, H) % RING];
    for (int x = 0; x < W; x++) {
        float total = rows[0][x];
        for (int i = 1; i < side; i++)
            total += rows[i][x];
        sum[x] = total;
    }
    for (int i = 1; i <= reach; i++)
        sum[-i] = sum[0], sum[W - 1 + i] = sum[W - 1];
    float weight = 1.0f / (float)(side * side);
    for (int x = 0; x < W; x++) {
        float total = sum[x - reach];
        for (int i = 1; i < side; i++)
            total += sum[x - reach + i];
        to[x] = total * weight;
    }
}

/* Rows first .. last - 1, columns left .. right - 1 of an image x [3, H, W]. */
INLINE void strip(const float *x, float *out, float scale, int H, int W, int first, int last, int left, int right)
{
    Steps *steps = (Steps *)workspace();
    int start = left > REACH ? left - REACH : 0, end = right + REACH < W ? right + REACH : W, width = end - start;
    size_t plane = (size_t)H * W;
    int begin = first > REACH ? first - REACH : 0;
    for (int t = begin; t < last + REACH; t++) { /* the row of luminance that is read; the other steps lag behind */
        if (t < H) {
            const float *from = x + (size_t)t * W + start;
            float *to = steps->rest[0][t % RING];
            for (int n = 0; n < width; n++)
                to[n] = (from[n] + from[plane + n] + from[2 * plane + n]) * (1.0f / 3.0f);
        }
        int lag = 0;
        for (int band = 0; band < BANDS; band++) {
            lag += SIDES[band] / 2;
            int y = t - lag;
            if (y < 0 || y >= H || y < begin + (begin ? lag : 0))
                continue;
            float *smooth = steps->rest[band + 1][y % RING], *energy = steps->energy[band][y % RING];
            const float *rest = steps->rest[band][y % RING];
            if (SIDES[band] == 3)
                box_row(steps->rest[band], y, 3, H, width, smooth);
            else
                box_row(steps->rest[band], y, 5, H, width, smooth);
            for (int n = 0; n < width; n++)
                energy[n] = (rest[n] - smooth[n]) * (rest[n] - smooth[n]);
        }
        int y = t - lag - NEIGHBOURHOOD / 2;
        if (y >= 0 && y < H && y >= begin + (begin ? REACH - NEIGHBOURHOOD / 2 : 0))
            for (int band = 0; band < BANDS; band++)
                box_row(steps->energy[band], y, NEIGHBOURHOOD, H, width, steps->neighbourhood[band][y % RING]);
        y = t - REACH;
        if (y >= first && y < last)
            for (int band = 0; band < BANDS; band++) {
                float mean[MAX_WIDTH];
                box_row(steps->neighbourhood[band], y, NEIGHBOURHOOD, H, width, mean);
                float *to = out + band * plane + (size_t)y * W;
                for (int n = left; n < right; n++)
                    to[n] = log1p_positive(mean[n - start] * scale) * 0.1f;
            }
    }
}

/* Rows first .. last - 1, counted through all images x [B, 3, H, W], to out [B, 3, H, W]: log(1 + energy · scale) / 10.
 * scale: 1 / the energy of detail too faint to count. */
void ENTRY(band_energy)(const float *x, float *out, float scale, int H, int W, int first, int last)
{
    while (first < last) {
        int image = first / H, end = (image + 1) * H < last ? (image + 1) * H : last;
        size_t at = (size_t)image * BANDS * H * W;
        for (int left = 0; left < W; left += MAX_COLUMNS)
            strip(x + at, out + at, scale, H, W, first - image * H, end - image * H, left,
                  left + MAX_COLUMNS < W ? left + MAX_COLUMNS : W);
        first = end;
    }
}
