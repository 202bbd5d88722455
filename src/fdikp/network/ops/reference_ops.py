"""References of the network's operations, in plain torch: what faster kernels are compared with.

Arguments and results are those of the functions of the same names in `fdikp.network.ops`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Negative slope of every LeakyReLU outside the recurrent unit."""

BOXES = (3, 3, 5)
"""Sides of the boxes that, one after another, split the luminance into fine, medium and coarse detail."""

NEIGHBOURHOOD = 9
"""Side of the box that averages the energy of detail, applied twice: once leaves squares in the map."""


def at_least_float32(x: Tensor) -> Tensor:
    """x itself where it is float32 or float64, else in float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def conv_act(conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, slope: float, skip: Tensor | None) -> Tensor:
    """LeakyReLU(conv(x) + skip); sum and activation are in place."""
    # oneDNN's fused convolution and LeakyReLU is 1 % faster, but not a public operator of torch
    y = conv(x)
    y = y if skip is None else y.add_(skip)
    return y if slope == 1.0 else F.relu_(y) if slope == 0.0 else F.leaky_relu_(y, slope)


def conv_concat(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """conv of x beside y."""
    out: Tensor = conv(torch.cat((x, y), dim=1))
    return out


def conv_relu_pool(conv: nn.Conv2d, x: Tensor, size: int) -> Tensor:
    """adaptive_avg_pool2d(relu(conv(x)), size)."""
    return F.adaptive_avg_pool2d(F.relu(conv(x)), size)


def conv_relu_mean(weight: Tensor, x: Tensor) -> Tensor:
    """The mean over positions of relu(conv(x)), [B, C]."""
    return at_least_float32(F.relu(F.conv2d(x, weight, padding=weight.shape[-1] // 2))).mean(dim=(-2, -1))


def log_amplitude_and_phase(f: Tensor, noise_floor: float) -> tuple[Tensor, Tensor]:
    """log(1 + |F| / noise_floor) / 4 and arg F · |F|² / (|F|² + noise_floor²), rows shifted."""
    f = torch.fft.fftshift(f, dim=-2)
    amplitude = f.abs()
    weight = amplitude.square() / (amplitude.square() + noise_floor**2)
    return torch.log1p(amplitude / noise_floor) / 4, weight * torch.atan2(f.imag, f.real)


def box(x: Tensor, side: int) -> Tensor:
    """The mean over squares, the border pixel repeated."""
    reach = side // 2
    down = F.avg_pool2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), (side, 1), stride=1)
    return F.avg_pool2d(F.pad(down, (reach, reach, 0, 0), mode="replicate"), (1, side), stride=1)


def band_energy(x: Tensor, floor: float, mean: Callable[[Tensor, int], Tensor] = box) -> Tensor:
    """log(1 + energy / floor) / 10 of the luminance in three bands; `mean` is a box filter."""
    rest = x.mean(dim=1, keepdim=True)
    bands = []
    for side in BOXES:
        smooth = mean(rest, side)
        bands.append(rest - smooth)
        rest = smooth
    energy = mean(mean(torch.cat(bands, dim=1).square(), NEIGHBOURHOOD), NEIGHBOURHOOD)
    return torch.log1p(energy / floor) / 10


def position_adaptive_convolution(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9, on any device, in any type; the only form that can be traced or exported for other runtimes.

    The sampling positions do not depend on kernel or channel, so the image is sampled once and weighted N times.
    """
    B, C, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    reach = torch.arange(K, dtype=x.dtype, device=x.device) - K // 2
    offsets_y, offsets_x = torch.meshgrid(reach, reach, indexing="ij")
    offsets = torch.stack((offsets_x, offsets_y), -1).reshape(1, K * K, 1, 1, 2)  # Δp
    grid_y, grid_x = torch.meshgrid(
        torch.arange(H, dtype=x.dtype, device=x.device),
        torch.arange(W, dtype=x.dtype, device=x.device),
        indexing="ij",
    )
    pixels = torch.stack((grid_x, grid_y), -1)  # p [H, W, 2]
    positions = pixels + offsets * dilation.reshape(B, 1, H, W, 1)  # [B, K², H, W, 2]
    # grid_sample's coordinates run from -1 to 1 over the pixel edges (align_corners=False)
    size = torch.tensor((W, H), dtype=x.dtype, device=x.device)
    grid = ((2 * positions + 1) / size - 1).reshape(B, K * K * H, W, 2)
    samples = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    samples = samples.reshape(B, C, K * K, H * W)
    weighted = torch.einsum("bnk,bckp->bncp", kernels.reshape(B, N, K * K), samples)
    return weighted.reshape(B, N, C, H, W)


