/* Convolutions in bfloat16 on processors that multiply tiles, 16 by 32 numbers by 32 by 16 at once (AMX).
 *
 * What a window sees of one row of a picture is a run of side times channels numbers; a result is the sum over rows of
 * such a run times a matrix of weights, and for 16 results side by side that is a product of tiles. The rows that a row of
 * results looks into are copied to where they stay in the cache, with zeros around the picture: tiles are then read from
 * there as they lie, and two maps whose channels are to lie side by side need not do so in memory. Sums are float and
 * rounded once, after what follows a convolution in this network. */
#include "numbers.h"

#if defined(PRODUCTS) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILES __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))
#define LANES 16             /* rows of a tile, and floats in each */
#define DEPTH 32             /* numbers of a run that tiles multiply at once */
#define TILE (LANES * DEPTH) /* numbers of bfloat16 in a tile */
#define WIDE (2 * LANES)     /* results side by side that are worked on together, in as many channels */
#define MOST_SIDE 11
#define ROOM (512 * 1024) /* bytes for rows of pixels: amx.py says for what that is enough */

static _Thread_local _Alignas(64) bfloat16 workspace[ROOM / sizeof(bfloat16)];
static _Thread_local _Alignas(64) float sums[WIDE][WIDE];

int fdikp_products(void);

/* Whether the processor has them and Linux lets this process use them, for which it wants to be asked. */
int fdikp_tiles(void)
{
    enum { TILE_DATA = 18, REQUEST = 0x1023, BF16 = 1 << 22, TILES_THEMSELVES = 1 << 24, OSXSAVE = 1 << 27 };
    unsigned a, b, c, d;
    if (!fdikp_products() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & BF16) || !(d & TILES_THEMSELVES))
        return 0;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

typedef struct {
    int H, W;        /* of the pictures before */
    int rows, width; /* and after */
    int from, extra; /* channels of the first map, and of the second */
    int depth, run;  /* channels of both, and numbers of a window in a row, rounded up to DEPTH */
    int to;          /* of the result */
    int side, stride;
    int above, before; /* rows and columns of zeros that windows begin with, outside of the picture */
    int pitch, most; /* of the workspace: numbers from row to row, and results side by side that there is room for */
} Shape;

/* Columns left .. left + count - 1 of row y of both maps into `to`, [count, depth]; zeros beyond the picture, and after
 * the last column where a run is rounded up to. */
static void fill(const bfloat16 *x, const bfloat16 *more, Shape s, int y, int left, int count, bfloat16 *to)
{
    int begin = left < 0 ? -left : 0, end = s.W - left < count ? s.W - left : count;
    if (y < 0 || y >= s.H)
        begin = end = count;
    begin = begin < count ? begin : count;
    end = end > begin ? end : begin;
    memset(to, 0, sizeof *to * begin * s.depth);
    size_t at = (size_t)y * s.W + left + begin;
    bfloat16 *into = to + (size_t)begin * s.depth;
    if (!s.extra)
        memcpy(into, x + at * s.from, sizeof *to * (end - begin) * s.from);
    else
        for (int n = begin; n < end; n++, at++, into += s.depth) {
            memcpy(into, x + at * s.from, sizeof *to * s.from);
            memcpy(into + s.from, more + at * s.extra, sizeof *to * s.extra);
        }
    memset(to + (size_t)end * s.depth, 0, sizeof *to * ((count - end) * s.depth + DEPTH));
}

/* Into `sums` those of WIDE results side by side in one or two tiles of channels: a constant where this is called.
 *
 * rows: of pixels, from where the first window begins. weights: [side, run / 32, columns, 16, 16, 2]: what a run is
 * rounded up by meets zeros. */
TILES INLINE void product(const bfloat16 *const rows[MOST_SIDE], const bfloat16 *weights, Shape s, int columns)
{
    size_t step = (size_t)s.stride * s.depth, bytes = step * sizeof(bfloat16);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int i = 0; i < s.side; i++)
        for (int k = 0; k < s.run; k += DEPTH, weights += columns * TILE) {
            const bfloat16 *pixels = rows[i] + k;
            _tile_loadd(4, pixels, bytes);
            _tile_loadd(5, pixels + LANES * step, bytes);
            _tile_loadd(6, weights, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(2, 5, 6);
            if (columns == 2) {
                _tile_loadd(7, weights + TILE, 64);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    _tile_stored(0, sums[0], sizeof sums[0]);
    _tile_stored(2, sums[LANES], sizeof sums[0]);
    if (columns == 2) {
        _tile_stored(1, sums[0] + LANES, sizeof sums[0]);
        _tile_stored(3, sums[LANES] + LANES, sizeof sums[0]);
    }
}

/* From `sums` to `count` results in `channels` channels, `step` numbers apart: bias, the skip (none where it is NULL), and
 * LeakyReLU. */
TILES INLINE void finish(const float *bias, const bfloat16 *skip, float slope, bfloat16 *out, int step, int count,
                         int channels)
{
    __m512 steep = _mm512_set1_ps(slope);
    for (int c = 0; c < channels; c += LANES) {
        __mmask16 kept = channels - c < LANES ? (1 << (channels - c)) - 1 : 0xFFFF;
        __m512 offset = _mm512_loadu_ps(bias + c);
        for (int n = 0; n < count; n++) {
            size_t at = (size_t)n * step + c;
            __m512 value = _mm512_add_ps(_mm512_load_ps(sums[n] + c), offset);
            if (skip) {
                __m512i half = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(kept, skip + at));
                value = _mm512_add_ps(value, _mm512_castsi512_ps(_mm512_slli_epi32(half, 16)));
            }
            value = _mm512_max_ps(value, _mm512_mul_ps(value, steep));
            _mm256_mask_storeu_epi16(out + at, kept, (__m256i)_mm512_cvtneps_pbh(value));
        }
    }
}

/* Lay out all tiles as 16 rows of 64 bytes. A constant: of a variable, GCC may drop all but what the intrinsic is
 * declared to read, its first 8 bytes. */
TILES static void begin(void)
{
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } layout = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&layout);
}

