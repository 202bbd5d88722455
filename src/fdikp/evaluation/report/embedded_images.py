"""Images embedded in the page: WebP files as data URIs, within a budget of bytes."""

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
from fdikp.evaluation.report.selection import ReportScene
from fdikp.evaluation.results import ImageResult
from fdikp.imaging import as_unit
from fdikp.plots.canvas import KERNEL_INPUTS, STAGE_TITLES, UNSIGNED, Box, most_changed

ImageData: TypeAlias = np.ndarray | Path
"""[H, W, 3] uint8, or a file."""

MAX_SIDE = 1280
"""Longest side of a whole image, pixels."""

DETAIL_SIDE = 400
"""Side of the detail that is also embedded at full size if the whole image had to be reduced, pixels."""

MAX_PAGE_BYTES = 20_000_000
"""Budget of all images of a page together, before base64 adds a third."""

MAX_IMAGE_BYTES = 400_000
"""Budget of one image."""

MAX_RESULTS = 50
"""Number of results whose images are shown; the list of numbers has all results."""


@dataclass(frozen=True)
class ResultImages:
    """The images of one result, all of one size."""

    before: ImageData
    after: ImageData
    target: ImageData | None = None
    blur_map: np.ndarray | None = None
    """[H, W] float: the dilation map D of eq. 9, pixels."""
    kernels: np.ndarray | None = None
    """[3, 2, N, K, K] float, as in `Analysis.kernels` for one tile: stages coarse to fine, for the blurred input and
    the previous result."""


ImageSource: TypeAlias = Callable[[ImageResult], ResultImages | None]
"""Called once for each selected result, one after another; its return value is released before the next call, so it may
compute the images. None if there are none."""


def embed(scenes: list[ReportScene], images: ImageSource) -> list[dict[str, Any]]:
    """The data of each scene for the page's script; scenes without images have no layers."""
    layers = sum(2.0 + 1.25 * len(scene.results) for scene in scenes)
    budget = int(min(MAX_IMAGE_BYTES, MAX_PAGE_BYTES / max(layers, 1.0)))
    return [_embedded(scene, images, budget) for scene in scenes]


def _embedded(scene: ReportScene, images: ImageSource, budget: int) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    kernels: dict[str, Any] = {}
    scale: dict[str, float] = {}
    box: Box | None = None
    size = (0, 0)
    for result in scene.results:
        found = images(result)
        if found is None:
            continue
        model, after = plain(result.model), _pixels(found.after)
        if not layers:
            before, size = _pixels(found.before), after.shape[:2]
            box = most_changed(before, after, min(DETAIL_SIDE, *size))[0] if max(size) > MAX_SIDE else None
            layers.append(_layer("Input", "input", before, size, box, budget))
            if found.target is not None:
                layers.append(_layer("Target", "target", _pixels(found.target), size, box, budget))
        layers.append(_layer(model, "model", after, size, box, budget))
        if found.blur_map is not None:
            scale[model] = max(2.0, float(found.blur_map.max()))
            colours = _colour_mapped(found.blur_map, scale[model])
            layers.append(_layer(f"{model}: blur map", "map", colours, size, box, budget // 4))
        if found.kernels is not None:
            kernels[model] = _kernels(found.kernels)
    return {"layers": layers, "kernels": kernels, "scale": scale, "width": size[1], "height": size[0]}


def _layer(
    title: str, kind: str, pixels: np.ndarray, size: tuple[int, ...], box: Box | None, budget: int
) -> dict[str, Any]:
    if pixels.shape[:2] != tuple(size):
        raise ValueError(f"{title}: of shape {pixels.shape}, but its other images are {size[0]}x{size[1]}")
    if box is None:
        return {"title": title, "kind": kind, "whole": encoded(pixels, budget)}
    whole, detail = encoded(pixels, budget * 2 // 3), encoded(pixels[box], budget // 3)
    return {"title": title, "kind": kind, "whole": whole, "detail": detail}


def encoded(pixels: np.ndarray, budget: int) -> str:
    """An image [H, W, 3] uint8 as a data URI of WebP with at most `budget` bytes.

    No side exceeds `MAX_SIDE`; quality, then size, is reduced until the budget is met.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    while True:
        for quality in (90, 78, 60):
            file = io.BytesIO()
            image.save(file, "WEBP", quality=quality)
            if file.tell() <= budget or max(image.size) <= 64:
                return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
        image.thumbnail((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.LANCZOS)


def _pixels(image: ImageData) -> np.ndarray:
    """[H, W, 3] uint8."""
    if isinstance(image, np.ndarray):
        return image
    pixels = read_image(image)
    return pixels if pixels.dtype == np.uint8 else np.rint(as_unit(pixels).clip(0, 1) * 255).astype(np.uint8)


def _colour_mapped(values: np.ndarray, highest: float) -> np.ndarray:
    """A map [H, W] as [H, W, 3] uint8, from dark blue at 0 to yellow at `highest`, safe for colour-blind readers."""
    from matplotlib import colormaps

    steps = np.rint(values.astype(np.float32) / highest * 255).clip(0, 255).astype(np.uint8)
    table: np.ndarray = np.rint(colormaps[UNSIGNED](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return table[steps]


def _kernels(kernels: np.ndarray) -> list[dict[str, Any]]:
    """Rows of kernels with their titles. The coarsest stage has no previous result, so both of its inputs are equal."""
    rows = [(s, i) for s in range(len(kernels)) for i in range(2) if s or not i]
    rounded = np.round(kernels.astype(np.float64), 4)
    return [{"title": f"{STAGE_TITLES[s]}: {KERNEL_INPUTS[i]}", "kernels": rounded[s, i].tolist()} for s, i in rows]
