"""Synthetic scenes: which surfaces there are, where in the image, and how far from the lens.

A surface's blur radii are drawn first; it is then placed at the distances where the lens produces them. So the same
scene under another lens, or another f-number, is blurred as optics predicts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.lens import ThinLens, draw_lens
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.settings import RenderSettings


@dataclass(frozen=True)
class Surface:
    """One layer of a scene. Maps have the size of the image."""

    matte: Tensor
    """[1, H, W] coverage 0..1; all ones for the background."""

    ends: tuple[float, float]
    """Inverse distances from the lens in 1/m, where `ramp` is 0 and where it is 1."""

    ramp: Tensor
    """[1, H, W] in 0..1: the position of the inverse distance between the two ends. Linear for a plane in space."""

    levels: int = 1
    """Number of depths that approximate the surface; blur is interpolated between two. 1 if both ends are equal."""

    flip: tuple[int, ...] = ()
    """Axes along which the image is mirrored, to give this surface other content than the background."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gain on the light of each channel."""

    @property
    def foreign(self) -> bool:
        """Whether the content differs from the image at the same place."""
        return bool(self.flip) or self.gain != (1.0, 1.0, 1.0)

    def radii(self, lens: ThinLens) -> Tensor:
        """Signed blur radius in pixels at each level, [Q], equally spaced in inverse distance.

        If the focal plane cuts the surface, one level is set to radius 0: interpolating between the blurs of radii -1
        and 1 would leave no point in focus.
        """
        low, high = (lens.blur_radius(end) for end in self.ends)
        radii = torch.linspace(low, high, self.levels)
        if low * high < 0.0:
            radii[radii.abs().argmin()] = 0.0
        return radii.to(self.ramp.device)

    def level_weight(self, level: int, ramp: Tensor | None = None) -> Tensor:
        """Interpolation weight of a level at each pixel, [1, H, W]; over all levels they sum to 1.

        Args:
            level: from 0 to `levels` - 1.
            ramp: a crop of `ramp`, for the weights in that crop.
        """
        depth = (self.ramp if ramp is None else ramp) * (self.levels - 1)
        return (1.0 - (depth - level).abs()).clamp_min(0.0)

    def radius_map(self, lens: ThinLens) -> Tensor:
        """Absolute blur radius in pixels, [1, H, W]."""
        radius = torch.zeros_like(self.ramp)
        for level, level_radius in enumerate(self.radii(lens)):
            radius += self.level_weight(level) * level_radius
        return radius.abs()


@dataclass(frozen=True)
class Scene:
    """The surfaces in front of the camera, and its lens with a focus distance."""

    surfaces: tuple[Surface, ...]
    """From the back to the front; the first covers the whole image."""

    lens: ThinLens


def draw_scene(rng: RandomStream, image: Tensor, settings: RenderSettings) -> Scene:
    """Draw the scene of one pair. image: [3, H, W] in 0..1; outlines may follow its edges."""
    height, width = image.shape[-2:]
    lens = draw_lens(rng.fork("lens"), max(settings.frame, height, width), settings.max_radius)
    return Scene(tuple(_draw_surfaces(rng, image, settings, lens)), lens)


def _draw_surfaces(rng: RandomStream, image: Tensor, settings: RenderSettings, lens: ThinLens) -> list[Surface]:
    kind = rng.uniform(0.0, 1.0)
    if kind < settings.p_sharp:
        return [_surface(rng, image, settings, lens, 0.0, 0.0)]
    kind -= settings.p_sharp
    if kind < settings.p_uniform:
        radius = _radius(rng, settings)
        return [_surface(rng, image, settings, lens, radius, radius)]
    kind -= settings.p_uniform
    if kind < settings.p_single:
        crossing = rng.chance(0.2)  # the focal plane cuts the surface, else one end of it is in focus
        near = -_radius(rng, settings) if crossing else 0.0
        return [_surface(rng, image, settings, lens, near, _radius(rng, settings))]
    return _draw_layers(rng, image, settings, lens)


def _draw_layers(rng: RandomStream, image: Tensor, settings: RenderSettings, lens: ThinLens) -> list[Surface]:
    """A background and one or two cut-out surfaces, one of the surfaces in focus (nearly always)."""
    count = 3 if rng.chance(0.3) else 2
    focus = rng.integer(0, count - 1)
    behind = sorted((_radius(rng, settings) for _ in range(focus)), reverse=True)
    before = sorted((-_radius(rng, settings) for _ in range(count - focus - 1)), reverse=True)
    if before and rng.chance(0.2):
        before[0] = 0.0  # two surfaces in focus, one occluding the other
    missed = rng.chance(0.05)  # nothing is in focus
    surfaces = []
    furthest = settings.max_radius
    for index, radius in enumerate([*behind, 0.0, *before]):
        low = high = radius
        if index == focus and missed:
            low = high = 0.5 * _radius(rng, settings)
        elif index == focus and rng.chance(0.2):
            high = _radius(rng, settings)
        elif rng.chance(0.5):
            high = radius * rng.uniform(0.5, 1.5)
        # A surface in front of another reaches no further back than it
        low, high = min(low, furthest), max(-settings.max_radius, min(high, furthest))
        furthest = max(low, high)
        surfaces.append(_surface(rng, image, settings, lens, low, high, cut_out=index > 0))
    return surfaces


def _radius(rng: RandomStream, settings: RenderSettings) -> float:
    """Radius of a surface out of focus, between the smallest and the largest, distributed by `radius_exponent`.

    Kernels fitted to the clearly blurred parts of real pairs have quartiles of 4, 5.5 and 6.5 pixels (Lytro) and 4.7,
    7.5 and 9 pixels (EPFL): `research/real_blur.py`. Blur too weak to be fitted is smaller.
    """
    position: float = rng.uniform(0.0, 1.0) ** settings.radius_exponent
    return settings.min_radius + (settings.max_radius - settings.min_radius) * position


