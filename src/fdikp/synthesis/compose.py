"""Composing a scene: each surface and its matte blurred by their own kernels, from the back to the front.

Blurring a finished picture by a per-pixel kernel mixes what is near with what is behind it. Here a sharp foreground
keeps its edge against a blurred background, and a blurred foreground spreads over what is behind it.
"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.aperture import Aperture, aperture_kernels, kernel_reach
from fdikp.synthesis.depth import Scene, Surface
from fdikp.synthesis.field import Field

HIDDEN = 0.01
"""Weight of content that a surface in front hides: enough to be defined far from anything visible, no more."""

MIXED = 16
"""Radii between which pictures are blended that are blurred without layers."""

AT_ONCE = 2**20
"""Values transformed at once: small pictures need fewer calls, large ones less memory."""


def render_scene(
    light: Tensor,
    scene: Scene,
    aperture: Aperture,
    max_radius: float,
    field: Field | None = None,
    layered: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blurred light, all-in-focus light and blur radius of a scene.

    light: [3, H, W] linear. No radius above `max_radius` (pixels). field: where in the photograph this is, for
    apertures that narrow toward its corners; None is the whole photograph. Without `layered` the surfaces are not
    blurred apart (`_mixed`). Returns [3, H, W], [3, H, W] and [1, H, W] (pixels).
    """
    surfaces, lens = scene.surfaces, scene.lens
    height, width = light.shape[-2:]
    blur = _Blur(height, width, aperture, max_radius, field or Field.of_tile(0, 0, width, height, width, height))
    sharp = light
    radius = surfaces[0].radius_map(lens)
    blurred = light
    for index, surface in enumerate(surfaces):
        content = light.flip(surface.flip) if surface.flip else light
        if surface.foreign:
            content = content * torch.tensor(surface.gain, device=light.device)[:, None, None]
        if index:
            sharp = sharp.lerp(content, surface.matte)
            radius = radius.lerp(surface.radius_map(lens), surface.matte)
        if not layered:
            continue
        planes = torch.cat([content, torch.ones_like(content[:1])])  # light and coverage
        visible = _visible(surfaces[index + 1 :])
        if visible is not None:
            planes = torch.cat([planes * visible, planes[3:]])
        planes = blur(planes * surface.matte, surface, surface.radii(lens))  # [4 or 5, H, W]
        color = planes[:3] / planes[3:4].clamp_min(1e-6)
        blurred = color if index == 0 else blurred.lerp(color, planes[-1:].clamp(0.0, 1.0))
    return blurred if layered else _mixed(sharp, radius, blur, max_radius), sharp, radius


def _mixed(sharp: Tensor, radius: Tensor, blur: "_Blur", max_radius: float) -> Tensor:
    """A finished picture blurred at each pixel by a kernel of the radius there: what a lens does not do.

    For comparison: training on such pairs is what layers have to be better than.
    """
    levels = torch.linspace(0.0, max_radius, MIXED + 1)
    depth = radius / max_radius * MIXED
    mixed = torch.zeros_like(sharp)
    for n, level in enumerate(levels):
        share = (1.0 - (depth - n).abs()).clamp_min(0.0)
        if share.any():
            flat = Surface(torch.ones_like(radius), (0.0, 0.0), torch.zeros_like(radius))
            mixed += share * blur(sharp, flat, level[None])
    return mixed


def _visible(before: tuple[Surface, ...]) -> Tensor | None:
    """[1, H, W] weight of a surface's content by whether it is seen at all; None if it is everywhere.

    Where a cut-out shows the same picture as the surface behind it, the pixels under it belong to the cut-out. Were
    they blurred with the background, the cut-out's colours would glow around its own sharp edge.
    """
    hiding = [1.0 - surface.matte for surface in before if not surface.foreign]
    return torch.stack(hiding).prod(dim=0).clamp_min(HIDDEN) if hiding else None


