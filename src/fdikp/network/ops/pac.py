"""Position adaptive convolution (eq. 9, Fig. 3c): a few kernels, dilated at each pixel as the dilation map says."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.network.ops import pac_cpu, pac_cuda
from fdikp.network.ops.pac_cpu import pac_forward


def position_adaptive_convolution(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Apply each kernel with its taps spread by the dilation of the pixel it is applied at.

    F(p) = Σᵢ k*ᵢ · x(p + Δpᵢ · D(p)), with Δp on the K×K grid centred at 0 and bilinear sampling between pixels.
    With D ≡ 1 this is `conv2d` (a correlation, as eq. 9 is written), with D ≡ 2 its dilated form. Outside the image
    the border pixel is repeated, which is ours: the paper does not say.

    On a CPU this runs the native kernel (`pac_cpu`) where it was built, on a GPU the Triton kernel (`pac_cuda`) where
    Triton works, else `sampled`; they agree up to rounding. On a GPU the Triton kernel adds up the gradient of x in no
    fixed order; after `torch.use_deterministic_algorithms(True)` `sampled` runs instead, and torch raises where it has
    no deterministic form of that either.

    Args:
        x: images [B, C, H, W], float32 or float64.
        kernels: [B, N, K, K], K odd, one set for each image.
        dilation: D [B, 1, H, W], in pixels.

    Returns:
        [B, N, C, H, W]; differentiable in all three arguments.
    """
    if pac_cpu.is_eligible(x, kernels) or pac_cuda.is_eligible(x, kernels):
        return pac_forward(x, kernels, dilation)
    return sampled(x, kernels, dilation)


def sampled(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Position adaptive convolution by torch's own operations: on any device, in any type, traced or exported.

    The sampling positions do not depend on kernel or channel, so the image is sampled once and weighted N times.
    Arguments and result as of `position_adaptive_convolution`.
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
