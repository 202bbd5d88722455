"""Restore pixels of any type with the network's result, band by band or whole."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from fdikp.inference.pixels import apply_change, from_rgb, to_rgb
from fdikp.inference.tiled import TiledInference
from fdikp.network import Stage

Maps = Callable[[Stage], list[Tensor]]
"""Picks the maps [n, h, w] of a tile's finest stage (B = 1) that are returned beside the image."""


def dilation(stage: Stage) -> list[Tensor]:
    """The dilation map D of the blurry image, [1, h, w]."""
    return [stage.dilation[0, :1]]


def dilation_and_coefficients(stage: Stage) -> list[Tensor]:
    """The dilation map, [1, h, w], and the coefficient maps, [2(N + 1), h, w]."""
    return [*dilation(stage), stage.coefficients[0].flatten(0, 1)]


def restored_bands(
    run: TiledInference, pixels: Tensor, strength: float, maps: Maps | None = None
) -> Iterator[tuple[int, Tensor, np.ndarray]]:
    """Restore pixels in bands; when memory runs out, it starts again at the first row.

    Args:
        run: a run that has not started.
        pixels: [H, W, C], C = 1 or 3, uint8, uint16 or float.
        strength: the fraction of the predicted change to apply.
        maps: the maps to return.

    Yields:
        The index of the band's first row; its pixels [h, W, C], of the same type, on the CPU; its maps [n, h, W]
        float32.
    """

    def outputs(stage: Stage) -> Tensor:
        return torch.cat([part.float() for part in (stage.image[0], *(maps(stage) if maps else ()))])

    for y, band in run.bands(pixels, outputs):
        blurry = to_rgb(pixels[y : y + band.shape[1]]).cpu()
        predicted = torch.from_numpy(band[:3]).permute(1, 2, 0)
        restored = apply_change(blurry, predicted, strength)
        yield y, from_rgb(restored, pixels.shape[-1], pixels.dtype), band[3:]


def restore(
    run: TiledInference, pixels: Tensor, strength: float, maps: Maps | None = None
) -> tuple[Tensor, np.ndarray]:
    """Restore pixels: the result, of their type and on their device, and the maps [n, H, W] float32.

    Args:
        run: a run that has not started.
        pixels: [H, W, C], C = 1 or 3, uint8, uint16 or float.
        strength: the fraction of the predicted change to apply.
        maps: the maps to return.
    """
    restored = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    whole_maps: np.ndarray | None = None
    for y, rows, maps_band in restored_bands(run, pixels, strength, maps):
        if whole_maps is None:
            whole_maps = np.empty((len(maps_band), *pixels.shape[:2]), np.float32)
        restored[y : y + len(rows)] = rows.to(restored.device)
        whole_maps[:, y : y + len(rows)] = maps_band
    assert whole_maps is not None
    return restored, whole_maps
