"""Made scenes: which surfaces there are, where in the picture, and how far from the lens.

A surface is drawn by the blur radii it is to have, and put at the distances where the lens gives it those: one scene
under another lens, or the same one opened wider, is blurred as optics says.
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
    """One layer of a scene. Fields that are maps have the size of the picture."""

    matte: Tensor
    """[1, H, W] coverage 0..1; all ones for the background."""

    ends: tuple[float, float]
    """Inverse distances in 1/m from the lens, where `ramp` is 0 and where it is 1."""

    ramp: Tensor
    """[1, H, W] in 0..1: the inverse distance between the two ends. Linear for a plane in space."""

    levels: int = 1
    """Depths into which the surface is cut; between two of them their blurs are blended. 1 if both ends are equal."""

    flip: tuple[int, ...] = ()
    """Axes along which the picture is mirrored to give this surface other content than the background's."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor on the light of each channel."""

    @property
    def foreign(self) -> bool:
        """Whether the content differs from what the picture shows at the same place."""
        return bool(self.flip) or self.gain != (1.0, 1.0, 1.0)

    def radii(self, lens: ThinLens) -> Tensor:
        """[Q] signed blur radii in pixels at each level, even in inverse distance.

        Where the focal plane cuts the surface one level lies in it: between radii of -1 and 1 is focus, not blur.
        """
        low, high = (lens.blur_radius(end) for end in self.ends)
        radii = torch.linspace(low, high, self.levels)
        if low * high < 0.0:
            radii[radii.abs().argmin()] = 0.0
        return radii.to(self.ramp.device)

    def share(self, level: int, ramp: Tensor | None = None) -> Tensor:
        """[1, H, W] weight of a level at each pixel, or where a cut-out of the ramp is given, there. All sum to 1."""
        depth = (self.ramp if ramp is None else ramp) * (self.levels - 1)
        return (1.0 - (depth - level).abs()).clamp_min(0.0)

    def radius_map(self, lens: ThinLens) -> Tensor:
        """[1, H, W] blur radius in pixels, without sign."""
        radius = torch.zeros_like(self.ramp)
        for level, of_level in enumerate(self.radii(lens)):
            radius += self.share(level) * of_level
        return radius.abs()


@dataclass(frozen=True)
class Scene:
    """What is photographed, and the lens that is focused on a part of it."""

    surfaces: tuple[Surface, ...]
    """From the back to the front; the first covers all."""

    lens: ThinLens


def draw_scene(rng: RandomStream, picture: Tensor, settings: RenderSettings) -> Scene:
    """The scene of one pair. picture: [3, H, W]; outlines may follow its edges."""
    height, width = picture.shape[-2:]
    lens = draw_lens(rng.fork("lens"), max(settings.frame, height, width), settings.max_radius)
    return Scene(tuple(_draw_surfaces(rng, picture, settings, lens)), lens)


def _draw_surfaces(rng: RandomStream, picture: Tensor, settings: RenderSettings, lens: ThinLens) -> list[Surface]:
    kind = rng.uniform(0.0, 1.0)
    if kind < settings.p_sharp:
        return [_surface(rng, picture, settings, lens, 0.0, 0.0)]
    kind -= settings.p_sharp
    if kind < settings.p_uniform:
        radius = _radius(rng, settings)
        return [_surface(rng, picture, settings, lens, radius, radius)]
    kind -= settings.p_uniform
    if kind < settings.p_single:
        crossing = rng.chance(0.2)  # the focal plane cuts the surface, else one end of it is in focus
        near = -_radius(rng, settings) if crossing else 0.0
        return [_surface(rng, picture, settings, lens, near, _radius(rng, settings))]
    return _draw_layers(rng, picture, settings, lens)


def _draw_layers(rng: RandomStream, picture: Tensor, settings: RenderSettings, lens: ThinLens) -> list[Surface]:
    """A background and one or two cut-out surfaces, one of them in focus (nearly always)."""
    count = 3 if rng.chance(0.3) else 2
    focus = rng.integer(0, count - 1)
    behind = sorted((_radius(rng, settings) for _ in range(focus)), reverse=True)
    before = sorted((-_radius(rng, settings) for _ in range(count - focus - 1)), reverse=True)
    if before and rng.chance(0.2):
        before[0] = 0.0  # two surfaces in focus, one occluding the other
    missed = rng.chance(0.05)  # focus on nothing in the picture
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
        # What is drawn before a surface reaches no further back than it
        low, high = min(low, furthest), max(-settings.max_radius, min(high, furthest))
        furthest = max(low, high)
        surfaces.append(_surface(rng, picture, settings, lens, low, high, cut_out=index > 0))
    return surfaces


