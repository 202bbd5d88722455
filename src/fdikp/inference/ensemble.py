"""Self-ensemble: a picture restored in eight positions, turned and mirrored, and the mean of the results.

A blur has no preferred direction, a trained network has: what it makes of a picture changes a little as the picture is
turned. Those changes are errors, and most of them cancel.
"""

from dataclasses import replace

from torch import Tensor

from fdikp.network import FDIKP, Stage

POSITIONS = 8
"""Four quarter turns, each as it is and mirrored."""


def turned(x: Tensor, position: int) -> Tensor:
    """A picture [..., H, W] in one of the positions; 0 is as it is."""
    x = x.flip(-1) if position >= 4 else x
    return x.rot90(position % 4, (-2, -1))


def turned_back(x: Tensor, position: int) -> Tensor:
    """A picture in one of the positions as it was."""
    x = x.rot90(-(position % 4), (-2, -1))
    return x.flip(-1) if position >= 4 else x


def ensemble_stages(network: FDIKP, x: Tensor) -> list[Stage]:
    """The network's stages for x [B, 3, H, W], with the mean over all positions as the finest image and dilated map.

    Kernels and coefficient maps are those of the picture as it is. One position at a time is in memory.
    """
    stages = network.padded_stages(x)
    finest = stages[-1]
    image, dilation = finest.image, finest.dilation
    for position in range(1, POSITIONS):
        seen = network.padded_stages(turned(x, position).contiguous())[-1]
        image = image + turned_back(seen.image, position)
        dilation = dilation + turned_back(seen.dilation, position)
    return [*stages[:-1], replace(finest, image=image / POSITIONS, dilation=dilation / POSITIONS)]