static Shape shape_of(int H, int W, int rows, int width, int from, int extra, int to, int side, int stride, int above,
                      int before)
{
    Shape s = {H, W, rows, width, from, extra, from + extra, 0, to, side, stride, above, before, 0, 0};
    s.run = (side * s.depth + DEPTH - 1) / DEPTH * DEPTH;
    s.pitch = ROOM / (int)sizeof(bfloat16) / side / DEPTH * DEPTH;
    s.most = ((s.pitch - DEPTH) / s.depth - side) / stride / WIDE * WIDE;
    return s;
}

/* Bring the pixels to the workspace that `count` results from (row, left) on look into, but what is `held` there: which
 * row of which picture, for each row of the workspace. seen: where each row of their windows then begins. */
static void look(const bfloat16 *x, const bfloat16 *more, Shape s, int row, int left, int count, int held[MOST_SIDE],
                 const bfloat16 *seen[MOST_SIDE])
{
    int picture = row / s.rows, top = row % s.rows * s.stride;
    size_t at = (size_t)picture * s.H * s.W;
    for (int i = 0; i < s.side; i++) {
        int place = (top + i) % s.side, wanted = picture * (s.H + 2 * s.side) + top + i;
        bfloat16 *pixels = workspace + (size_t)place * s.pitch;
        if (held[place] != wanted)
            fill(x + at * s.from, more + at * s.extra, s, top + i - s.above, left * s.stride - s.before,
                 (count - 1) * s.stride + s.side, pixels);
        held[place] = wanted;
        seen[i] = pixels;
    }
}

/* Into `sums` those of WIDE results from column n of what is `seen` on, in up to WIDE channels. */
TILES INLINE void work_out(const bfloat16 *const seen[MOST_SIDE], const bfloat16 *weights, Shape s, int n, int channels)
{
    const bfloat16 *rows[MOST_SIDE];
    for (int i = 0; i < s.side; i++)
        rows[i] = seen[i] + (size_t)n * s.stride * s.depth;
    if (channels > LANES)
        product(rows, weights, s, 2);
    else
        product(rows, weights, s, 1);
}

/* Rows first .. last - 1 of results, counted through all pictures: LeakyReLU(conv(x beside more) + skip).
 *
 * x: [B, H, W, from]; more: [B, H, W, extra], or NULL and 0. Windows go beyond the picture by `above` rows and `before`
 * columns at first, and after it as far as results want; stride: 1 or 2. weights: a group for each 32 channels of results
 * and one for what is left, each as `product` wants it. bias: rounded up likewise. skip, out: [B, spread rows, spread
 * width, to], of which a result is written, or a skip read, at each `spread` rows and columns; the first perhaps NULL. */
TILES void fdikp_amx(const bfloat16 *x, const bfloat16 *more, const bfloat16 *weights, const float *bias,
                     const bfloat16 *skip, float slope, bfloat16 *out, int H, int W, int rows, int width, int from,
                     int extra, int to, int side, int stride, int above, int before, int spread, int first, int last)
{
    Shape s = shape_of(H, W, rows, width, from, extra, to, side, stride, above, before);
    begin();
    for (int left = 0; left < s.width; left += s.most) {
        int held[MOST_SIDE], count = s.width - left < s.most ? s.width - left : s.most;
        memset(held, -1, sizeof held);
        for (int row = first; row < last; row++) {
            const bfloat16 *seen[MOST_SIDE], *group = weights;
            look(x, more, s, row, left, count, held, seen);
            for (int c = 0; c < to; c += WIDE) {
                int channels = to - c < WIDE ? to - c : WIDE;
                for (int n = 0; n < count; n += WIDE) {
                    size_t at = ((size_t)row * spread * width + left + n) * spread * to + c;
                    work_out(seen, group, s, n, channels);
                    finish(bias + c, skip ? skip + at : NULL, slope, out + at, spread * to,
                           count - n < WIDE ? count - n : WIDE, channels);
                }
                group += (size_t)side * s.run * (channels > LANES ? WIDE : LANES);
            }
        }
    }
    _tile_release();
}

#else

int fdikp_tiles(void) { return 0; }

#endif