def _radius(rng: RandomStream, settings: RenderSettings) -> float:
    """Radius of a surface out of focus: any from the smallest to the largest alike, as `radius_exponent` stands.

    Kernels fitted to the clearly blurred parts of real pairs have quartiles of 4, 5.5 and 6.5 pixels (Lytro) and 4.7,
    7.5 and 9 (EPFL): `research/real_blur.py`. Those too faint to be fitted are below.
    """
    share: float = rng.uniform(0.0, 1.0) ** settings.radius_exponent
    return settings.min_radius + (settings.max_radius - settings.min_radius) * share


def _surface(
    rng: RandomStream,
    picture: Tensor,
    settings: RenderSettings,
    lens: ThinLens,
    low: float,
    high: float,
    cut_out: bool = False,
) -> Surface:
    """A surface at the distances where its signed radius goes from `low` to `high`."""
    height, width = picture.shape[-2:]
    flip: tuple[int, ...] = ()
    gain = (1.0, 1.0, 1.0)
    matte = torch.ones(1, height, width, device=picture.device)
    if cut_out:
        matte = _draw_matte(rng, picture)
        if rng.chance(settings.p_foreign):
            flip = ((-1,), (-2,), (-1, -2))[rng.integer(0, 2)]
            level = rng.log_uniform(0.5, 1.6)
            gain = (level * rng.uniform(0.85, 1.15), level, level * rng.uniform(0.85, 1.15))
    ramp = torch.zeros(1, height, width) if low == high else _draw_ramp(rng, height, width)
    ends = lens.inverse_distance(low), lens.inverse_distance(high)
    levels = 1 if low == high else settings.levels
    return Surface(matte, ends, ramp.to(picture.device), levels, flip, gain)


def _draw_ramp(rng: RandomStream, height: int, width: int) -> Tensor:
    """[1, H, W] from 0 to 1: a slanted plane or a smooth field, from a gentle slope to nearly a step."""
    field = _plane(rng, height, width) if rng.chance(0.5) else smooth_noise(rng, height, width, 1, 3)
    field = (field - field.mean()) / field.std().clamp_min(1e-6)
    steepness = rng.log_uniform(0.25, 6.0)
    return (0.5 + steepness * (field - rng.uniform(-0.5, 0.9))).clamp(0.0, 1.0)


def _draw_matte(rng: RandomStream, picture: Tensor) -> Tensor:
    """[1, H, W] coverage of a cut-out surface: blob, image-guided blob, convex shape, or thin branches and wires."""
    height, width = picture.shape[-2:]
    kind = rng.uniform(0.0, 1.0)
    if kind < 0.3:
        field = smooth_noise(rng, height, width, 1, 6)
        field = field - _quantile(field, rng.uniform(0.25, 0.75))
    elif kind < 0.55:
        field = 0.6 * smooth_noise(rng, height, width, 1, 5) + _smooth_luminance(picture).cpu()
        field = field - _quantile(field, rng.uniform(0.25, 0.75))
    elif kind < 0.85:
        field = _convex(rng, height, width)
    else:
        field = smooth_noise(rng, height, width, 2, 6).abs()
        field = _quantile(field, rng.uniform(0.08, 0.35)) - field
    softness = rng.uniform(1.0, 1.5) if rng.chance(0.8) else rng.uniform(1.5, 4.0)
    return coverage(field, softness).to(picture.device)


def coverage(field: Tensor, softness: float) -> Tensor:
    """Coverage 0..1 of the region field > 0, with an edge `softness` pixels wide whatever the field's slope."""
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
    """[1, H, W] signed distance in pixels from a random line through the picture."""
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    normal = rng.normal(2)
    normal = normal / normal.norm().clamp_min(1e-6)
    rows = torch.arange(height, dtype=torch.float32)[:, None] - y
    columns = torch.arange(width, dtype=torch.float32)[None, :] - x
    return (rows * normal[0] + columns * normal[1])[None]


def _convex(rng: RandomStream, height: int, width: int) -> Tensor:
    """[1, H, W] distance inside a half-plane, wedge or polygon; positive inside."""
    sides = rng.integer(1, 4)
    planes = torch.cat([_plane(rng, height, width) for _ in range(sides)])
    inside = planes.amin(dim=0, keepdim=True)
    return inside if rng.chance(0.5) else -inside


def _smooth_luminance(picture: Tensor) -> Tensor:
    """[1, H, W] brightness without detail, mean 0 and variance 1."""
    luminance = picture.mean(dim=0, keepdim=True)[None]
    for _ in range(2):
        luminance = F.avg_pool2d(luminance, 5, stride=1, padding=2, count_include_pad=False)
    return ((luminance - luminance.mean()) / luminance.std().clamp_min(1e-3))[0]


def _quantile(field: Tensor, share: float) -> Tensor:
    sample = field.flatten()[:: max(1, field.numel() // 1024)]
    return sample.kthvalue(1 + int(share * (sample.numel() - 1))).values
