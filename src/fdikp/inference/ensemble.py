"""Self-ensemble: restore an image in eight orientations, and average the results.

Blur has no preferred direction, but a trained network has: its result changes a little as the image is turned. These
changes are errors, and most of them cancel in the mean.
"""

from dataclasses import replace

from torch import Tensor

from fdikp.network import FDIKP, Stage

ORIENTATIONS = 8
"""Four quarter turns, each with and without mirroring."""


def orient(x: Tensor, orientation: int) -> Tensor:
    """Turn and mirror an image [..., H, W] into one of the orientations; 0 leaves it as it is."""
    x = x.flip(-1) if orientation >= 4 else x
    return x.rot90(orientation % 4, (-2, -1))


def undo_orient(x: Tensor, orientation: int) -> Tensor:
    """The inverse of `orient`."""
    x = x.rot90(-(orientation % 4), (-2, -1))
    return x.flip(-1) if orientation >= 4 else x


def ensemble_stages(network: FDIKP, x: Tensor) -> list[Stage]:
    """The network's stages for x [B, 3, H, W]; the finest image and dilation map are means over all orientations.

    Kernels and coefficient maps are those of orientation 0. Memory holds one orientation at a time.
    """
    stages = network.padded_stages(x)
    finest = stages[-1]
    image, dilation = finest.image, finest.dilation
    for orientation in range(1, ORIENTATIONS):
        stage = network.padded_stages(orient(x, orientation).contiguous())[-1]
        image = image + undo_orient(stage.image, orientation)
        dilation = dilation + undo_orient(stage.dilation, orientation)
    return [*stages[:-1], replace(finest, image=image / ORIENTATIONS, dilation=dilation / ORIENTATIONS)]
