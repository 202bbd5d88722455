"""Restore pixels of any type with the network's result, band by band or whole."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fdikp.imaging.selection import Selection
from fdikp.inference.pixels import apply_change, from_rgb, keep_where, to_rgb
from fdikp.inference.tiled import BLUR_MAP, BLUR_RADIUS, IMAGE, Maps, TiledInference


def restored_bands(
    run: TiledInference,
    pixels: Tensor,
    strength: float,
    selection: Selection,
    maps: Sequence[Maps] = (),
) -> Iterator[tuple[int, Tensor, np.ndarray]]:
    """Restore pixels in bands; when memory runs out, it starts again at the first row.

    The result is before + strength · weight · (clamp(network) - before), clamped. Where the selection's weight is 0,
    the samples stay as they are, bit for bit. Without `maps`, only the tiles that the selection needs are computed.

    Args:
        run: a run that has not started.
        pixels: [H, W, C], C = 1 or 3, uint8, uint16 or float.
        strength: the fraction of the predicted change to apply.
        selection: where to apply it.
        maps: the maps to return; `BLUR_MAP` comes first.

    Yields:
        The index of the band's first row; its pixels [h, W, C], of the same type, on the CPU; its maps [n, h, W]
        float32.

    Raises:
        ArgumentError: the selection does not fit the image.
        RequestError: the selection or a map needs the blur radius, and the weights have no calibration.
    """
    gate = (BLUR_RADIUS,) if selection.needs_blur and BLUR_MAP not in maps else ()
    outputs = (IMAGE, *gate, *maps)
    spatial = selection.spatial_weights(*pixels.shape[:2])
    changed = False
    for y, band in run.bands(pixels, outputs, None if maps else spatial):
        rows = pixels[y : y + band.shape[1]].cpu()
        weight = np.float32(1) if spatial is None else spatial.rows(y, y + len(rows))[..., None]
        if selection.needs_blur:
            weight = weight * selection.blur_gate(band[3])[..., None]
        if weight.any():
            changed = True
            predicted = torch.from_numpy(band[:3]).permute(1, 2, 0).clamp(0, 1)
            factor = strength * torch.from_numpy(np.asarray(weight))
            restored = from_rgb(apply_change(to_rgb(rows), predicted, factor), rows.shape[-1], rows.dtype)
            rows = keep_where(factor == 0, rows, restored)
        yield y, rows, band[3 + len(gate) :]
    if not changed:
        run.note("nothing is selected, so the image stays as it is; check the mask, the regions and the blur limits")


def restore(
    run: TiledInference,
    pixels: Tensor,
    strength: float,
    selection: Selection,
    maps: Sequence[Maps] = (),
) -> tuple[Tensor, np.ndarray]:
    """Restore pixels as `restored_bands` does: the result, of their type and on their device, and the maps [n, H, W]
    float32."""
    restored = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    whole_maps = np.empty((sum(map.channels for map in maps), *pixels.shape[:2]), np.float32)
    for y, rows, maps_band in restored_bands(run, pixels, strength, selection, maps):
        restored[y : y + len(rows)] = rows.to(restored.device)
        whole_maps[:, y : y + len(rows)] = maps_band
    return restored, whole_maps
