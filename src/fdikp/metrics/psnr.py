"""PSNR and MAE as scikit-image, MATLAB and BasicSR compute them, and the rounding and luma that papers apply first.

Each metric takes two [B, C, H, W] in 0..1, does not clamp them, and returns a float64 [B], one number for each image;
papers report the mean of these. The PSNR of equal images is infinite; whoever takes a mean leaves them out and names
them (`evaluation.identical`). Sums are in float64, as scikit-image's are. A `Protocol` states which of them a paper
reports, after which rounding and on which pixels.
"""

from torch import Tensor


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, peak 1; infinite for equal images.

    >>> import torch
    >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([20.], dtype=torch.float64)
    """
    return -10.0 * error(output, target).square().mean(dim=(1, 2, 3)).log10()


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, 0..1.

    >>> import torch
    >>> mae(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([0.1000], dtype=torch.float64)
    """
    return error(output, target).abs().mean(dim=(1, 2, 3))


def rounded(image: Tensor, bits: int) -> Tensor:
    """An image of any shape in 0..1 rounded to integers of `bits` bits, back in 0..1; halves round to even.

    >>> import torch
    >>> rounded(torch.tensor([0.5, 0.501, 1.0]), bits=8) * 255
    tensor([128., 128., 255.])
    """
    most = 2**bits - 1
    return (image * most).round() / most


def luma(image: Tensor) -> Tensor:
    """Y of BT.601 in its studio range, as MATLAB's `rgb2ycbcr` and BasicSR compute it, without rounding.

    Args:
        image: [B, 3, H, W] RGB in 0..1.

    Returns:
        [B, 1, H, W] in 16/255..235/255. Errors shrink by 219/255 or more, so a PSNR on Y does not compare with RGB.

    >>> import torch
    >>> (luma(torch.ones(1, 3, 1, 1)) * 255).round()
    tensor([[[[235.]]]])
    """
    weights = image.new_tensor([65.481, 128.553, 24.966])[:, None, None]
    return ((image * weights).sum(dim=-3, keepdim=True) + 16.0) / 255.0


def error(output: Tensor, target: Tensor) -> Tensor:
    """output - target in float64.

    Raises:
        ValueError: the shapes differ or are not [B, C, H, W].
    """
    if output.shape != target.shape or output.ndim != 4:
        raise ValueError(f"expected two [B, C, H, W] of one shape, got {tuple(output.shape)} and {tuple(target.shape)}")
    return output.double() - target.double()
