"""What a blur and its inverse kernel make together of a point of light; a true inverse gives the point back.

The measure is the energy of the difference, that is how much of a picture's error is left: as white noise has it, each
frequency alike, or as a photograph has it, whose spectrum falls with frequency as 1/f (van der Schaaf and van Hateren
1996), so that what is lost at high frequencies is little of it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.errors import FdikpError
from fdikp.network import FDIKP, Stage
from fdikp.network.ops import position_adaptive_convolution
from fdikp.paper.kernel_path.interventions import coefficients_of, held, intervening, kernel_path_of

WHITE, PHOTOGRAPH = 0.0, 1.0
"""By which power of the frequency a spectrum falls."""

CELL = 80
"""A point of light in each square of so many pixels; its image has to end within `REACH`."""

REACH = 32
"""The coarsest stage's kernels reach 4 of its pixels, 16 of the picture's; blur, refinement and the steps between
scales add to it."""

REGULARISATION = 0.01
"""Share of noise in `regularised_inverse`: frequencies of which a blur leaves less than a tenth are not amplified."""


def point_images(blur: Tensor, kernels: Tensor, dilation: float) -> Tensor:
    """k* ⊗ k: the image of a point of light after the blur and each inverse kernel.

    blur: [R, R], R odd. kernels: [N, K, K], applied as the network does (eq. 9), with one dilation (pixels)
    everywhere. Returns [N, S, S], S odd, the point in the middle.
    """
    margin = int(kernels.shape[-1] // 2 * dilation) + 2
    seen = F.pad(blur, (margin,) * 4)[None, None].to(kernels)
    everywhere = torch.full_like(seen, dilation)
    return position_adaptive_convolution(seen, kernels[None], everywhere)[0, :, 0]


def difference_energy(images: Tensor, falls: float) -> Tensor:
    """Energy of the difference between images of a point [..., S, S], S odd, and the point; [...].

    falls: `WHITE` or `PHOTOGRAPH`. With `WHITE` it is the sum of squares. With either, where no light arrives it is 1.
    """
    return (_difference(images).abs().square() * _weights(images, falls)).mean(dim=(-2, -1))


def least_energy(blur: Tensor, size: int, dilation: float, falls: float) -> float:
    """`difference_energy` of the best kernel of size × size taps with that dilation: no other leaves less."""
    basis = torch.eye(size**2, dtype=torch.float64).unflatten(1, (size, size))
    images = point_images(blur.double(), basis, dilation)
    root = _weights(images, falls).sqrt()
    columns = ((_difference(images) + 1.0) * root).flatten(1).T  # [S², K²]
    matrix, wanted = torch.cat((columns.real, columns.imag)), torch.cat((root.flatten(), torch.zeros(root.numel())))
    taps = torch.linalg.lstsq(matrix, wanted[:, None].double(), driver="gelsd").solution[:, 0]
    return float(difference_energy(point_images(blur.double(), taps.view(1, size, size), dilation), falls)[0])


def regularised_inverse(blur: Tensor, size: int) -> Tensor:
    """The inverse of a blur that does not amplify what is lost: K̄ / (|K|² + `REGULARISATION`), [size, size], size odd.

    Computed on a torus four times as large, and cut.
    """
    torus = 4 * size + 1
    inside = (torus - blur.shape[-1]) // 2
    spectrum = _spectrum(F.pad(blur, (inside,) * 4))
    inverse = torch.fft.ifft2(spectrum.conj() / (spectrum.abs().square() + REGULARISATION)).real
    middle, half = torus // 2, size // 2
    return torch.fft.fftshift(inverse)[middle - half : middle + half + 1, middle - half : middle + half + 1]


def whole_responses(network: FDIKP, stages: Sequence[Stage], blur: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """What the whole kernel path makes of points of light seen through a blur, with all it predicted held fixed.

    With kernels, dilated maps and coefficient maps held, the network is linear in its image, and its response to a
    point is its effective inverse kernel at that place: candidates weighed by their coefficients, over all stages.

    Args:
        network: that made `stages`.
        stages: of one picture, [1, …].
        blur: [R, R], R odd.
        places: (y, x) of points, at least 2 `REACH` apart and `REACH` from the border.

    Returns:
        [P, 2 REACH + 1, 2 REACH + 1], mean of the channels.

    Raises:
        FdikpError: the kernels act on light, of which the network is not a linear function.
    """
    if kernel_path_of(network).on_light:
        raise FdikpError("kernels of this network act on light: it is not linear, and has no response to a point")
    lights = torch.zeros(1, 1, *stages[-1].image.shape[-2:]).to(stages[-1].image)
    for y, x in places:
        lights[0, 0, y, x] = 1.0
    seen = F.conv2d(lights, blur.flip(0, 1)[None, None].to(lights), padding=blur.shape[-1] // 2)
    with torch.inference_mode(), intervening(network, held(stages), coefficients_of(stages)):
        # Two passes, for the biases are no part of the response
        response = network(seen.expand(-1, 3, -1, -1)) - network(torch.zeros_like(seen).expand(-1, 3, -1, -1))
    grey = response[0].mean(dim=0)
    return torch.stack([grey[y - REACH : y + REACH + 1, x - REACH : x + REACH + 1] for y, x in places])


def textured_places(texture: Tensor) -> list[tuple[int, int]]:
    """The place of most texture in the middle of each `CELL`; texture: [H, W]. Places where it is 0 are left out."""
    H, W = texture.shape
    places = []
    for top in range(REACH, H - CELL + REACH + 1, CELL):
        for left in range(REACH, W - CELL + REACH + 1, CELL):
            middle = texture[top : top + CELL - 2 * REACH, left : left + CELL - 2 * REACH]
            y, x = divmod(int(middle.argmax()), middle.shape[1])
            if middle[y, x] > 0:
                places.append((top + y, left + x))
    return places


def _spectrum(images: Tensor) -> Tensor:
    """[..., S, S], S odd, of images whose origin is in the middle."""
    return torch.fft.fft2(torch.fft.ifftshift(images, dim=(-2, -1)))


def _difference(images: Tensor) -> Tensor:
    """Spectrum of what images of a point are more than the point."""
    return _spectrum(images) - 1.0


def _weights(images: Tensor, falls: float) -> Tensor:
    """Power of a picture at each frequency of [..., S, S], of mean 1; the mean of a picture counts as little as its
    lowest frequency."""
    f = torch.fft.fftfreq(images.shape[-1], dtype=torch.float64, device=images.device)
    frequency = torch.hypot(f[:, None], f[None]).clamp_min(1.0 / images.shape[-1])
    power = frequency ** (-2.0 * falls)
    return power / power.mean()
