"""Pairs with known blur: a sharp image, rendered through a known aperture with a known blur radius.

Nothing that would hide the kernel is added: no noise, JPEG, sharpening or highlights beyond white.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import DataError
from fdikp.imaging import as_unit
from fdikp.synthesis import (
    Aperture,
    RenderSettings,
    Scene,
    Surface,
    ThinLens,
    aperture_kernels,
    render_pair,
    render_scene,
)
from fdikp.synthesis.aperture import kernel_reach
from fdikp.synthesis.render import draw_aperture
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.sensor import round_to_8_bits
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

MARGIN = 32
"""Pixels rendered around each crop and cut off, because the scene beyond the border of the photo is unknown."""

MIXED = RenderSettings(
    max_radius=8.0,
    radius_exponent=1.5,
    p_sharp=0.0,
    p_uniform=0.0,
    p_highlight_boost=0.0,
    p_cats_eye=0.0,
    p_tone_curve=0.0,
    p_noise=0.0,
    p_luminance_noise=0.0,
    p_sharpened=0.0,
    p_oversharpened=0.0,
    p_jpeg=0.0,
    keep_grain=False,
)
"""Scenes whose blur radius varies across the image, up to 8 pixels; nearly all have a surface in focus."""

_LENS = ThinLens(focal_length=50.0, f_number=2.0, focus_distance=2.0, pixel_pitch=0.02)


@dataclass(frozen=True)
class KnownPair:
    """A sharp image and its rendering, sRGB in 0..1."""

    blurred: Tensor
    """[3, S, S], 8-bit values."""
    target: Tensor
    """[3, S, S]"""
    radius: Tensor
    """[1, S, S] blur radius in pixels."""
    aperture: Aperture | None
    """None if the radius varies, because there is no single kernel."""

    def kernel(self, scale: int = 1) -> Tensor:
        """The blur kernel of a pair of one radius at 1/`scale` of the size, [R, R], R odd."""
        assert self.aperture is not None
        return blur_kernel(float(self.radius[0, 0, 0]) / scale, self.aperture)


def blur_kernel(radius: float, aperture: Aperture) -> Tensor:
    """The blur kernel of an aperture, [R, R] float64 of sum 1, R odd; radius in pixels."""
    return aperture_kernels(torch.tensor([radius], dtype=torch.float64), aperture, kernel_reach(radius))[0]


def out_of_focus(sharp: Tensor, radius: float, aperture: Aperture) -> Tensor:
    """Render an image [3, H, W], sRGB in 0..1, with one blur radius (pixels) everywhere; rounded to 8 bits.

    Linear light is blurred, so in sRGB values the blur is only approximately a convolution.
    """
    everywhere = torch.ones_like(sharp[:1])
    end = _LENS.inverse_distance(radius)
    wall = Surface(everywhere, (end, end), torch.zeros_like(everywhere))
    light, _, _ = render_scene(srgb_to_linear(sharp), Scene((wall,), _LENS), aperture, radius)
    return round_to_8_bits(linear_to_srgb(light.clamp_max(1.0)))


def crops(images: Sequence[np.ndarray], size: int) -> list[Tensor]:
    """The centre of each image with its margin: uint8 or uint16 [H, W, 3] to [3, size + 2 MARGIN, …] in 0..1.

    Raises:
        DataError: images are too small; gives their number.
    """
    side = size + 2 * MARGIN
    small = [image for image in images if min(image.shape[:2]) < side]
    if small:
        raise DataError(
            f"{len(small)} of {len(images)} images have a side below {side} pixels, which crops of {size} need "
            "with their margins; choose a smaller crop or larger images"
        )
    corners = [((p.shape[0] - side) // 2, (p.shape[1] - side) // 2) for p in images]
    cut = (p[y : y + side, x : x + side] for p, (y, x) in zip(images, corners, strict=True))
    return [torch.from_numpy(as_unit(piece)).permute(2, 0, 1).contiguous() for piece in cut]


def uniform_pairs(sharp: Sequence[Tensor], radius: float) -> list[KnownPair]:
    """Each crop with one blur radius (pixels), through an aperture of its own; crop n uses seed n."""
    return [uniform_pair(crop, radius, draw_aperture(RandomStream(n))) for n, crop in enumerate(sharp)]


def uniform_pair(crop: Tensor, radius: float, aperture: Aperture) -> KnownPair:
    """A crop with its margin, [3, S + 2 MARGIN, …], with one blur radius (pixels) everywhere."""
    target = _without_margin(crop)
    everywhere = torch.full_like(target[:1], radius)
    return KnownPair(_without_margin(out_of_focus(crop, radius, aperture)), target, everywhere, aperture)


def mixed_pairs(sharp: Sequence[Tensor]) -> list[KnownPair]:
    """Each crop as a scene whose blur radius varies; crop n uses seed n."""
    pairs = [render_pair(crop[None], [n], MIXED) for n, crop in enumerate(sharp)]
    return [
        KnownPair(_without_margin(p.blurred[0]), _without_margin(p.target[0]), _without_margin(p.radius[0]), None)
        for p in pairs
    ]


def _without_margin(image: Tensor) -> Tensor:
    return image[:, MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous()
