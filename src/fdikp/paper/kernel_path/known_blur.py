"""Pairs of which everything is known: a sharp picture, the aperture it is seen through, and the blur radius.

Nothing is added that would hide the kernel: no noise, no JPEG, no sharpening, no highlights beyond white.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import DataError
from fdikp.imaging import as_unit
from fdikp.light import linear_to_srgb, srgb_to_linear
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

MARGIN = 32
"""Pixels rendered around each crop and cut off: what lies beyond the border is not known."""

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
"""Scenes whose blur radius changes across the picture, up to 8 pixels, with one surface at least in focus (nearly
always)."""

_LENS = ThinLens(focal_length=50.0, f_number=2.0, focus_distance=2.0, pixel_pitch=0.02)


@dataclass(frozen=True)
class KnownPair:
    """A picture and its rendering, sRGB 0..1."""

    blurred: Tensor
    """[3, S, S], 8-bit values."""
    target: Tensor
    """[3, S, S]"""
    radius: Tensor
    """[1, S, S] blur radius in pixels."""
    aperture: Aperture | None
    """None where the radius varies, so that there is no single kernel."""

    def kernel(self, scale: int = 1) -> Tensor:
        """The blur kernel of a pair of one radius, as the picture reduced `scale` times has it; [R, R], R odd."""
        assert self.aperture is not None
        return blur_kernel(float(self.radius[0, 0, 0]) / scale, self.aperture)


def blur_kernel(radius: float, aperture: Aperture) -> Tensor:
    """The blur kernel of an aperture, [R, R] float64 of sum 1, R odd; radius in pixels."""
    return aperture_kernels(torch.tensor([radius], dtype=torch.float64), aperture, kernel_reach(radius))[0]


def out_of_focus(sharp: Tensor, radius: float, aperture: Aperture) -> Tensor:
    """A picture [3, H, W], sRGB 0..1, as a lens shows it that is out of focus by one radius (pixels) everywhere.

    Blur is of light: in the sRGB values that come back it is a convolution only nearly. Rounded to 8 bits.
    """
    everywhere = torch.ones_like(sharp[:1])
    end = _LENS.inverse_distance(radius)
    wall = Surface(everywhere, (end, end), torch.zeros_like(everywhere))
    light, _, _ = render_scene(srgb_to_linear(sharp), Scene((wall,), _LENS), aperture, radius)
    return round_to_8_bits(linear_to_srgb(light.clamp_max(1.0)))


def crops(pictures: Sequence[np.ndarray], size: int) -> list[Tensor]:
    """The middle of each picture with its margin: uint8 or uint16 [H, W, 3] to [3, size + 2 MARGIN, …] in 0..1.

    Raises:
        DataError: pictures are too small; says how many.
    """
    side = size + 2 * MARGIN
    small = [picture for picture in pictures if min(picture.shape[:2]) < side]
    if small:
        raise DataError(
            f"{len(small)} of {len(pictures)} pictures have a side below {side} pixels, which crops of {size} need "
            "with their margins; give a smaller --size or larger pictures"
        )
    corners = [((p.shape[0] - side) // 2, (p.shape[1] - side) // 2) for p in pictures]
    cut = (p[y : y + side, x : x + side] for p, (y, x) in zip(pictures, corners, strict=True))
    return [torch.from_numpy(as_unit(piece)).permute(2, 0, 1).contiguous() for piece in cut]


def uniform_pairs(sharp: Sequence[Tensor], radius: float) -> list[KnownPair]:
    """Each crop out of focus by one radius (pixels), through an aperture of its own: the n-th of seed n."""
    return [uniform_pair(crop, radius, draw_aperture(RandomStream(n))) for n, crop in enumerate(sharp)]


def uniform_pair(crop: Tensor, radius: float, aperture: Aperture) -> KnownPair:
    """A crop with its margin, [3, S + 2 MARGIN, …], out of focus by one radius (pixels)."""
    target = _inner(crop)
    everywhere = torch.full_like(target[:1], radius)
    return KnownPair(_inner(out_of_focus(crop, radius, aperture)), target, everywhere, aperture)


def mixed_pairs(sharp: Sequence[Tensor]) -> list[KnownPair]:
    """Each crop as a scene whose blur radius varies: the n-th of seed n."""
    pairs = [render_pair(crop[None], [n], MIXED) for n, crop in enumerate(sharp)]
    return [KnownPair(_inner(p.blurred[0]), _inner(p.target[0]), _inner(p.radius[0]), None) for p in pairs]


def _inner(image: Tensor) -> Tensor:
    return image[:, MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous()