def _surface(
    rng: RandomStream,
    image: Tensor,
    settings: RenderSettings,
    lens: ThinLens,
    low: float,
    high: float,
    cut_out: bool = False,
) -> Surface:
    """A surface at the distances where its signed blur radius goes from `low` to `high`, in pixels."""
    height, width = image.shape[-2:]
    flip: tuple[int, ...] = ()
    gain = (1.0, 1.0, 1.0)
    matte = torch.ones(1, height, width, device=image.device)
    if cut_out:
        matte = _draw_matte(rng, image)
        if rng.chance(settings.p_foreign):
            flip = ((-1,), (-2,), (-1, -2))[rng.integer(0, 2)]
            level = rng.log_uniform(0.5, 1.6)
            gain = (level * rng.uniform(0.85, 1.15), level, level * rng.uniform(0.85, 1.15))
    ramp = torch.zeros(1, height, width) if low == high else _draw_ramp(rng, height, width)
    ends = lens.inverse_distance(low), lens.inverse_distance(high)
    levels = 1 if low == high else settings.levels
    return Surface(matte, ends, ramp.to(image.device), levels, flip, gain)


def _draw_ramp(rng: RandomStream, height: int, width: int) -> Tensor:
    """A ramp [1, H, W] in 0..1: a slanted plane or a smooth field, from a gentle slope to nearly a step."""
    field = _plane(rng, height, width) if rng.chance(0.5) else smooth_noise(rng, height, width, 1, 3)
    field = (field - field.mean()) / field.std().clamp_min(1e-6)
    steepness = rng.log_uniform(0.25, 6.0)
    return (0.5 + steepness * (field - rng.uniform(-0.5, 0.9))).clamp(0.0, 1.0)


def _draw_matte(rng: RandomStream, image: Tensor) -> Tensor:
    """Coverage [1, H, W] of a cut-out surface: blob, image-guided blob, convex shape, or thin branches and wires."""
    height, width = image.shape[-2:]
    kind = rng.uniform(0.0, 1.0)
    if kind < 0.3:
        field = smooth_noise(rng, height, width, 1, 6)
        field = field - _quantile(field, rng.uniform(0.25, 0.75))
    elif kind < 0.55:
        field = 0.6 * smooth_noise(rng, height, width, 1, 5) + _smooth_luminance(image).cpu()
        field = field - _quantile(field, rng.uniform(0.25, 0.75))
    elif kind < 0.85:
        field = _convex(rng, height, width)
    else:
        field = smooth_noise(rng, height, width, 2, 6).abs()
        field = _quantile(field, rng.uniform(0.08, 0.35)) - field
    softness = rng.uniform(1.0, 1.5) if rng.chance(0.8) else rng.uniform(1.5, 4.0)
    return coverage(field, softness).to(image.device)


def coverage(field: Tensor, softness: float) -> Tensor:
    """Coverage 0..1 of the region where field > 0, with an edge `softness` pixels wide whatever the field's slope."""
    padded = F.pad(field[None], (1, 1, 1, 1), mode="replicate")[0]
    slope_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    slope_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    slope = torch.hypot(slope_x, slope_y).clamp_min(1e-6)
    return (0.5 + field / (slope * softness)).clamp(0.0, 1.0)


def smooth_noise(rng: RandomStream, height: int, width: int, low: int, high: int) -> Tensor:
    """[1, H, W] noise of about unit variance with `low`..`high` bumps along the shorter side, and finer ones on it."""
    cells = rng.log_uniform(low, high + 1)
    roughness = rng.uniform(0.0, 0.35)
    field = torch.zeros(1, 1, height, width)
    for octave, weight in ((1, 1.0), (3, roughness)):
        rows = max(2, round(octave * cells * height / min(height, width))) + 1
        columns = max(2, round(octave * cells * width / min(height, width))) + 1
        grid = rng.normal(1, 1, rows, columns)
        field = field + weight * F.interpolate(grid, (height, width), mode="bicubic", align_corners=True)
    return field[0]


def _plane(rng: RandomStream, height: int, width: int) -> Tensor:
    """[1, H, W] signed distance in pixels from a random line through the image."""
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    normal = rng.normal(2)
    normal = normal / normal.norm().clamp_min(1e-6)
    rows = torch.arange(height, dtype=torch.float32)[:, None] - y
    columns = torch.arange(width, dtype=torch.float32)[None, :] - x
    return (rows * normal[0] + columns * normal[1])[None]


def _convex(rng: RandomStream, height: int, width: int) -> Tensor:
    """Signed distance [1, H, W] to the border of a half-plane, wedge or polygon; positive inside, or outside."""
    sides = rng.integer(1, 4)
    planes = torch.cat([_plane(rng, height, width) for _ in range(sides)])
    inside = planes.amin(dim=0, keepdim=True)
    return inside if rng.chance(0.5) else -inside


def _smooth_luminance(image: Tensor) -> Tensor:
    """Luminance without detail, [1, H, W], mean 0 and variance 1."""
    luminance = image.mean(dim=0, keepdim=True)[None]
    for _ in range(2):
        luminance = F.avg_pool2d(luminance, 5, stride=1, padding=2, count_include_pad=False)
    return ((luminance - luminance.mean()) / luminance.std().clamp_min(1e-3))[0]


def _quantile(field: Tensor, fraction: float) -> Tensor:
    sample = field.flatten()[:: max(1, field.numel() // 1024)]
    return sample.kthvalue(1 + int(fraction * (sample.numel() - 1))).values
