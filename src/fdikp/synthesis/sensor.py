"""Effects of the camera after the lens: noise, sharpening, rounding to 8 bits, JPEG."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.mosaic import through_mosaic
from fdikp.synthesis.rng import RandomStream


def add_noise(light: Tensor, rng: RandomStream, mosaic: int | None = None) -> Tensor:
    """Add shot and read noise of a random ISO, with standard deviation sqrt(shot * light + read^2).

    Args:
        light: [3, H, W] linear.
        rng: the random stream.
        mosaic: pattern of the Bayer mosaic (see `through_mosaic`): the noise of the sensor's pixels is demosaiced with
            the light. None: the noise is white, or, half the time, correlated as after demosaicing.
    """
    shot = rng.log_uniform(2e-6, 3e-4)
    read = rng.log_uniform(1e-4, 2e-3)
    noise = rng.normal(*light.shape).to(light.device)
    correlated = rng.chance(0.5)
    if correlated and mosaic is None:
        noise = _binomial(noise) * 2.0  # restores less than the full variance: cameras also denoise
    noisy = light + noise * (shot * light.clamp_min(0.0) + read * read).sqrt()
    return noisy if mosaic is None else through_mosaic(noisy, mosaic)


def add_luminance_noise(image: Tensor, rng: RandomStream) -> Tensor:
    """Add soft luminance noise to an image [3, H, W], sRGB 0..1: what remains of noise after a camera's denoising.

    Real pairs contain such a residual, whatever its origin: the part of their blur that a disc does not explain has
    this size and these frequencies, and lowers the score as much when it is added to an unrelated image
    (`research/twins.py`).
    """
    width, deviation = rng.log_uniform(0.5, 2.0), rng.log_uniform(1e-3, 1.5e-2)
    reach = math.ceil(3 * width)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    taps /= taps.square().sum().sqrt()  # preserves the variance
    height, length = image.shape[-2:]
    noise = rng.normal(1, 1, height + 2 * reach, length + 2 * reach)
    soft = F.conv2d(F.conv2d(noise, taps[None, None, :, None]), taps[None, None, None, :])[0]
    return (image + deviation * soft.to(image.device)).clamp(0.0, 1.0)


def sharpen(image: Tensor, amount: float) -> Tensor:
    """Unsharp masking with a 3x3 binomial, [3, H, W] sRGB 0..1."""
    return (image + amount * (image - _binomial(image))).clamp(0.0, 1.0)


def round_to_8_bits(image: Tensor) -> Tensor:
    """Round to multiples of 1/255, as an 8-bit file does."""
    return (image * 255.0).round() / 255.0


def through_jpeg(image: Tensor, quality: int, chroma_halved: bool) -> Tensor:
    """The image [3, H, W] 0..1 after JPEG compression at `quality`, encoded and decoded by Pillow on the CPU."""
    pixels = (image.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2 if chroma_halved else 0)
    decoded = np.array(Image.open(file), dtype=np.float32) / 255.0
    return torch.from_numpy(decoded).permute(2, 0, 1).to(image.device)


def _binomial(image: Tensor) -> Tensor:
    """Convolve with [1 2 1] x [1 2 1] / 16, borders repeated."""
    taps = torch.tensor([0.25, 0.5, 0.25], device=image.device)
    kernel = (taps[:, None] * taps[None, :])[None, None]
    return F.conv2d(F.pad(image[:, None], (1, 1, 1, 1), mode="replicate"), kernel)[:, 0]
