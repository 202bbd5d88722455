"""Composing a scene: each surface and its matte blurred by their own kernels, from the back to the front.

Blurring a finished picture by a per-pixel kernel mixes what is near with what is behind it. Here a sharp foreground
keeps its edge against a blurred background, and a blurred foreground spreads over what is behind it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.aperture import Aperture, aperture_kernels, kernel_reach
from fdikp.synthesis.depth import Surface

HIDDEN = 0.01
"""Weight of content that a surface in front hides: enough to be defined far from anything visible, no more."""


def render_scene(
    light: Tensor, surfaces: Sequence[Surface], aperture: Aperture, max_radius: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Blurred light, all-in-focus light and blur radius of a scene.

    light: [3, H, W] linear. surfaces: from back to front, the first covering all. No radius above `max_radius`.
    Returns [3, H, W], [3, H, W] and [1, H, W] (pixels).
    """
    blur = _Blur(light.shape[-2], light.shape[-1], aperture, max_radius)
    sharp = light
    radius = surfaces[0].radius_map()
    blurred = light
    for index, surface in enumerate(surfaces):
        content = light.flip(surface.flip) if surface.flip else light
        if surface.foreign:
            content = content * torch.tensor(surface.gain, device=light.device)[:, None, None]
        if index:
            sharp = sharp.lerp(content, surface.matte)
            radius = radius.lerp(surface.radius_map(), surface.matte)
        visible = _visible(surfaces, index)
        planes = torch.cat([content * visible, visible.expand_as(content[:1]), torch.ones_like(content[:1])])
        planes = blur(planes * surface.matte, surface)  # [5, H, W]
        color = planes[:3] / planes[3:4].clamp_min(1e-6)
        blurred = color if index == 0 else blurred.lerp(color, planes[4:].clamp(0.0, 1.0))
    return blurred, sharp, radius


def _visible(surfaces: Sequence[Surface], index: int) -> Tensor:
    """[1, H, W] weight of a surface's content by whether it is seen at all.

    Where a cut-out shows the same picture as the surface behind it, the pixels under it belong to the cut-out. Were
    they blurred with the background, the cut-out's colours would glow around its own sharp edge.
    """
    visible = torch.ones_like(surfaces[index].matte)
    for other in surfaces[index + 1 :]:
        if not other.foreign:
            visible = visible * (1.0 - other.matte)
    return visible.clamp_min(HIDDEN)


class _Blur:
    """Blurs planes by the kernels of a surface, in the frequency domain at one padded size."""

    def __init__(self, height: int, width: int, aperture: Aperture, max_radius: float) -> None:
        self.size = (height, width)
        self.aperture = aperture
        self.reach = kernel_reach(max_radius)
        self.padded = tuple(_fast_length(n + 2 * self.reach) for n in self.size)

    def __call__(self, planes: Tensor, surface: Surface) -> Tensor:
        """planes: [C, H, W]. Light of each depth of the surface goes through that depth's kernel, and adds up."""
        if not surface.radii.any():
            return planes
        layers = planes * surface.shares()  # [Q, C, H, W]
        spectrum = torch.fft.rfft2(self._pad(layers))  # [Q, C, P, P/2+1]
        total = (spectrum * self._transfer(surface.radii)).sum(dim=0)
        blurred = torch.fft.irfft2(total, s=self.padded)
        height, width = self.size
        return blurred[:, self.reach : self.reach + height, self.reach : self.reach + width]

    def _pad(self, layers: Tensor) -> Tensor:
        """Mirror the borders (or repeat them, for pictures smaller than a kernel) up to the padded size."""
        top = left = self.reach
        bottom, right = (p - n - self.reach for p, n in zip(self.padded, self.size, strict=True))
        mode = "reflect" if max(bottom, right) < min(self.size) else "replicate"
        return F.pad(layers, (left, right, top, bottom), mode=mode)

    def _transfer(self, radii: Tensor) -> Tensor:
        """[Q, 1, P, P/2+1] spectra of the kernels, with the kernels' centres at the origin."""
        kernels = aperture_kernels(radii, self.aperture, self.reach)
        rows, columns = (p - kernels.shape[-1] for p in self.padded)
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
