"""Composing a scene: each surface and its matte blurred by their own kernels, from the back to the front.

Blurring a finished picture by a per-pixel kernel mixes what is near with what is behind it. Here a sharp foreground
keeps its edge against a blurred background, and a blurred foreground spreads over what is behind it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis.aperture import Aperture, aperture_kernels, kernel_reach
from fdikp.synthesis.depth import Scene, Surface
from fdikp.synthesis.field import Field

HIDDEN = 0.01
"""Weight of content that a surface in front hides: enough to be defined far from anything visible, no more."""

AT_ONCE = 2**20
"""Values transformed at once: small pictures need fewer calls, large ones less memory."""


def render_scene(
    light: Tensor, scene: Scene, aperture: Aperture, max_radius: float, field: Field | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Blurred light, all-in-focus light and blur radius of a scene.

    light: [3, H, W] linear. No radius above `max_radius` (pixels). field: where in the photograph this is, for
    apertures that narrow toward its corners; None is the whole photograph. Returns [3, H, W], [3, H, W] and [1, H, W]
    (pixels).
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
        planes = torch.cat([content, torch.ones_like(content[:1])])  # light and coverage
        visible = _visible(surfaces[index + 1 :])
        if visible is not None:
            planes = torch.cat([planes * visible, planes[3:]])
        planes = blur(planes * surface.matte, surface.shares(), surface.radii(lens))  # [4 or 5, H, W]
        color = planes[:3] / planes[3:4].clamp_min(1e-6)
        blurred = color if index == 0 else blurred.lerp(color, planes[-1:].clamp(0.0, 1.0))
    return blurred, sharp, radius


def _visible(before: tuple[Surface, ...]) -> Tensor | None:
    """[1, H, W] weight of a surface's content by whether it is seen at all; None if it is everywhere.

    Where a cut-out shows the same picture as the surface behind it, the pixels under it belong to the cut-out. Were
    they blurred with the background, the cut-out's colours would glow around its own sharp edge.
    """
    hiding = [1.0 - surface.matte for surface in before if not surface.foreign]
    return torch.stack(hiding).prod(dim=0).clamp_min(HIDDEN) if hiding else None


class _Blur:
    """Blurs planes by the kernels of a surface, in the frequency domain at one padded size."""

    def __init__(self, height: int, width: int, aperture: Aperture, max_radius: float, field: Field) -> None:
        self.size = (height, width)
        self.aperture = aperture
        self.field = field
        self.reach = kernel_reach(max_radius)
        self.padded = tuple(_fast_length(n + 2 * self.reach) for n in self.size)

    def __call__(self, planes: Tensor, shares: Tensor, radii: Tensor) -> Tensor:
        """planes: [C, H, W]; shares: [Q, 1, H, W]; radii: [Q].

        Light of each depth of the surface goes through that depth's kernel, and adds up.
        """
        if not radii.any():
            return planes
        present = shares.flatten(1).any(dim=1)  # steep slopes pass some levels by
        shares, radii = shares[present], radii[present]
        height, width = self.size
        if self.aperture.cats_eye:
            places = list(self.field.places(height, width, planes.device))
        else:
            places = [((0.0, 0.0), torch.ones_like(planes[0]))]
        chunk = max(1, AT_ONCE // (len(planes) * self.padded[0] * self.padded[1]))
        total: Tensor | None = None
        for place, weight in places:
            kernels = aperture_kernels(radii, self.aperture, self.reach, place)  # [Q, K, K]
            for some, their in zip((shares * weight).split(chunk), kernels.split(chunk), strict=True):
                spectrum = torch.fft.rfft2(self._pad(planes * some))  # [Q', C, P, P/2+1]
                part = (spectrum * self._transfer(their)).sum(dim=0)
                total = part if total is None else total.add_(part)
        assert total is not None
        blurred = torch.fft.irfft2(total, s=self.padded)
        return blurred[:, self.reach : self.reach + height, self.reach : self.reach + width]

    def _pad(self, layers: Tensor) -> Tensor:
        """Mirror the borders (or repeat them, for pictures smaller than a kernel) up to the padded size."""
        top = left = self.reach
        bottom, right = (p - n - self.reach for p, n in zip(self.padded, self.size, strict=True))
        mode = "reflect" if max(bottom, right) < min(self.size) else "replicate"
        return F.pad(layers, (left, right, top, bottom), mode=mode)

    def _transfer(self, kernels: Tensor) -> Tensor:
        """[Q, 1, P, P/2+1] spectra of the kernels, with their centres at the origin."""
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