class _Blur:
    """Blurs planes by the kernels of a surface, in the frequency domain."""

    def __init__(self, height: int, width: int, aperture: Aperture, max_radius: float, field: Field) -> None:
        self.size = (height, width)
        self.aperture = aperture
        self.reach = kernel_reach(max_radius)
        self.padded = tuple(_fast_length(n + 2 * self.reach) for n in self.size)
        even = ((0.0, 0.0), torch.ones(height), torch.ones(width))
        self.places = list(field.places(height, width)) if aperture.cats_eye else [even]

    def __call__(self, planes: Tensor, surface: Surface, radii: Tensor) -> Tensor:
        """Planes [C, H, W] that lie on a surface whose levels have the blur radii [Q], as they are photographed.

        Light of each place in the picture and each level of the surface goes through its own kernel, and adds up.
        """
        if not radii.any():
            return planes
        blurred = torch.zeros_like(planes)
        planes, ramp = self._pad(planes), self._pad(surface.ramp)
        for place, rows, columns in self.places:
            top, bottom = self._reached(rows)
            left, right = self._reached(columns)
            size = (_fast_length(bottom - top + 2 * self.reach), _fast_length(right - left + 2 * self.reach))
            part = (..., slice(top, top + size[0]), slice(left, left + size[1]))
            weight = self._pad((rows[:, None] * columns).to(planes.device)[None])[part]
            shares = (surface.share(level, ramp[part]) * weight for level in range(surface.levels))
            spectrum = self._spectrum(
                planes[part], shares, aperture_kernels(radii, self.aperture, self.reach, place), size
            )
            inner = (..., slice(self.reach, self.reach + bottom - top), slice(self.reach, self.reach + right - left))
            blurred[:, top:bottom, left:right] += torch.fft.irfft2(spectrum, s=size)[inner]
        return blurred

    def _reached(self, weight: Tensor) -> tuple[int, int]:
        """First and last row (column) that light from those with weight reaches; the last is left out."""
        lit = weight.nonzero()
        return max(0, int(lit[0]) - self.reach), min(len(weight), int(lit[-1]) + 1 + self.reach)

    def _spectrum(self, planes: Tensor, shares: Iterable[Tensor], kernels: Tensor, size: tuple[int, int]) -> Tensor:
        """[C, P, P/2+1] spectrum at `size` of planes [C, ...] of which each share [1, ...] goes through its kernel."""
        pairs = zip(shares, kernels, strict=True)
        present = ((share, kernel) for share, kernel in pairs if share.any())  # steep slopes pass levels by
        total = torch.zeros((), device=planes.device)
        while some := list(islice(present, max(1, AT_ONCE // (len(planes) * size[0] * size[1])))):
            layers = planes * torch.stack([share for share, _ in some])  # [Q', C, ...]
            transfer = self._transfer(torch.stack([kernel for _, kernel in some]), size)
            total = total + (torch.fft.rfft2(layers, s=size) * transfer).sum(dim=0)
        return total

    def _pad(self, planes: Tensor) -> Tensor:
        """Mirror the borders (or repeat them, for pictures smaller than a kernel) up to the padded size."""
        top = left = self.reach
        bottom, right = (p - n - self.reach for p, n in zip(self.padded, self.size, strict=True))
        mode = "reflect" if max(bottom, right) < min(self.size) else "replicate"
        return F.pad(planes[None], (left, right, top, bottom), mode=mode)[0]

    def _transfer(self, kernels: Tensor, size: tuple[int, int]) -> Tensor:
        """[Q, 1, P, P/2+1] spectra of the kernels at `size`, with their centres at the origin."""
        rows, columns = (p - kernels.shape[-1] for p in size)
        kernels = F.pad(kernels, (0, columns, 0, rows)).roll((-self.reach, -self.reach), dims=(1, 2))
        return torch.fft.rfft2(kernels)[:, None]


def _fast_length(length: int) -> int:
    """The next number with no prime factor above 5; the Fourier transform is several times faster there."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
