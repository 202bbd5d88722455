"""Position adaptive convolution (eq. 9) on GPUs, in Triton: the counterpart of `pac.h`. Launched by `pac_cuda.py`.

A program computes ROWS × COLUMNS neighbouring pixels of one image. Pixels are the last axis of its tensors (P) and are
distributed over threads; kernels and channels are the axes before, of which each thread holds all. So each tap is read
and interpolated once and weighted N times, in registers. Axes are powers of two: there is a fourth channel, and may be
more kernels, that nothing reads, and the compiler removes their work.

No argument that depends on the image is specialised: one compilation serves all sizes and layouts. Loads are of one
channel at a time, [P]: the compiler might distribute a channel axis over threads. Offsets within an image, and within a
program's results, are 32-bit, all others 64-bit.
"""

import triton
import triton.language as tl

ANY = ("H", "W", "x_image", "x_channel", "x_row", "x_column",
       "g_image", "g_kernel", "g_channel", "g_row", "g_column")  # fmt: skip
"""Arguments that depend on the image."""


@triton.jit
def _block(H, W, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where a program's pixels are: its image (64-bit), the first row and the first column."""
    across = tl.cdiv(W, COLUMNS)
    blocks = tl.cdiv(H, ROWS) * across
    block = tl.program_id(0) % blocks
    return (tl.program_id(0) // blocks).to(tl.int64), block // across * ROWS, block % across * COLUMNS


@triton.jit
def _place(at, side, step, dilation):
    """Where a tap falls along one axis: the two pixels around it, its weight for the second, and its derivative by the
    dilation. Outside the image the border pixel is repeated, and the derivative is 0."""
    last = side - 1
    position = at + step * dilation
    inside = (position > 0) & (position < last)
    position = tl.where(position > 0, position, 0.0)  # NaN becomes 0, which is inside the image
    position = tl.where(position < last, position, last.to(tl.float32))
    low = position.to(tl.int32)
    return low, tl.minimum(low + 1, last), position - low, tl.where(inside, step, 0).to(tl.float32)


@triton.jit
def _pixels(image, offsets, x_channel):
    """The pixels at the offsets [P] from the first of an image, [4, P], the fourth channel 0."""
    c = tl.arange(0, 4)[:, None]
    red = tl.load(image + offsets)[None, :]
    green = tl.load(image + x_channel + offsets)[None, :]
    blue = tl.load(image + 2 * x_channel + offsets)[None, :]
    return tl.where(c == 0, red, tl.where(c == 1, green, tl.where(c == 2, blue, 0.0)))


@triton.jit
def _lerp(a, b, weight):
    return a + weight * (b - a)


@triton.jit
def _packed(numbers, N: tl.constexpr):
    """[kernels, 4, P] without the unused channel and kernels: [3N or more, P], in the order of the result's memory.

    It is written as a sum of bits with zeros, because Triton has no other form for it. The compiler knows where each
    number goes, so that nothing is computed.
    """
    q = tl.arange(0, triton.next_power_of_2(3 * N))[:, None]
    f = tl.arange(0, 4 * numbers.shape[0])[None, :]
    same = (q == f // 4 * 3 + f % 4) & (f % 4 < 3)
    bits = numbers.reshape(1, 4 * numbers.shape[0], numbers.shape[2]).to(tl.int32, bitcast=True)
    return tl.sum(tl.where(same[:, :, None], bits, 0), axis=1).to(tl.float32, bitcast=True)


@triton.jit
def _row(
    total, image, taps, i, y, x, D, H, W, x_channel, x_row, x_column, N: tl.constexpr, K: tl.constexpr
):  # fmt: skip
    """total [kernels, 4, P] with the taps of row i added; the middle row and column are on pixels, not between two."""
    HALF: tl.constexpr = K // 2
    n = tl.arange(0, total.shape[0])
    upper, lower, v, _ = _place(y, H, i - HALF, D)
    over, under = upper * x_row, lower * x_row
    for j in tl.static_range(K):
        left, right, u, _ = _place(x, W, j - HALF, D)
        if j == HALF:
            at = x * x_column
            sample = _pixels(image, over + at, x_channel)
            if i != HALF:
                sample = _lerp(sample, _pixels(image, under + at, x_channel), v)
        else:
            at, after = left * x_column, right * x_column
            sample = _lerp(_pixels(image, over + at, x_channel), _pixels(image, over + after, x_channel), u)
            if i != HALF:
                below = _pixels(image, under + at, x_channel)
                below = _lerp(below, _pixels(image, under + after, x_channel), u)
                sample = _lerp(sample, below, v)
        k = tl.load(taps + (i * K + j), mask=n < N, other=0.0)
        total += k[:, None, None] * sample[None, :, :]
    return total


@triton.jit(do_not_specialize=ANY)
def forward(
    x, kernels, dilation, out, H, W, x_image, x_channel, x_row, x_column,
    N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, UNROLLED: tl.constexpr,
):  # fmt: skip
    """x: [B, 3, H, W], of the given strides; kernels [B, N, K, K], dilation [B, 1, H, W], out [B, H, W, N, 3]."""
    b, first_y, first_x = _block(H, W, ROWS, COLUMNS)
    p = tl.arange(0, ROWS * COLUMNS)
    # Pixels outside the image repeat the last ones, and are not written
    y, column = tl.minimum(first_y + p // COLUMNS, H - 1), tl.minimum(first_x + p % COLUMNS, W - 1)
    D = tl.load(dilation + ((b * H + y) * W + column))
    taps = kernels + (b * N + tl.arange(0, triton.next_power_of_2(N))) * (K * K)
    image = x + b * x_image
    total = tl.zeros((triton.next_power_of_2(N), 4, ROWS * COLUMNS), tl.float32)
    if UNROLLED:
        for i in tl.static_range(K):
            total = _row(total, image, taps, i, y, column, D, H, W, x_channel, x_row, x_column, N, K)
    else:
        for i in range(K):
            total = _row(total, image, taps, i, y, column, D, H, W, x_channel, x_row, x_column, N, K)
    # Transposed, so that neighbouring threads write the results of a pixel, which are neighbours in memory
    q = tl.arange(0, triton.next_power_of_2(3 * N))[None, :]
    to = out + ((b * H + first_y) * W + first_x) * (3 * N) + (p // COLUMNS * W + p % COLUMNS)[:, None] * (3 * N) + q
    inside = (first_y + p // COLUMNS < H) & (first_x + p % COLUMNS < W)
    tl.store(to, _packed(total, N).trans(), mask=inside[:, None] & (q < 3 * N))


@triton.jit(do_not_specialize=ANY)
def backward(
    x, kernels, dilation, grad_out, grad_x, grad_kernels, grad_dilation, H, W, x_image, x_channel, x_row, x_column,
    g_image, g_kernel, g_channel, g_row, g_column,
    N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, NEEDS_X: tl.constexpr,
):  # fmt: skip
    """What the pixels of a program add to the gradients.

    grad_out: [B, N, 3, H, W], of the given strides. grad_x: [B, 3, H, W], zeros, added to atomically where NEEDS_X.
    grad_kernels: [programs, N, K, K], the sum of each program. grad_dilation: [B, 1, H, W]. The others as of `forward`.
    """
    HALF: tl.constexpr = K // 2
    b, first_y, first_x = _block(H, W, ROWS, COLUMNS)
    p = tl.arange(0, ROWS * COLUMNS)
    inside = (first_y + p // COLUMNS < H) & (first_x + p % COLUMNS < W)
    y, column = tl.minimum(first_y + p // COLUMNS, H - 1), tl.minimum(first_x + p % COLUMNS, W - 1)
    pixel = (b * H + y) * W + column
    D = tl.load(dilation + pixel)
    n = tl.arange(0, triton.next_power_of_2(N))
    c = tl.arange(0, 4)
    taps = kernels + (b * N + n) * (K * K)
    partial = grad_kernels + (tl.program_id(0).to(tl.int64) * N + n) * (K * K)
    image = x + b * x_image
    g = tl.zeros((triton.next_power_of_2(N), 4, ROWS * COLUMNS), tl.float32)
    from_ = grad_out + b * g_image + (y.to(tl.int64) * g_row + column.to(tl.int64) * g_column)
    for m in tl.static_range(N):
        for channel in tl.static_range(3):
            read = tl.load(from_ + (tl.full((), m, tl.int64) * g_kernel + channel * g_channel), mask=inside, other=0.0)
            here = (n[:, None, None] == m) & (c[None, :, None] == channel)
            g = tl.where(here, read[None, None, :], g)
    grad_D = tl.zeros((4, ROWS * COLUMNS), tl.float32)
    for tap in range(K * K):
        upper, lower, v, down = _place(y, H, tap // K - HALF, D)
        left, right, u, along = _place(column, W, tap % K - HALF, D)
        over, under = upper * x_row, lower * x_row
        at, after = left * x_column, right * x_column
        a = _pixels(image, over + at, x_channel)
        above = _pixels(image, over + after, x_channel) - a
        top = a + u * above
        a = _pixels(image, under + at, x_channel)
        below = _pixels(image, under + after, x_channel) - a
        bottom = a + u * below
        sample = tl.where(inside, _lerp(top, bottom, v), 0.0)
        tl.store(partial + tap, tl.sum(tl.sum(g * sample[None, :, :], axis=1), axis=1), mask=n < N)
        k = tl.load(taps + tap, mask=n < N, other=0.0)
        grad_sample = tl.sum(g * k[:, None, None], axis=0)
        grad_D += grad_sample * (along * _lerp(above, below, v) + down * (bottom - top))
        if NEEDS_X:
            for channel in tl.static_range(3):
                grad_channel = grad_x + (b * 3 + channel) * H * W
                grad_this = tl.sum(tl.where(c[:, None] == channel, grad_sample, 0.0), axis=0)
                grad_lower = v * grad_this
                grad_upper = grad_this - grad_lower
                high, low = upper * W, lower * W
                tl.atomic_add(grad_channel + (high + left), (1 - u) * grad_upper, mask=inside, sem="relaxed")
                tl.atomic_add(grad_channel + (high + right), u * grad_upper, mask=inside, sem="relaxed")
                tl.atomic_add(grad_channel + (low + left), (1 - u) * grad_lower, mask=inside, sem="relaxed")
                tl.atomic_add(grad_channel + (low + right), u * grad_lower, mask=inside, sem="relaxed")
    tl.store(grad_dilation + pixel, tl.sum(grad_D, axis=0), mask=inside)
