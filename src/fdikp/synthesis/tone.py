"""Tone curves: how a camera's picture differs from the plain sRGB encoding of light."""

from dataclasses import dataclass

from torch import Tensor

from fdikp.light import linear_to_srgb, srgb_to_linear
from fdikp.synthesis.rng import RandomStream


@dataclass(frozen=True)
class ToneCurve:
    """From light to the numbers of a picture: the sRGB curve, a power, and an S-curve that gives contrast.

    x → x^p, then x^c / (x^c + (1 - x)^c), where p is `power` and c `contrast`. Both keep 0 and 1, and the S-curve 1/2.

    The blur of real pairs is better described under such a curve than under the sRGB curve alone
    (`research/real_blur.py`): cameras encode for the eye.
    """

    contrast: float = 1.0
    """Slope of the S-curve in its middle, above 0; that of its inverse is 1 / contrast."""

    power: float = 1.0
    """Above 0; larger is darker."""

    def encode(self, light: Tensor) -> Tensor:
        """The picture of linear light, any shape, 0..1; light above 1 is clipped, as by a sensor."""
        codes = linear_to_srgb(light.clamp(0.0, 1.0))
        return codes if self == PLAIN else _contrast(codes.pow(self.power), self.contrast)

    def decode(self, codes: Tensor) -> Tensor:
        """The linear light of a picture, any shape, 0..1."""
        if self == PLAIN:
            return srgb_to_linear(codes)
        return srgb_to_linear(_contrast(codes.clamp(0.0, 1.0), 1.0 / self.contrast).pow(1.0 / self.power))


PLAIN = ToneCurve()
"""The sRGB curve alone."""


def draw_tone(rng: RandomStream) -> ToneCurve:
    """More contrast than sRGB in most cameras, and a little darker or brighter."""
    return ToneCurve(contrast=rng.uniform(0.95, 1.5), power=rng.log_uniform(0.87, 1.25))


def _contrast(x: Tensor, slope: float) -> Tensor:
    up, down = x.pow(slope), (1.0 - x).pow(slope)
    return up / (up + down)
