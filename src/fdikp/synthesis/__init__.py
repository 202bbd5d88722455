"""Rendering defocus: from a sharp photo, the photo that a lens focused elsewhere would have taken.

>>> import torch
>>> from fdikp.synthesis import render_pair
>>> pair = render_pair(torch.rand(2, 3, 64, 64), seeds=[7, 8])
>>> pair.blurred.shape, pair.target.shape, pair.radius.shape
(torch.Size([2, 3, 64, 64]), torch.Size([2, 3, 64, 64]), torch.Size([2, 1, 64, 64]))

The paper trains on real pairs. Which effects are rendered, and how often, is ours; the physics cites its sources.

Importing this module is cheap: torch is loaded when a name other than `RenderSettings` is first used.
"""

from typing import TYPE_CHECKING

from fdikp._lazy import attach
from fdikp.synthesis.settings import RenderSettings

_LAZY = {
    "KODAK_SETTINGS": "fdikp.synthesis.kodak",
    "Aperture": "fdikp.synthesis.aperture",
    "Field": "fdikp.synthesis.field",
    "KodakPair": "fdikp.synthesis.kodak",
    "Rendered": "fdikp.synthesis.render",
    "Scene": "fdikp.synthesis.depth",
    "Surface": "fdikp.synthesis.depth",
    "ThinLens": "fdikp.synthesis.lens",
    "aperture_kernels": "fdikp.synthesis.aperture",
    "kodak_pairs": "fdikp.synthesis.kodak",
    "render_pair": "fdikp.synthesis.render",
    "render_scene": "fdikp.synthesis.compose",
}

__all__ = [
    "KODAK_SETTINGS",
    "Aperture",
    "Field",
    "KodakPair",
    "RenderSettings",
    "Rendered",
    "Scene",
    "Surface",
    "ThinLens",
    "aperture_kernels",
    "kodak_pairs",
    "render_pair",
    "render_scene",
]

if TYPE_CHECKING:
    from fdikp.synthesis.aperture import Aperture, aperture_kernels
    from fdikp.synthesis.compose import render_scene
    from fdikp.synthesis.depth import Scene, Surface
    from fdikp.synthesis.field import Field
    from fdikp.synthesis.kodak import KODAK_SETTINGS, KodakPair, kodak_pairs
    from fdikp.synthesis.lens import ThinLens
    from fdikp.synthesis.render import Rendered, render_pair

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
