"""FIKP: what it makes of the kernels and the dilation map, in sRGB values and in linear light."""

from dataclasses import replace

import torch

from fdikp.network import PRESETS
from fdikp.network.dikp import inverse_kernel
from fdikp.network.fikp import FIKP
from fdikp.network.ops import plain_convolution, position_adaptive_convolution
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear


def test_residuals_start_as_the_deconvolved_images_and_the_image_itself_minus_the_base() -> None:
    torch.manual_seed(0)
    fikp = FIKP(PRESETS["fdikp-lite"])
    x, base = torch.rand(2, 1, 3, 32, 32)
    residuals, kernels, dilation = fikp(x, base)
    assert residuals.shape == (1, 6, 3, 32, 32)
    torch.testing.assert_close(residuals[:, -1], x - base)
    torch.testing.assert_close(residuals[:, :-1], position_adaptive_convolution(x, kernels, dilation) - base[:, None])
    assert dilation.min() > 0 and dilation.max() < 2
    torch.testing.assert_close(dilation, fikp.blur(x))  # type: ignore[misc]


def test_kernels_can_act_on_linear_light() -> None:
    torch.manual_seed(0)
    fikp = FIKP(replace(PRESETS["fdikp-lite"], kernels_act_on="light"))
    x = torch.rand(1, 3, 32, 32)
    residuals, kernels, dilation = fikp(x, x)
    light = position_adaptive_convolution(srgb_to_linear(x), kernels, dilation)
    torch.testing.assert_close(residuals[:, :-1], linear_to_srgb(light) - x[:, None])


def test_acting_on_light_keeps_an_edge_where_it_is() -> None:
    """Blur an edge in linear light and undo it with the exact inverse: in sRGB values the edge is displaced."""
    edge = torch.full((1, 3, 16, 64), 0.05)
    edge[..., 32:] = 0.95
    blur = torch.zeros(1, 1, 1, 5, 5)
    blur[..., 2, :] = torch.tensor([0.05, 0.2, 0.5, 0.2, 0.05])
    spectrum = torch.fft.fft2(torch.fft.ifftshift(blur[0, 0, 0]))
    inverse = inverse_kernel(1 / spectrum.abs(), -spectrum.angle())[None, None]
    light = plain_convolution(srgb_to_linear(edge), blur[:, :, 0])[:, 0]
    blurred = linear_to_srgb(light)
    in_light = linear_to_srgb(plain_convolution(light, inverse)[:, 0])
    in_codes = plain_convolution(blurred, inverse)[:, 0]
    errors = [float((restored - edge)[..., 8:-8].square().mean()) for restored in (in_light, in_codes, blurred)]
    assert errors[0] < 0.3 * errors[1] and errors[0] < 0.3 * errors[2]
