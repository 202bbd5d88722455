"""The whole network against the forward pass written out: with fused kernels, without a compiler, and by reference."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor

from fdikp.network import FDIKP, PRESETS, NetworkConfig, ops
from fdikp.network.ops import native

sys.path.insert(0, str(Path(__file__).parent))
from plain import Plain, lively

both_presets = pytest.mark.parametrize("preset", ["fdikp-lite", "fdikp-base"])
both_layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.from_numpy(data.astronaut()[100:292, 120:280].copy()).permute(2, 0, 1)[None] / 255


def network(config: NetworkConfig) -> FDIKP:
    torch.manual_seed(0)
    return lively(FDIKP(config))


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.float() - b.float()).square().mean()))


@pytest.fixture(params=["compiled", "not compiled"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled library, or none, as where there is no compiler at installation."""
    if request.param == "not compiled":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("no C compiler was there at installation")


@pytest.fixture(scope="module")
def plain_of(photo: Tensor) -> Callable[[str], Tensor]:
    """The plain pass of a preset's network in float32, computed once."""

    @cache
    def plain_of(preset: str) -> Tensor:
        with torch.inference_mode():
            return Plain(network(PRESETS[preset]))(photo)

    return plain_of


@both_presets
@both_layouts
def test_fast_float32_is_the_plain_pass_to_90_db(photo, plain_of, preset, layout, library) -> None:  # type: ignore[no-untyped-def]
    plain = plain_of(preset)
    with torch.inference_mode():
        fast = network(PRESETS[preset]).to(memory_format=layout)(photo)
    assert (plain - photo).abs().mean() > 1e-3  # the network does something
    assert psnr(fast, plain) > 90


@both_presets
@both_layouts
def test_the_reference_is_the_plain_pass_to_1e_5(photo, plain_of, preset, layout) -> None:  # type: ignore[no-untyped-def]
    with torch.inference_mode(), ops.reference():
        reference = network(PRESETS[preset]).to(memory_format=layout)(photo)
    assert psnr(reference, plain_of(preset)) > 100  # 1e-5, root mean square


@pytest.fixture(params=["fast", "reference"])
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    with ops.reference() if request.param == "reference" else nullcontext():
        yield


@both_presets
def test_bfloat16_is_the_plain_pass_to_45_db(photo, preset, library, mode) -> None:  # type: ignore[no-untyped-def]
    net = network(PRESETS[preset])
    photo = photo[..., :64, :80]  # bfloat16 is emulated on many processors
    with torch.inference_mode():
        plain = Plain(net)(photo)
        fast = net.to(torch.bfloat16).to(memory_format=torch.channels_last)(photo)
    assert psnr(fast, plain) > 45


def test_with_a_gradient_it_is_the_plain_pass_too(tiny_config: NetworkConfig, photo: Tensor, mode: None) -> None:
    net = network(tiny_config)
    assert psnr(net(photo).detach(), Plain(net)(photo)) > 85


def test_more_kernels_than_fused_kernels_have_room_for(tiny_config: NetworkConfig, photo: Tensor) -> None:
    net = network(replace(tiny_config, kernels=40))
    with torch.inference_mode():
        assert psnr(net(photo), Plain(net)(photo)) > 60
