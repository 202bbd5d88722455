"""The network of the paper's Figure 3, a file a box.

`config` says what a network is made of, `fdikp` runs its three stages, `kernels` predicts inverse kernels (FIKP) and
`pac` applies them, `dsrm` predicts the coefficient maps with `strips` and `dual_domain` at its bottleneck.
"""

from fdikp.network.config import PRESETS, NetworkConfig
from fdikp.network.fdikp import FDIKP, GRID, SCALES, SMALLEST, Stage, downsample

__all__ = ["FDIKP", "GRID", "PRESETS", "SCALES", "SMALLEST", "NetworkConfig", "Stage", "downsample"]
