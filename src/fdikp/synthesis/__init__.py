"""Rendering defocus: from a sharp photograph, the photograph a lens focused elsewhere would have taken.

>>> import torch
>>> pair = render_pair(torch.rand(2, 3, 64, 64), seeds=[7, 8])
>>> pair.blurred.shape, pair.target.shape, pair.radius.shape
(torch.Size([2, 3, 64, 64]), torch.Size([2, 3, 64, 64]), torch.Size([2, 1, 64, 64]))
"""

from fdikp.synthesis.aperture import Aperture, aperture_kernels
from fdikp.synthesis.color import linear_to_srgb, srgb_to_linear
from fdikp.synthesis.compose import render_scene
from fdikp.synthesis.depth import Surface
from fdikp.synthesis.pairs import KODAK_SETTINGS, KodakPair, kodak_pairs
from fdikp.synthesis.render import Rendered, render_pair
from fdikp.synthesis.settings import RenderSettings

__all__ = [
    "KODAK_SETTINGS",
    "Aperture",
    "KodakPair",
    "RenderSettings",
    "Rendered",
    "Surface",
    "aperture_kernels",
    "kodak_pairs",
    "linear_to_srgb",
    "render_pair",
    "render_scene",
    "srgb_to_linear",
]
