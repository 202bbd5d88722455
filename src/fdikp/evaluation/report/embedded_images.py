"""Pictures as a page carries them: small WebP files in the text itself, within a budget of bytes."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from fdikp.data import read_image
from fdikp.evaluation.report.escaping import plain
from fdikp.evaluation.report.selection import Scene
from fdikp.evaluation.results import ImageResult
from fdikp.imaging import as_unit
from fdikp.plots.canvas import STAGES, UNSIGNED, Box, most_changed

Picture: TypeAlias = np.ndarray | Path
"""[H, W, 3] uint8, or a file."""

LONGEST = 1280
"""Longest side of a whole picture, pixels."""

DETAIL = 400
"""Side of the square that is also shown pixel for pixel where the whole picture had to be made smaller."""

PAGE_BYTES = 20_000_000
"""What all pictures of a page may take together, before base64 makes a third more of it."""

MOST_BYTES = 400_000
"""What one picture may take."""

MOST_RESULTS = 50
"""Results whose pictures are shown; the list of numbers has all of them."""

IMAGES = ("photograph", "result before")


@dataclass(frozen=True)
class ResultImages:
    """What there is to see of one result: all of one size."""

    before: Picture
    after: Picture
    target: Picture | None = None
    blur_map: np.ndarray | None = None
    """[H, W] float: the dilation D of eq. 9, in pixels."""
    kernels: np.ndarray | None = None
    """[3, 2, N, K, K] float, as `Analysis.kernels` has them for one tile: stages coarse to fine, for the stage's blurry
    input and for the result of the stage before."""


Pictures: TypeAlias = Callable[[ImageResult], ResultImages | None]
"""Called once for each result that is chosen, one after another, and let go before the next: it may compute what it
returns. None where there is nothing to see."""


def pack(chosen: list[Scene], pictures: Pictures) -> list[dict[str, Any]]:
    """What the page's script reads of each scene; scenes without any picture have no layers."""
    layers = sum(2.0 + 1.25 * len(scene.results) for scene in chosen)
    budget = int(min(MOST_BYTES, PAGE_BYTES / max(layers, 1.0)))
    return [_packed(scene, pictures, budget) for scene in chosen]


def _packed(scene: Scene, pictures: Pictures, budget: int) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    kernels: dict[str, Any] = {}
    scale: dict[str, float] = {}
    box: Box | None = None
    size = (0, 0)
    for result in scene.results:
        shown = pictures(result)
        if shown is None:
            continue
        model, after = plain(result.model), _pixels(shown.after)
        if not layers:
            before, size = _pixels(shown.before), after.shape[:2]
            box = most_changed(before, after, min(DETAIL, *size))[0] if max(size) > LONGEST else None
            layers.append(_layer("Input", "input", before, size, box, budget))
            if shown.target is not None:
                layers.append(_layer("Target", "target", _pixels(shown.target), size, box, budget))
        layers.append(_layer(model, "model", after, size, box, budget))
        if shown.blur_map is not None:
            scale[model] = max(2.0, float(shown.blur_map.max()))
            coloured = _coloured(shown.blur_map, scale[model])
            layers.append(_layer(f"{model}: blur map", "map", coloured, size, box, budget // 4))
        if shown.kernels is not None:
            kernels[model] = _kernels(shown.kernels)
    return {"layers": layers, "kernels": kernels, "scale": scale, "width": size[1], "height": size[0]}


def _layer(
    title: str, kind: str, pixels: np.ndarray, size: tuple[int, ...], box: Box | None, budget: int
) -> dict[str, Any]:
    if pixels.shape[:2] != tuple(size):
        raise ValueError(f"{title}: of shape {pixels.shape}, but the pictures beside it are {size[0]}x{size[1]}")
    if box is None:
        return {"title": title, "kind": kind, "whole": encoded(pixels, budget)}
    whole, detail = encoded(pixels, budget * 2 // 3), encoded(pixels[box], budget // 3)
    return {"title": title, "kind": kind, "whole": whole, "detail": detail}


def encoded(pixels: np.ndarray, budget: int) -> str:
    """A picture [H, W, 3] uint8 as WebP of no more than `budget` bytes in a data URI: no side above `LONGEST`, and less
    quality, then fewer pixels, where that is too much."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    while True:
        for quality in (90, 78, 60):
            file = io.BytesIO()
            picture.save(file, "WEBP", quality=quality)
            if file.tell() <= budget or max(picture.size) <= 64:
                return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
        picture.thumbnail((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)


def _pixels(picture: Picture) -> np.ndarray:
    """[H, W, 3] uint8."""
    if isinstance(picture, np.ndarray):
        return picture
    pixels = read_image(picture)
    return pixels if pixels.dtype == np.uint8 else np.rint(as_unit(pixels).clip(0, 1) * 255).astype(np.uint8)


def _coloured(values: np.ndarray, most: float) -> np.ndarray:
    """A map [H, W] as [H, W, 3] uint8; colours from dark blue at 0 to yellow at `most`, told apart by all readers."""
    from matplotlib import colormaps

    steps = np.rint(values.astype(np.float32) / most * 255).clip(0, 255).astype(np.uint8)
    table: np.ndarray = np.rint(colormaps[UNSIGNED](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return table[steps]


def _kernels(kernels: np.ndarray) -> list[dict[str, Any]]:
    """Rows of kernels with their titles. At the coarsest stage there is no result before, and both images are one."""
    places = [(s, i) for s in range(len(kernels)) for i in range(2) if s or not i]
    rounded = np.round(kernels.astype(np.float64), 4)
    return [{"title": f"{STAGES[s]}: {IMAGES[i]}", "kernels": rounded[s, i].tolist()} for s, i in places]
