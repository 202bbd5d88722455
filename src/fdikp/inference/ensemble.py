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
    """The network's stages for x [B, 3, H, W]; their images and dilation maps are means over all orientations.

    Kernels and coefficient maps are those of orientation 0. Memory holds one orientation at a time.
    """
    upright = network.padded_stages(x)
    images, dilations = ([getattr(stage, name) for stage in upright] for name in ("image", "dilation"))
    for orientation in range(1, ORIENTATIONS):
        for i, stage in enumerate(network.padded_stages(orient(x, orientation).contiguous())):
            images[i] = images[i] + undo_orient(stage.image, orientation)
            dilations[i] = dilations[i] + undo_orient(stage.dilation, orientation)
    return [
        replace(stage, image=image / ORIENTATIONS, dilation=dilation / ORIENTATIONS)
        for stage, image, dilation in zip(upright, images, dilations, strict=True)
    ]
