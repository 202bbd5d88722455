"""Composing a scene: each surface and its matte are blurred by their own kernels, from the back to the front.

Blurring a finished image by a per-pixel kernel mixes the foreground with the background. Here a sharp foreground keeps
its edge against a blurred background, and a blurred foreground spreads over the background.
"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.aperture import Aperture, aperture_kernels, kernel_reach
from fdikp.synthesis.depth import Scene, Surface
from fdikp.synthesis.field import Field

HIDDEN_WEIGHT = 0.01
"""Weight of content that a surface in front hides: just enough for a defined colour far from anything visible."""

RADIUS_STEPS = 16
"""Steps of the blur radius when the finished image is blurred without layers; blur is interpolated between them."""

FFT_VALUES = 2**20
"""Values transformed in one call: fewer calls for small images, bounded memory for large ones."""


def render_scene(
    light: Tensor,
    scene: Scene,
    aperture: Aperture,
    max_radius: float,
    field: Field | None = None,
    layered: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Render a scene.

    Args:
        light: [3, H, W] linear light of the sharp image.
        scene: its surfaces and the lens.
        aperture: the shape of all kernels.
        max_radius: upper bound of the scene's blur radii, in pixels.
        field: position in the photo, for apertures that narrow toward its corners; None: the image is the whole photo.
        layered: blur each surface on its own; otherwise blur the finished image (`_blur_without_layers`).

    Returns:
        Blurred light [3, H, W], all-in-focus light [3, H, W], and blur radius [1, H, W] in pixels.
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
        visible = _visibility(surfaces[index + 1 :])
        if visible is not None:
            planes = torch.cat([planes * visible, planes[3:]])
        planes = blur(planes * surface.matte, surface, surface.radii(lens))  # [4 or 5, H, W]
        color = planes[:3] / planes[3:4].clamp_min(1e-6)
        blurred = color if index == 0 else blurred.lerp(color, planes[-1:].clamp(0.0, 1.0))
    return blurred if layered else _blur_without_layers(sharp, radius, blur, max_radius), sharp, radius


def _blur_without_layers(sharp: Tensor, radius: Tensor, blur: "_Blur", max_radius: float) -> Tensor:
    """The finished image blurred at each pixel by a kernel of the radius there, unlike a lens.

    For comparison: the baseline that layered rendering must beat in training.
    """
    levels = torch.linspace(0.0, max_radius, RADIUS_STEPS + 1)
    position = radius / max_radius * RADIUS_STEPS
    blurred = torch.zeros_like(sharp)
    for n, level in enumerate(levels):
        weight = (1.0 - (position - n).abs()).clamp_min(0.0)
        if weight.any():
            flat = Surface(torch.ones_like(radius), (0.0, 0.0), torch.zeros_like(radius))
            blurred += weight * blur(sharp, flat, level[None])
    return blurred


def _visibility(in_front: tuple[Surface, ...]) -> Tensor | None:
    """[1, H, W] weight of a surface's content, low where surfaces in front hide it; None if it counts everywhere.

    Where a cut-out shows the same content as the surface behind it, the pixels under it belong to the cut-out. If they
    were blurred with the background, the cut-out's colours would bleed around its own sharp edge.
    """
    hiding = [1.0 - surface.matte for surface in in_front if not surface.foreign]
    return torch.stack(hiding).prod(dim=0).clamp_min(HIDDEN_WEIGHT) if hiding else None


class _Blur:
    """Blurs image planes by the kernels of a surface, in the frequency domain."""

    def __init__(self, height: int, width: int, aperture: Aperture, max_radius: float, field: Field) -> None:
        self.size = (height, width)
        self.aperture = aperture
        self.reach = kernel_reach(max_radius)
        self.padded = tuple(_fast_length(n + 2 * self.reach) for n in self.size)
        even = ((0.0, 0.0), torch.ones(height), torch.ones(width))
        self.places = list(field.places(height, width)) if aperture.cats_eye else [even]

    def __call__(self, planes: Tensor, surface: Surface, radii: Tensor) -> Tensor:
        """Blur planes [C, H, W] that lie on a surface whose levels have the blur radii [Q], in pixels.

        The light of each field position and each level of the surface is convolved with its own kernel; the results
        are summed.
        """
        if not radii.any():
            return planes
        blurred = torch.zeros_like(planes)
        planes, ramp = self._pad(planes), self._pad(surface.ramp)
        for place, rows, columns in self.places:
            top, bottom = self._extent(rows)
            left, right = self._extent(columns)
            size = (_fast_length(bottom - top + 2 * self.reach), _fast_length(right - left + 2 * self.reach))
            part = (..., slice(top, top + size[0]), slice(left, left + size[1]))
            weight = self._pad((rows[:, None] * columns).to(planes.device)[None])[part]
            weights = (surface.level_weight(level, ramp[part]) * weight for level in range(surface.levels))
            spectrum = self._spectrum(
                planes[part], weights, aperture_kernels(radii, self.aperture, self.reach, place), size
            )
            inner = (..., slice(self.reach, self.reach + bottom - top), slice(self.reach, self.reach + right - left))
            blurred[:, top:bottom, left:right] += torch.fft.irfft2(spectrum, s=size)[inner]
        return blurred

    def _extent(self, weight: Tensor) -> tuple[int, int]:
        """Range of rows (or columns), end excluded, that light from those with nonzero weight reaches."""
        nonzero = weight.nonzero()
        return max(0, int(nonzero[0]) - self.reach), min(len(weight), int(nonzero[-1]) + 1 + self.reach)

    def _spectrum(self, planes: Tensor, weights: Iterable[Tensor], kernels: Tensor, size: tuple[int, int]) -> Tensor:
        """[C, P, P/2+1] spectrum at `size` of the sum of planes [C, ...] * weight [1, ...], each convolved."""
        pairs = zip(weights, kernels, strict=True)
        nonzero = ((weight, kernel) for weight, kernel in pairs if weight.any())  # steep slopes skip levels
        total = torch.zeros((), device=planes.device)
        while batch := list(islice(nonzero, max(1, FFT_VALUES // (len(planes) * size[0] * size[1])))):
            layers = planes * torch.stack([weight for weight, _ in batch])  # [Q', C, ...]
            transfer = self._transfer(torch.stack([kernel for _, kernel in batch]), size)
            total = total + (torch.fft.rfft2(layers, s=size) * transfer).sum(dim=0)
        return total

    def _pad(self, planes: Tensor) -> Tensor:
        """Pad by mirroring the borders (or repeating them, for images smaller than a kernel) to the padded size."""
        top = left = self.reach
        bottom, right = (p - n - self.reach for p, n in zip(self.padded, self.size, strict=True))
        mode = "reflect" if max(bottom, right) < min(self.size) else "replicate"
        return F.pad(planes[None], (left, right, top, bottom), mode=mode)[0]

    def _transfer(self, kernels: Tensor, size: tuple[int, int]) -> Tensor:
        """Transfer functions [Q, 1, P, P/2+1] at `size` of the kernels, whose centres are moved to the origin."""
        rows, columns = (p - kernels.shape[-1] for p in size)
        kernels = F.pad(kernels, (0, columns, 0, rows)).roll((-self.reach, -self.reach), dims=(1, 2))
        return torch.fft.rfft2(kernels)[:, None]


def _fast_length(length: int) -> int:
    """The next length with no prime factor above 5, for which the FFT is several times faster."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
