"""The fields of a configuration that tensors do not show, as integers that a state dict carries beside them.

A program that has only a state dict, and not the header of the file, can then rebuild the network. They are integers
because a conversion of the network to 16 bits leaves integers as they are.
"""

from collections.abc import Sequence
from typing import Any

from fdikp.network.config import BLUR_READS, KERNELS_ACT_ON, NetworkConfig

KEY = "encoded_config"
"""Name of the tensor in a state dict: int64, [8]."""

VERSION = 1
"""Of the format: the first number."""


def encode(config: NetworkConfig) -> list[int]:
    """The numbers for a configuration.

    In order: the version of this format, `heads`, `dilation_range` in millionths of a pixel, the index of `blur_reads`
    and that of `kernels_act_on` among their values, `kernel_size`, `predictor_width`, and 1 for `position_adaptive`.

    >>> encode(NetworkConfig())
    [1, 4, 2000000, 0, 0, 5, 128, 1]
    """
    return [
        VERSION,
        config.heads,
        round(config.dilation_range * 10**6),
        BLUR_READS.index(config.blur_reads),
        KERNELS_ACT_ON.index(config.kernels_act_on),
        config.kernel_size,
        config.predictor_width,
        int(config.position_adaptive),
    ]


def decode(values: Sequence[int]) -> dict[str, Any]:
    """The fields of a configuration, by name, that `encode` made these numbers of.

    Raises:
        ValueError: they are of another version, or not such numbers.
    """
    if len(values) != 8 or values[0] != VERSION:
        raise ValueError(f"encoded_config {list(values)} is not of version {VERSION}, which this fdikp reads")
    _, heads, dilation_range, blur_reads, kernels_act_on, kernel_size, predictor_width, position_adaptive = values
    if not (0 <= blur_reads < len(BLUR_READS) and 0 <= kernels_act_on < len(KERNELS_ACT_ON)):
        raise ValueError(f"encoded_config {list(values)} has a number that stands for nothing")
    return {
        "heads": heads,
        "dilation_range": dilation_range / 10**6,
        "blur_reads": BLUR_READS[blur_reads],
        "kernels_act_on": KERNELS_ACT_ON[kernels_act_on],
        "kernel_size": kernel_size,
        "predictor_width": predictor_width,
        "position_adaptive": bool(position_adaptive),
    }
