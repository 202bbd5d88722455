"""The network of the paper's Figure 3, a file a box.

`config` says what a network is made of, `fdikp` runs its three stages, `kernels` predicts inverse kernels (FIKP) and
`pac` applies them, `dsrm` predicts the coefficient maps with `strips` and `dual_domain` at its bottleneck.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fdikp.network.config import MIN_SIZE, PRESETS, SCALES, SIZE_MULTIPLE, NetworkConfig

_LAZY = ("FDIKP", "Stage", "downsample")

__all__ = ["FDIKP", "MIN_SIZE", "PRESETS", "SCALES", "SIZE_MULTIPLE", "NetworkConfig", "Stage", "downsample"]

if TYPE_CHECKING:
    from fdikp.network.fdikp import FDIKP, Stage, downsample


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module("fdikp.network.fdikp"), name)
    raise AttributeError(f"module 'fdikp.network' has no attribute {name!r}")
