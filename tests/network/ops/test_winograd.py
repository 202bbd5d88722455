"""Winograd's convolution against torch's, over shapes that no network here has too."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fdikp.network.ops import conv_act, conv_concat, winograd

pytestmark = pytest.mark.usefixtures("isa")


def layer(channels: int, out: int, seed: int = 0) -> nn.Conv2d:
    torch.manual_seed(seed)
    return nn.Conv2d(channels, out, 3, padding=1).requires_grad_(False)


def expected(conv: nn.Conv2d, x: Tensor, slope: float, skip: Tensor | None) -> Tensor:
    assert conv.bias is not None
    y = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    return F.leaky_relu(y if skip is None else y + skip.double(), slope)


def check(conv: nn.Conv2d, x: Tensor, slope: float = 1.0, skip: Tensor | None = None) -> None:
    with torch.no_grad():
        assert winograd.is_eligible(conv, x)
        result = winograd.conv_act(conv, x, slope, skip)
    target = expected(conv, x, slope, skip)
    assert result.shape == target.shape
    assert result.dtype == x.dtype
    error = (result.double() - target).square().mean().sqrt() / target.square().mean().sqrt()
    assert error < 2e-6


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99),
    st.integers(1, 3),
    st.sampled_from([16, 32, 48, 64, 160]),
    st.sampled_from([32, 64, 80, 96, 160]),
    st.integers(1, 23),
    st.integers(1, 23),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.booleans(),
)
def test_any_size(seed: int, B: int, channels: int, out: int, H: int, W: int, slope: float, skips: bool) -> None:
    conv = layer(channels, out, seed)
    check(conv, torch.randn(B, channels, H, W), slope, torch.randn(B, out, H, W) if skips else None)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("channels", [32, 256])
def test_many_tiles_in_several_threads(threads: int, channels: int) -> None:
    """More than one block, so that blocks, and threads, start in the middle of rows and images."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(layer(channels, channels), torch.randn(2, channels, 71, 94), 0.2)
    finally:
        torch.set_num_threads(before)


def test_nan_spreads_as_far_as_its_tile() -> None:
    x = torch.zeros(1, 32, 40, 40)
    x[0, 3, 20, 20] = torch.nan
    with torch.no_grad():
        result = winograd.conv_act(layer(32, 32), x, 1.0, None)
    spread = result.isnan().any(dim=1)[0]
    assert spread[19:22, 19:22].all()
    assert not spread[:18].any()
    assert not spread[:, 23:].any()


def test_weights_that_change_are_packed_again() -> None:
    conv, x = layer(32, 32), torch.randn(1, 32, 8, 8)
    check(conv, x)
    conv.weight.mul_(2)
    check(conv, x)
    other = copy.deepcopy(conv)
    other.weight.neg_()
    check(other, x)
    check(conv, x)
    conv.load_state_dict(layer(32, 32, seed=5).state_dict())
    check(conv, x)
    assert set(conv.state_dict()) == {"weight", "bias"}


def test_weights_that_come_back_rounded_are_packed_again() -> None:
    """As those of a network converted to bfloat16 and back to float32, perhaps at the same address."""
    conv, x = layer(32, 32), torch.randn(1, 32, 8, 8)
    for _ in range(4):
        check(conv, x)
        conv.weight.data = conv.weight.data.bfloat16()
        conv.weight.data = conv.weight.data.float() * 2
    check(conv, x)


def test_layers_made_in_inference_mode() -> None:
    with torch.inference_mode():
        conv = nn.Conv2d(32, 32, 3, padding=1)
        x = torch.randn(1, 32, 5, 6)
        check(conv, x)
        conv.weight.mul_(2)
        check(conv, x)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(32, 32, 3),
        nn.Conv2d(32, 32, 3, padding=1, stride=2),
        nn.Conv2d(32, 32, 3, padding=2, dilation=2),
        nn.Conv2d(32, 32, 3, padding=1, groups=2),
        nn.Conv2d(32, 32, 3, padding=1, bias=False),
        nn.Conv2d(32, 32, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.Conv2d(24, 32, 3, padding=1),
        nn.Conv2d(32, 12, 3, padding=1),
        nn.Conv2d(32, 512, 3, padding=1),
    ],
)
def test_torch_computes_other_layers(conv: nn.Conv2d) -> None:
    with torch.no_grad():
        x = torch.randn(1, conv.in_channels, 9, 9)
        assert not winograd.is_eligible(conv, x)
        torch.testing.assert_close(conv_act(conv, x), F.leaky_relu(conv(x), 0.2))


def test_torch_computes_bfloat16() -> None:
    conv, x = layer(32, 32).bfloat16(), torch.randn(1, 32, 9, 9).bfloat16()
    with torch.no_grad():
        assert not winograd.is_eligible(conv, x)
        assert not winograd.is_eligible(layer(32, 32), x)


def test_torch_computes_layers_with_a_gradient() -> None:
    conv, x = nn.Conv2d(32, 32, 3, padding=1), torch.randn(1, 32, 9, 9)
    assert not winograd.is_eligible(conv, x)
    conv_act(conv, x, skip=x).sum().backward()
    assert conv.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_conv_concat_is_the_convolution_of_both_side_by_side(dtype: torch.dtype) -> None:
    conv = nn.Conv2d(40, 24, 1).to(dtype).requires_grad_(False)
    x, y = torch.randn(2, 16, 7, 9).to(dtype), torch.randn(2, 24, 7, 9).to(dtype)
    target = F.conv2d(torch.cat((x, y), dim=1).double(), conv.weight.double(), conv.bias.double())
    with torch.no_grad():
        result = conv_concat(conv, x, y)
    torch.testing.assert_close(result.double(), target, atol=0.02 if dtype == torch.bfloat16 else 1e-5, rtol=0.01)
