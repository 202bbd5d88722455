"""The colour filter mosaic of a sensor, and demosaicing."""

import torch
from torch import Tensor
from torch.nn import functional as F

# The five linear filters of Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of
# Bayer-patterned color images" (ICASSP 2004), Fig. 2, times 16. Each keeps constants and linear gradients.
_FILTERS = torch.tensor(
    [
        # green at red and blue
        [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]],
        # red (blue) at green in a row of red (blue)
        [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]],
        # red (blue) at green in a column of red (blue)
        [[0, 0, -2, 0, 0], [0, -2, 8, -2, 0], [1, 0, 10, 0, 1], [0, -2, 8, -2, 0], [0, 0, -2, 0, 0]],
        # red at blue, blue at red
        [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]],
    ]
)


def bayer_masks(height: int, width: int, pattern: int, device: torch.device | None = None) -> Tensor:
    """Which of red, green and blue each pixel of the sensor measures, [3, H, W] bool.

    pattern: 0 to 3 for RGGB, GRBG, GBRG, BGGR.
    """
    rows = (torch.arange(height, device=device)[:, None] + pattern // 2) % 2
    columns = (torch.arange(width, device=device)[None, :] + pattern % 2) % 2
    red, blue = (rows == 0) & (columns == 0), (rows == 1) & (columns == 1)
    return torch.stack([red, ~(red | blue), blue])


def through_mosaic(light: Tensor, pattern: int) -> Tensor:
    """Sample light through a Bayer mosaic and demosaic it.

    Constants are preserved, and, away from the borders, linear gradients.

    Args:
        light: [3, H, W] linear, unbounded.
        pattern: as for `bayer_masks`.
    """
    height, width = light.shape[-2:]
    masks = bayer_masks(height, width, pattern, light.device)
    raw = (light * masks).sum(dim=0, keepdim=True)
    filters = (_FILTERS.to(light) / 16.0)[:, None]
    # Mirroring about the border pixel continues the mosaic; images too small for that are padded by repetition
    mode = "reflect" if min(height, width) > 2 else "replicate"
    green, along_row, along_column, across = F.conv2d(F.pad(raw[None], (2, 2, 2, 2), mode=mode), filters)[0]
    red_rows = masks[0].any(dim=1)[:, None]
    at_red, at_green, at_blue = masks
    red = torch.where(at_green, torch.where(red_rows, along_row, along_column), across)
    blue = torch.where(at_green, torch.where(red_rows, along_column, along_row), across)
    return torch.stack(
        [torch.where(at_red, raw[0], red), torch.where(at_green, raw[0], green), torch.where(at_blue, raw[0], blue)]
    )
