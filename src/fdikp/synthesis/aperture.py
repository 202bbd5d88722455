"""Blur kernels: a point of light out of focus appears as the shape of the aperture."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SUBSAMPLES = 5
"""Samples per pixel and axis when a kernel is rasterised; odd, so that one sample lies on the kernel's centre."""


@dataclass(frozen=True)
class Aperture:
    """The shape of all kernels of one image; only their size differs."""

    blades: int = 0
    """Blades of the diaphragm; 0 is a circle."""

    roundness: float = 0.0
    """0: a polygon with straight sides; 1: a circle."""

    angle: float = 0.0
    """Rotation of the polygon in radians."""

    edge: float = 0.0
    """Width of the soft edge as a fraction of the radius: 0 gives a hard disc, 1 nearly a Gaussian."""

    ring: float = 0.0
    """Spherical aberration: brightness at the rim is 1 + ring times that at the centre (ring > -1)."""

    cats_eye: float = 0.0
    """Vignetting by the lens barrel (0..2): at the corner of the photo, the aperture is its intersection with a copy of
    itself shifted by this fraction of the radius along the line to the centre. The shift grows from 0 at the centre."""

    diffraction: float = 0.0
    """Standard deviation in pixels of an additional Gaussian, for diffraction and sampling. Below a radius of 1 pixel
    it shrinks with the radius: a kernel of radius 0 is the identity, since in-focus content equals the target."""


def kernel_reach(max_radius: float) -> int:
    """Distance in pixels from the centre beyond which kernels of radius up to `max_radius` are zero."""
    return math.ceil(1.75 * max_radius + 2.0)  # the corner of a soft pentagon reaches furthest


def aperture_kernels(radii: Tensor, aperture: Aperture, reach: int, field: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Area-sampled kernels, each with sum 1 and its origin in the middle.

    Args:
        radii: [Q] in pixels; up to half a pixel gives the identity.
        aperture: the shape.
        reach: how far the kernels extend from the origin, in pixels.
        field: position (x, y) in the photo in field heights: 0 is the centre, 1 the corner.

    Returns:
        [Q, 2*reach+1, 2*reach+1].

    >>> k = aperture_kernels(torch.tensor([0.0, 3.0]), Aperture(), 5)
    >>> k.shape, float(k[0, 5, 5]), round(float(k[1, 5, 5]) * 9 * math.pi, 2)
    (torch.Size([2, 11, 11]), 1.0, 1.0)
    """
    step = 1.0 / SUBSAMPLES
    count = (2 * reach + 1) * SUBSAMPLES
    axis = (torch.arange(count, device=radii.device, dtype=radii.dtype) - (count - 1) / 2) * step
    y, x = axis[:, None], axis[None, :]
    radius = radii.abs()[:, None, None]
    pupil = _aperture_norm(x, y, aperture)  # [S, S]
    distance = _cats_eye_norm(x, y, radius, aperture, field) if aperture.cats_eye and any(field) else pupil
    width = (aperture.edge * radius).clamp_min(step)
    weight = ((radius - distance) / width + 0.5).clamp(0.0, 1.0)  # [Q, S, S]
    if aperture.ring:
        weight = weight * (1.0 + aperture.ring * (pupil / radius.clamp_min(step)).clamp_max(1.0).square())
    size = 2 * reach + 1
    kernels = weight.view(-1, size, SUBSAMPLES, size, SUBSAMPLES).sum(dim=(2, 4))  # [Q, K, K]
    kernels = kernels / kernels.sum(dim=(1, 2), keepdim=True)
    return _add_diffraction(kernels, radius, aperture.diffraction) if aperture.diffraction else kernels


def _cats_eye_norm(x: Tensor, y: Tensor, radius: Tensor, aperture: Aperture, field: tuple[float, float]) -> Tensor:
    """`_aperture_norm` for the cat's eye, [Q, S, S]: the larger of the distances from two displaced centres.

    Ours: the origin lies midway between the two centres, and the kernel's sum stays 1. So the image is neither shifted
    nor darkened, as after a camera's own correction, and as in the all-in-focus target.
    """
    half = 0.5 * aperture.cats_eye
    dx, dy = half * field[0] * radius, half * field[1] * radius
    return torch.maximum(_aperture_norm(x - dx, y - dy, aperture), _aperture_norm(x + dx, y + dy, aperture))


def _aperture_norm(x: Tensor, y: Tensor, aperture: Aperture) -> Tensor:
    """A norm whose ball of radius r is the aperture of radius r; polygons have the area of the circle."""
    circle = torch.hypot(x, y)
    if aperture.blades < 3:
        return circle
    sector = 2 * math.pi / aperture.blades
    angle = torch.remainder(torch.atan2(y, x) + aperture.angle, sector) - sector / 2
    polygon = circle * torch.cos(angle) * math.sqrt(math.tan(sector / 2) / (sector / 2))
    return polygon.lerp(circle, aperture.roundness)


def _add_diffraction(kernels: Tensor, radius: Tensor, sigma: float) -> Tensor:
    """Convolve each kernel with a Gaussian of standard deviation sigma * min(radius, 1), as matrix products."""
    size = kernels.shape[-1]
    axis = torch.arange(size, device=kernels.device, dtype=kernels.dtype)
    spread = (sigma * radius.clamp_max(1.0)).clamp_min(0.05)
    gaussian = torch.exp(-0.5 * ((axis[:, None] - axis[None, :]) / spread).square())  # [Q, K, K]
    gaussian = gaussian / gaussian.sum(dim=-1, keepdim=True)
    blurred = gaussian @ kernels @ gaussian.transpose(-1, -2)
    return blurred / blurred.sum(dim=(1, 2), keepdim=True)
