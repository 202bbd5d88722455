"""Every fast path of the whole network against the plain forward pass, and that it is taken where it should be."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor

from fdikp.network import FDIKP, PRESETS, NetworkConfig, ops
from fdikp.network.ops import native

sys.path.insert(0, str(Path(__file__).parent))
from plain import Plain, lively

needs_compiled = pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return torch.from_numpy(data.astronaut()[100:292, 120:280].copy()).permute(2, 0, 1)[None] / 255


def network(config: NetworkConfig) -> FDIKP:
    torch.manual_seed(0)
    return lively(FDIKP(config))


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.float() - b.float()).square().mean()))


@pytest.fixture(params=["kernels", "no compiler", "reference"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the compiled library, as it is where there is no compiler, and by the reference bodies."""
    if request.param == "no compiler":
        monkeypatch.setattr(native, "library", lambda: None)
        monkeypatch.setattr("fdikp.network.ops.pac_cpu.library", lambda: None)
    elif request.param == "kernels" and native.library() is None:
        pytest.skip("no C compiler was there at installation")
    with ops.reference() if request.param == "reference" else nullcontext():
        yield


@pytest.mark.parametrize("preset", ["fdikp-lite", "fdikp-base"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_float32_is_the_plain_pass_to_rounding(photograph, preset, layout, library) -> None:  # type: ignore[no-untyped-def]
    net = network(PRESETS[preset])
    with torch.inference_mode():
        plain = Plain(net)(photograph)
        fast = net.to(memory_format=layout)(photograph)
    assert (plain - photograph).abs().mean() > 1e-3  # the network does something
    assert psnr(fast, plain) > 75


@pytest.mark.parametrize("preset", ["fdikp-lite", "fdikp-base"])
def test_bfloat16_is_the_plain_pass_to_45_db(photograph, preset, library) -> None:  # type: ignore[no-untyped-def]
    net = network(PRESETS[preset])
    with torch.inference_mode():
        plain = Plain(net)(photograph)
        fast = net.to(torch.bfloat16).to(memory_format=torch.channels_last)(photograph)
    assert psnr(fast, plain) > 45


def test_with_a_gradient_it_is_the_plain_pass_too(tiny_config: NetworkConfig, photograph: Tensor) -> None:
    net = network(tiny_config)
    assert psnr(net(photograph).detach(), Plain(net)(photograph)) > 85


def test_more_kernels_than_compiled_passes_have_room_for(tiny_config: NetworkConfig, photograph: Tensor) -> None:
    net = network(replace(tiny_config, kernels=40))
    with torch.inference_mode():
        assert psnr(net(photograph), Plain(net)(photograph)) > 60
