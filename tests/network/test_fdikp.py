"""The whole network: sizes, batches, precision, and what it does untrained."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fdikp.network import FDIKP, MIN_SIZE, PRESETS, downsample
from fdikp.network.dsrm import DSRM
from fdikp.network.fdikp import pad, working_size
from fdikp.network.fikp import FIKP


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * (a.double() - b.double()).square().mean().clamp_min(1e-20).log10().item()


@pytest.mark.parametrize("name", ["fdikp-lite", "sram", "dsrm"])
def test_untrained_it_returns_its_input_and_has_a_gradient(name: str) -> None:
    x = torch.rand(1, 3, 50, 70)
    network = FDIKP(PRESETS[name])
    y = network(x)
    assert psnr(y, x) > 40
    y.square().sum().backward()
    assert network.dsrm.apu.gates.weight.grad.abs().max() > 0


@settings(max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_the_result_has_the_size_of_the_input(lively: FDIKP, height: int, width: int) -> None:
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width))
    y = lively(x)
    assert y.shape == x.shape
    assert y.isfinite().all()


@pytest.mark.parametrize("side", range(1, 71))
def test_every_size_from_1_to_70(lively: FDIKP, side: int) -> None:
    for size in ((side, 71 - side), (side, side)):
        assert lively(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_a_batch_gives_what_its_images_give_alone(lively: FDIKP) -> None:
    x = torch.rand(3, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    x[1] = 0.5  # flat: its spectrum is rounding noise but for one entry
    alone = torch.cat([lively(image[None]) for image in x])
    assert psnr(lively(x), alone) > 80  # untrained attention amplifies rounding


def test_bfloat16_is_close_to_float32(lively: FDIKP) -> None:
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    half = FDIKP(PRESETS["fdikp-lite"]).eval()
    half.load_state_dict(lively.state_dict())
    single = lively(x)
    assert psnr(single, x) < 40  # the network does something, so the comparison is meaningful
    assert psnr(half.to(torch.bfloat16)(x), single) > 35


def test_padding_reflects_repeatedly() -> None:
    x = torch.arange(3.0).reshape(1, 1, 1, 3)
    assert pad(x, 2, 8)[0, 0].tolist() == [[0, 1, 2, 1, 0, 1, 2, 1]] * 2


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_working_size_is_the_smallest_that_fits(height: int, width: int) -> None:
    for side, padded in zip((height, width), working_size(height, width), strict=True):
        assert padded % 16 == 0 and padded >= max(side, MIN_SIZE) and (padded - side < 16 or padded == MIN_SIZE)


def test_the_coarsest_stage_deconvolves_one_image_and_each_spectrum_is_computed_once(
    lively: FDIKP, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fdikp.network import dikp

    shapes: list[tuple[int, ...]] = []
    spectrum = dikp.spectrum

    def counted(x: Tensor) -> dikp.Spectrum:
        shapes.append(tuple(x.shape))
        return spectrum(x)

    monkeypatch.setattr(dikp, "spectrum", counted)
    lively(torch.rand(1, 3, 64, 64))
    assert shapes == [(1, 3, 16, 16), (2, 3, 32, 32), (2, 3, 64, 64)]


def test_stages_blend_as_the_figure_says(lively: FDIKP) -> None:
    """The finest stage, assembled by hand from its boxes."""
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    stages = lively.stages(x)
    fikp, dsrm = lively.fikp, lively.dsrm
    assert isinstance(fikp, FIKP) and isinstance(dsrm, DSRM)

    def up(t: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(t, scale_factor=2, mode="bilinear")

    state = None
    for scale in (4, 2, 1):
        coefficients, state = dsrm(downsample(x, scale), state and type(state)(*map(up, state)))
    previous = up(stages[1].image)
    base = x + previous - up(downsample(x, 2))
    both = [fikp(image, base).candidate_residuals for image in (x, previous)]
    weighted = (coefficients[:, :, None] * torch.cat(both, dim=1)).reshape(1, 36, 64, 64)
    torch.testing.assert_close(stages[2].image, base + lively.output(weighted), atol=1e-4, rtol=1e-4)


def test_downsampling_is_the_mean_of_blocks() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert downsample(x, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert downsample(x, 1) is x
