"""The response of a blur and an inverse kernel to a point of light; a true inverse restores the point.

The metric is the energy of the difference between response and point, which is the remaining error of an image: for a
white spectrum, or for the spectrum of a photo, which falls with frequency as 1/f (van der Schaaf and van Hateren
1996), so that losses at high frequencies count little.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.errors import FdikpError
from fdikp.network import FDIKP, Stage
from fdikp.network.ops import position_adaptive_convolution
from fdikp.paper.kernel_path.interventions import coefficients_of, hold_predictions, intervene, kernel_path_of

WHITE, PHOTOGRAPH = 0.0, 1.0
"""The power of the frequency with which an amplitude spectrum falls."""

SPACING = 80
"""Side of the squares that hold one point of light each, pixels; a response must end within `REACH`."""

REACH = 32
"""Radius of a response, pixels. Kernels of the coarsest stage reach 4 of its pixels, which are 16 of the image; blur,
refinement and resampling add to that."""

REGULARISATION = 0.01
"""Noise level of `regularised_inverse`: it does not amplify frequencies of which the blur leaves less than a tenth."""


def point_images(blur: Tensor, kernels: Tensor, dilation: float) -> Tensor:
    """k* ⊗ k: the response to a point of light of the blur and each inverse kernel.

    Args:
        blur: [R, R], R odd.
        kernels: [N, K, K], applied as in eq. 9.
        dilation: the same everywhere, pixels.

    Returns:
        [N, S, S], S odd, with the point in the middle.
    """
    margin = int(kernels.shape[-1] // 2 * dilation) + 2
    blurred = F.pad(blur, (margin,) * 4)[None, None].to(kernels)
    everywhere = torch.full_like(blurred, dilation)
    return position_adaptive_convolution(blurred, kernels[None], everywhere)[0, :, 0]


def difference_energy(images: Tensor, exponent: float) -> Tensor:
    """Energy of the difference between responses [..., S, S], S odd, and the point; [...].

    `exponent` is `WHITE`, which gives the sum of squares, or `PHOTOGRAPH`. A response of 0 has energy 1 with either.
    """
    return (_difference(images).abs().square() * _weights(images, exponent)).mean(dim=(-2, -1))


def least_energy(blur: Tensor, size: int, dilation: float, exponent: float) -> float:
    """The minimum of `difference_energy` over all kernels of size × size taps with that dilation (least squares)."""
    basis = torch.eye(size**2, dtype=torch.float64).unflatten(1, (size, size))
    images = point_images(blur.double(), basis, dilation)
    root = _weights(images, exponent).sqrt()
    columns = ((_difference(images) + 1.0) * root).flatten(1).T  # [S², K²]
    matrix, target = torch.cat((columns.real, columns.imag)), torch.cat((root.flatten(), torch.zeros(root.numel())))
    taps = torch.linalg.lstsq(matrix, target[:, None].double(), driver="gelsd").solution[:, 0]
    return float(difference_energy(point_images(blur.double(), taps.view(1, size, size), dilation), exponent)[0])


def regularised_inverse(blur: Tensor, size: int) -> Tensor:
    """The Wiener-like inverse of a blur, K̄ / (|K|² + `REGULARISATION`), [size, size], size odd.

    It is computed on a torus four times as large, then cropped.
    """
    torus = 4 * size + 1
    inside = (torus - blur.shape[-1]) // 2
    spectrum = _spectrum(F.pad(blur, (inside,) * 4))
    inverse = torch.fft.ifft2(spectrum.conj() / (spectrum.abs().square() + REGULARISATION)).real
    middle, half = torus // 2, size // 2
    return torch.fft.fftshift(inverse)[middle - half : middle + half + 1, middle - half : middle + half + 1]


def whole_responses(network: FDIKP, stages: Sequence[Stage], blur: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Responses of the whole kernel path to blurred points of light, with all its predictions kept fixed.

    With fixed kernels, dilation maps and coefficient maps the network is linear in its image. Its response to a point
    is the effective inverse kernel at that pixel: candidates weighted by their coefficients, over all stages.

    Args:
        network: computed `stages`.
        stages: of one image, [1, …].
        blur: [R, R], R odd.
        places: (y, x) of the points, at least 2 `REACH` apart and `REACH` from the border.

    Returns:
        [P, 2 REACH + 1, 2 REACH + 1], mean over channels.

    Raises:
        FdikpError: the kernels act on linear light, so the network is not linear in its image.
    """
    if kernel_path_of(network).on_light:
        raise FdikpError(
            "the kernels of this network act on linear light, so it has no response to a point; choose other weights"
        )
    lights = torch.zeros(1, 1, *stages[-1].image.shape[-2:]).to(stages[-1].image)
    for y, x in places:
        lights[0, 0, y, x] = 1.0
    blurred = F.conv2d(lights, blur.flip(0, 1)[None, None].to(lights), padding=blur.shape[-1] // 2)
    with torch.inference_mode(), intervene(network, hold_predictions(stages), coefficients_of(stages)):
        # The second pass removes the biases, which are not part of the response
        response = network(blurred.expand(-1, 3, -1, -1)) - network(torch.zeros_like(blurred).expand(-1, 3, -1, -1))
    grey = response[0].mean(dim=0)
    return torch.stack([grey[y - REACH : y + REACH + 1, x - REACH : x + REACH + 1] for y, x in places])


def textured_places(texture: Tensor) -> list[tuple[int, int]]:
    """The (y, x) of most texture near the middle of each square of side `SPACING`, without those of texture 0."""
    H, W = texture.shape
    places = []
    for top in range(REACH, H - SPACING + REACH + 1, SPACING):
        for left in range(REACH, W - SPACING + REACH + 1, SPACING):
            middle = texture[top : top + SPACING - 2 * REACH, left : left + SPACING - 2 * REACH]
            y, x = divmod(int(middle.argmax()), middle.shape[1])
            if middle[y, x] > 0:
                places.append((top + y, left + x))
    return places


def _spectrum(images: Tensor) -> Tensor:
    """The spectrum [..., S, S], S odd, of images whose origin is in the middle."""
    return torch.fft.fft2(torch.fft.ifftshift(images, dim=(-2, -1)))


def _difference(images: Tensor) -> Tensor:
    """The spectrum of responses minus that of the point."""
    return _spectrum(images) - 1.0


def _weights(images: Tensor, exponent: float) -> Tensor:
    """Power of an image at each frequency of [..., S, S], with mean 1; frequency 0 counts as the lowest other."""
    f = torch.fft.fftfreq(images.shape[-1], dtype=torch.float64, device=images.device)
    frequency = torch.hypot(f[:, None], f[None]).clamp_min(1.0 / images.shape[-1])
    power = frequency ** (-2.0 * exponent)
    return power / power.mean()
