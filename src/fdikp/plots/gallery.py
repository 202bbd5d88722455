"""A sheet that shows one scene with lights, rendered through each kind of aperture."""

import math
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from fdikp.imaging.limits import white_level
from fdikp.plots.canvas import UNSIGNED, render, shrink
from fdikp.synthesis import Aperture, Field, RenderSettings, Scene, Surface, render_scene
from fdikp.synthesis.depth import coverage, smooth_noise
from fdikp.synthesis.lens import ThinLens, draw_lens
from fdikp.synthesis.rng import RandomStream
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

APERTURES = {
    "circle": Aperture(edge=0.05, diffraction=0.3),
    "six blades": Aperture(blades=6, roundness=0.1, angle=0.2, edge=0.05, diffraction=0.3),
    "nine rounded blades": Aperture(blades=9, roundness=0.6, angle=0.2, edge=0.05, diffraction=0.3),
    "soft edge": Aperture(edge=0.8, diffraction=0.3),
    "bright rim": Aperture(ring=0.6, edge=0.05, diffraction=0.3),
    "dark rim": Aperture(ring=-0.5, edge=0.1, diffraction=0.3),
    "cat's eye": Aperture(cats_eye=1.0, edge=0.05, diffraction=0.3),
}

LONGEST = 480
"""Longest side of the scene, pixels; larger photos are reduced."""

LIGHTS = 0.1, 0.5, 0.9
"""Positions of the lights along each side, as fractions; they form a grid of nine."""

BRIGHTNESS = 0.4
"""Linear brightness of a light's disc at the largest radius."""


def gallery(pixels: np.ndarray, settings: RenderSettings, seed: int) -> np.ndarray:
    """The sheet [H, W, 3] uint8 for a photo [H, W, 1 or 3]."""
    white = white_level(pixels.dtype.name)
    image = torch.from_numpy(shrink(pixels, LONGEST) / white).float().permute(2, 0, 1).expand(3, -1, -1)
    light = _with_lights(srgb_to_linear(image), BRIGHTNESS * math.pi * settings.max_radius**2)
    height, width = light.shape[-2:]
    scene = _scene(RandomStream(seed), height, width, settings.max_radius)
    field = Field.of_tile(0, 0, width, height, width, height)

    proportion = min(max(height / width, 0.3), 2.0)
    figure = Figure(figsize=(16.0, len(APERTURES) * 4.2 * proportion + 0.6), dpi=100, layout="constrained")
    grid = figure.subplots(len(APERTURES), 4, squeeze=False, width_ratios=(1, 1.2, 1, 0.8))
    for row, (name, aperture) in zip(grid, APERTURES.items(), strict=True):
        blurred, sharp, radius = render_scene(light, scene, aperture, settings.max_radius, field)
        _show(row[0], _displayed(sharp))
        shown = row[1].imshow(radius[0].numpy(), cmap=UNSIGNED, vmin=0, vmax=settings.max_radius)
        figure.colorbar(shown, ax=row[1], label="pixels", shrink=0.7)
        _show(row[2], _displayed(blurred))
        _show(row[3], _displayed(_lights(blurred, round(2.5 * settings.max_radius))))
        row[0].set_ylabel(name, fontsize=14)
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
    for axes, title in zip(grid[0], ("all in focus", "blur radius", "rendered", "its lights"), strict=True):
        axes.set_title(title, fontsize=14)
    return render(figure)


def chart(height: int = 320, width: int = 480) -> np.ndarray:
    """A test image [H, W, 3] uint8 with edges, texture and dark parts, to use without a photo."""
    y, x = np.mgrid[:height, :width]
    tiles = ((x // 40 + y // 40) % 2).astype(np.float32)
    stripes = (np.sin(x * (2 + y / 40) / 12) > 0).astype(np.float32)
    ramp = x / width
    base = np.where((y // 80) % 2 == 0, 0.35 + 0.4 * tiles, 0.3 + 0.45 * stripes) * (0.6 + 0.4 * ramp)
    tint = np.stack([1.0 - 0.3 * ramp, np.full_like(ramp, 0.85), 0.7 + 0.3 * ramp], axis=-1)
    texture = np.random.default_rng(0).normal(0.0, 0.02, (height, width, 1))
    return np.clip(255 * (base[..., None] * tint + texture), 0, 255).astype(np.uint8)


def _with_lights(light: Tensor, brightness: float) -> Tensor:
    """An image [3, H, W] dimmed, with nine lights in two colours."""
    light = 0.5 * light
    for n, (row, column) in enumerate(_places(light)):
        light[:, row, column] = torch.tensor((1.0, 0.8, 0.5) if n % 2 else (0.7, 0.85, 1.0)) * brightness
    return light


def _places(light: Tensor) -> list[tuple[int, int]]:
    height, width = light.shape[-2:]
    return [(int(y * (height - 1)), int(x * (width - 1))) for y in LIGHTS for x in LIGHTS]


def _scene(draws: RandomStream, height: int, width: int, max_radius: float) -> Scene:
    """A wall that recedes to the right, an object in focus before it, and one out of focus in front of that."""
    lens: ThinLens = draw_lens(draws, max(height, width), max_radius)

    def surface(low: float, high: float, matte: Tensor, **content: Any) -> Surface:
        ends = lens.inverse_distance(low * max_radius), lens.inverse_distance(high * max_radius)
        ramp = torch.linspace(0, 1, width).expand(1, height, width)
        return Surface(matte, ends, ramp, 1 if low == high else 12, **content)

    def outline(x: float, y: float, size: float) -> Tensor:
        rows = torch.linspace(0, 1, height)[:, None] - y
        columns = (torch.linspace(0, 1, width)[None] - x) * width / height
        bumps = 0.05 * smooth_noise(draws, height, width, 3, 5)
        return coverage((size - torch.hypot(rows, columns))[None] + bumps, 1.2)

    return Scene(
        (
            surface(0.5, 1.0, torch.ones(1, height, width)),
            surface(0.0, 0.0, outline(0.36, 0.45, 0.22), flip=(-1,), gain=(1.2, 1.0, 0.8)),
            surface(-0.7, -0.7, outline(0.1, 1.0, 0.35), flip=(-2,), gain=(0.7, 0.9, 1.1)),
        ),
        lens,
    )


def _lights(blurred: Tensor, half: int) -> Tensor:
    """The surroundings of each light as one image [3, H, W], arranged as in the scene."""
    padded = torch.nn.functional.pad(blurred, (half, half, half, half))
    size = 2 * half + 1
    crops = [padded[:, row : row + size, column : column + size] for row, column in _places(blurred)]
    rows = [torch.cat(crops[n : n + len(LIGHTS)], dim=-1) for n in range(0, len(crops), len(LIGHTS))]
    return torch.cat(rows, dim=-2)


def _displayed(light: Tensor) -> np.ndarray:
    return linear_to_srgb(light.clamp_max(1.0)).permute(1, 2, 0).numpy()


def _show(axes: Any, image: np.ndarray) -> None:
    axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
