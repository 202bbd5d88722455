"""Tone curves: how a camera's image differs from the plain sRGB encoding of light."""

from dataclasses import dataclass

from torch import Tensor

from fdikp.synthesis.rng import RandomStream
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear


@dataclass(frozen=True)
class ToneCurve:
    """From linear light to pixel values: the sRGB curve, then a power, then an S-curve for contrast.

    x → x^p, then x^c / (x^c + (1 - x)^c), where p is `power` and c is `contrast`. Both steps map 0 to 0 and 1 to 1; the
    S-curve maps 1/2 to 1/2.

    Such a curve explains the blur of real pairs better than the sRGB curve alone (`research/real_blur.py`): cameras
    encode for the eye.
    """

    contrast: float = 1.0
    """Slope of the S-curve at its middle, above 0; its inverse has contrast 1 / `contrast`."""

    power: float = 1.0
    """Exponent above 0; larger is darker."""

    def encode(self, light: Tensor) -> Tensor:
        """Pixel values 0..1 of linear light, any shape; light above 1 is clipped, as by a sensor."""
        codes = linear_to_srgb(light.clamp(0.0, 1.0))
        return codes if self == SRGB else _contrast(codes.pow(self.power), self.contrast)

    def decode(self, codes: Tensor) -> Tensor:
        """Linear light of pixel values 0..1, any shape."""
        if self == SRGB:
            return srgb_to_linear(codes)
        return srgb_to_linear(_contrast(codes.clamp(0.0, 1.0), 1.0 / self.contrast).pow(1.0 / self.power))


SRGB = ToneCurve()
"""The sRGB curve alone."""


def draw_tone(rng: RandomStream) -> ToneCurve:
    """Draw a camera's curve: mostly more contrast than sRGB, and a little darker or brighter."""
    return ToneCurve(contrast=rng.uniform(0.95, 1.5), power=rng.log_uniform(0.87, 1.25))


def _contrast(x: Tensor, slope: float) -> Tensor:
    up, down = x.pow(slope), (1.0 - x).pow(slope)
    return up / (up + down)
