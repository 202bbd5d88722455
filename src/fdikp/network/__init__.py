"""The network of the paper's Figure 3, one file for each box.

`config` describes a network, and `fdikp` runs its three stages. `fikp` deconvolves images with the kernels that `dikp`
predicts and the dilation map of `dilation`. `dsrm` predicts the coefficient maps, with `dual_domain` and `strips` at
its bottleneck. `blur_radius` turns the dilation maps into a blur radius in pixels, by a `blur_calibration`. All of them
compute with the operations in `ops`, which has a plain body and faster kernels for each.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from fdikp._lazy import attach
from fdikp.network.blur_calibration import BlurCalibration
from fdikp.network.config import MIN_SIZE, PRESETS, SCALES, SIZE_MULTIPLE, NetworkConfig

_LAZY = dict.fromkeys(("FDIKP", "Stage", "downsample"), "fdikp.network.fdikp") | {
    "BlurRadius": "fdikp.network.blur_radius"
}

__all__ = [
    "FDIKP",
    "MIN_SIZE",
    "PRESETS",
    "SCALES",
    "SIZE_MULTIPLE",
    "BlurCalibration",
    "BlurRadius",
    "NetworkConfig",
    "Stage",
    "downsample",
]

if TYPE_CHECKING:
    from fdikp.network.blur_radius import BlurRadius
    from fdikp.network.fdikp import FDIKP, Stage, downsample

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