def plain_convolution(x: Tensor, kernels: Tensor) -> Tensor:
    """Apply each image's kernels without dilation: position adaptive convolution with D ≡ 1, the ablation of Table 2.

    Args:
        x: images [B, C, H, W].
        kernels: [B, N, K, K], K odd.

    Returns:
        [B, N, C, H, W].
    """
    B, C, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    padded = F.pad(x, (K // 2,) * 4, mode="replicate").transpose(0, 1)  # [C, B, H + K - 1, W + K - 1]
    out = F.conv2d(padded, kernels.reshape(B * N, 1, K, K).to(x.dtype), groups=B)
    return out.reshape(C, B, N, H, W).permute(1, 2, 0, 3, 4)


def residuals(deconvolved: Tensor, x: Tensor, base: Tensor) -> Tensor:
    """The differences of the deconvolved images, and last of the image itself, to `base`.

    They are computed in the pixels' own precision. They are small, so that rounding them to 16 bits afterwards loses
    little.

    Args:
        deconvolved: [B, N, 3, H, W].
        x: [B, 3, H, W].
        base: [B, 3, H, W].

    Returns:
        [B, N + 1, 3, H, W], channels innermost in memory, as convolutions read it.
    """
    images = torch.cat((deconvolved.permute(0, 3, 4, 1, 2), x.permute(0, 2, 3, 1).unsqueeze(3)), dim=3)
    negative = -base  # cheaper backward than a subtraction: it negates the gradient of one image, not of all candidates
    return (images + negative.permute(0, 2, 3, 1).unsqueeze(3)).permute(0, 3, 4, 1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention: three tensors [B, heads, tokens, features] to one of that shape."""
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1) @ v


Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A function like `attend`."""


def attend_in_strips(rows: Tensor, columns: Tensor, heads: int, between: bool, attention: Attention = attend) -> Tensor:
    """Attention along rows, beside that along columns."""
    attend_rows = attend_between_rows if between else attend_within_rows
    down = attend_rows(columns.transpose(1, 2), heads, attention).transpose(1, 2)
    return torch.cat((attend_rows(rows, heads, attention), down), dim=-1)


def attend_within_rows(qkv: Tensor, heads: int, attention: Attention = attend) -> Tensor:
    """Attention among the pixels of each row: [B, H, W, 3C] to [B, H, W, C]."""
    rows = qkv.flatten(0, 1).unflatten(-1, (3, heads, -1))  # [B · H, W, 3, heads, C']
    q, k, v = rows.permute(2, 0, 3, 1, 4)
    out = attention(q, k, v)
    return out.transpose(1, 2).flatten(-2).unflatten(0, qkv.shape[:2])


def attend_between_rows(qkv: Tensor, heads: int, attention: Attention = attend) -> Tensor:
    """Attention among the rows, each row with all its pixels one token: [B, H, W, 3C] to [B, H, W, C]."""
    W = qkv.shape[2]
    rows = qkv.unflatten(-1, (3, heads, -1)).permute(3, 0, 4, 1, 2, 5).flatten(-2)  # [3, B, heads, H, W · C']
    q, k, v = rows
    out = attention(q, k, v)
    return out.unflatten(-1, (W, -1)).permute(0, 2, 3, 1, 4).flatten(-2)


def lstm_cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """New hidden state and cell."""
    forget, write, read, new = gates.chunk(4, dim=1)
    cell = F.sigmoid(forget) * cell + F.sigmoid(write) * F.tanh(new)
    return F.sigmoid(read) * F.tanh(cell), cell


def coefficient_maps(spatial: Tensor, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """2 σ(u v + u) - 1, in a form that 16 bits do not round to 0 near 0, where coefficients start."""
    u = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
    v = F.relu(norm(spatial))
    return torch.tanh(at_least_float32(u * v + u) / 2)


def blend(residuals: tuple[Tensor, Tensor], coefficients: Tensor, output: nn.Conv2d, base: Tensor) -> Tensor:
    """The convolution is split by image, which avoids a copy of the residuals side by side."""
    total = output.bias[:, None, None]  # type: ignore[index]
    for residual, maps, weight in zip(residuals, coefficients.chunk(2, 1), output.weight.chunk(2, 1), strict=True):
        weighted = residual * maps.unsqueeze(2).to(residual.dtype)
        total = total + F.conv2d(weighted.flatten(1, 2).to(weight.dtype), weight)
    return base + total.to(base.dtype)
