"""The fused kernels against torch's own operations, over shapes that no network here has too."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.ops import fused_cpu, pac_cpu, reference_ops, residuals

pytestmark = pytest.mark.usefixtures("isa")

FLOOR = 2e-6

TYPES = st.sampled_from([torch.float32, torch.bfloat16])
SIDES = st.integers(1, 20)
few = settings(max_examples=40, deadline=None)


def draw(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def assert_rounded_once(result: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    """Equal to about the last digit of the type."""
    rtol = 0.01 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(result.double(), expected.double(), atol=2e-5, rtol=rtol)


@few
@given(st.integers(0, 99), st.integers(1, 2), SIDES, SIDES)
def test_amplitude_and_phase(seed: int, B: int, H: int, W: int) -> None:
    f = torch.fft.rfft2(draw(seed, B, 3, H, W), norm="ortho")
    amplitude, phase = fused_cpu.log_amplitude_and_phase(f, 1e-3)
    shifted = torch.fft.fftshift(f.to(torch.complex128), dim=-2)
    torch.testing.assert_close(amplitude.double(), torch.log1p(shifted.abs() / 1e-3) / 4, atol=1e-6, rtol=1e-6)
    audible = shifted.abs() > 1e-5 * shifted.abs().amax((-2, -1), keepdim=True)
    weight = shifted.abs().square() / (shifted.abs().square() + 1e-6)
    difference = (phase.double() / weight - shifted.angle()).remainder(2 * math.pi)  # -π and π are one angle
    assert bool((torch.minimum(difference, 2 * math.pi - difference)[audible] < 2e-6).all())


@few
@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 60), st.integers(1, 60), st.integers(1, 3))
def test_band_energy(seed: int, B: int, H: int, W: int, threads: int) -> None:
    check_band_energy(draw(seed, B, 3, H, W).sigmoid(), threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_band_energy_of_rows_longer_than_one_strip(threads: int) -> None:
    check_band_energy(draw(0, 2, 3, 41, 2100).sigmoid(), threads)


def check_band_energy(x: Tensor, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.testing.assert_close(
            fused_cpu.band_energy(x, FLOOR).double(), ops.band_energy(x.double(), FLOOR), atol=1e-5, rtol=1e-5
        )
    finally:
        torch.set_num_threads(before)
    with torch.no_grad():
        assert torch.equal(ops.band_energy(x, FLOOR), fused_cpu.band_energy(x, FLOOR))


def test_band_energy_of_nan() -> None:
    x = torch.full((1, 3, 60, 60), 0.5)
    x[0, 1, 30, 30] = torch.nan
    result = fused_cpu.band_energy(x, FLOOR).isnan()[0]
    assert torch.equal(result, ops.band_energy(x.double(), FLOOR).isnan()[0])
    assert result[2, 20:41, 20:41].all()


def test_amplitudes_of_all_sizes() -> None:
    """log(1 + x) keeps its digits where x is small beside 1, and where it is large."""
    size = torch.logspace(-18, 18, 4001, dtype=torch.float64)
    amplitude, _ = fused_cpu.log_amplitude_and_phase(
        torch.complex(size.float(), torch.zeros_like(size).float())[None, None, None], 1.0
    )
    torch.testing.assert_close(
        amplitude.flatten().double(), torch.log1p(size.float().double()) / 4, atol=1e-20, rtol=1e-6
    )


def test_angles_all_around() -> None:
    turn = torch.linspace(-math.pi, math.pi, 10001, dtype=torch.float64)[1:-1]
    f = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
    _, phase = fused_cpu.log_amplitude_and_phase(f[None, None, None], 1e-6)
    torch.testing.assert_close(phase.flatten().double(), turn, atol=1e-6, rtol=0)


def test_the_phase_fades_with_the_amplitude() -> None:
    f = torch.complex(torch.tensor([[[[-1.0, -1e-3, 0.0, -1e-4, 1e-30]]]]), torch.zeros(1, 1, 1, 5))
    _, phase = fused_cpu.log_amplitude_and_phase(f, 1e-3)
    expected = torch.tensor([1 / (1 + 1e-6), 0.5, 0.0, 1 / 101, 0.0]) * math.pi
    torch.testing.assert_close(phase.flatten(), expected)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.sampled_from([2, 8, 12, 32]), SIDES, SIDES)
def test_lstm_cell(seed: int, dtype: torch.dtype, B: int, maps: int, H: int, W: int) -> None:
    gates = 4 * draw(seed, B, 4 * maps, H, W, dtype=dtype)
    before = draw(seed + 1, B, maps, H, W, dtype=dtype)
    hidden, cell = fused_cpu.lstm_cell(gates, before)
    forget, write, read, new = gates.double().chunk(4, 1)
    expected = F.sigmoid(forget) * before.double() + F.sigmoid(write) * torch.tanh(new)
    assert_rounded_once(cell, expected, dtype)
    assert_rounded_once(hidden, F.sigmoid(read) * torch.tanh(expected), dtype)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.sampled_from([2, 8, 12, 32]), SIDES, SIDES)
def test_coefficient_maps(seed: int, dtype: torch.dtype, B: int, maps: int, H: int, W: int) -> None:
    spatial, hidden = (draw(seed + n, B, maps, n * H, n * W, dtype=dtype) for n in (2, 1))
    norm = nn.BatchNorm2d(maps).eval()
    norm.running_mean, norm.running_var = draw(seed, maps), draw(seed, maps).square() + 0.1
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        result = fused_cpu.coefficient_maps(spatial, hidden, norm)
        u = F.interpolate(hidden.double(), scale_factor=2, mode="nearest")
        v = F.relu(norm.double()(spatial.double()))
    assert_rounded_once(result, torch.tanh((u * v + u) / 2), dtype)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.integers(1, 7), SIDES, SIDES)
def test_blend(seed: int, dtype: torch.dtype, B: int, N: int, H: int, W: int) -> None:
    candidates = tuple(draw(seed + n, B, N + 1, 3, H, W, dtype=dtype) for n in (0, 1))
    coefficients = draw(seed + 2, B, 2 * (N + 1), H, W, dtype=dtype)
    base = draw(seed + 3, B, 3, H, W)
    output = nn.Conv2d(6 * (N + 1), 3, 1)
    with torch.no_grad():
        result = fused_cpu.blend(candidates, coefficients, output, base)
        weighted = torch.cat(candidates, 1).double() * coefficients.double().unsqueeze(2)
        expected = base + output.double()(weighted.flatten(1, 2))
    torch.testing.assert_close(result, expected.float(), atol=1e-4, rtol=1e-4)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.integers(1, 7), st.sampled_from([1, 3, 5]), SIDES, SIDES)
def test_candidate_residuals(seed: int, dtype: torch.dtype, B: int, N: int, K: int, H: int, W: int) -> None:
    x, base = draw(seed, B, 3, H, W), draw(seed + 1, B, 3, H, W)
    kernels, dilation = draw(seed + 2, B, N, K, K) / K, 2 * draw(seed + 3, B, 1, H, W).abs()
    result = pac_cpu.candidate_residuals(x, kernels, dilation, base, dtype)
    x, kernels, dilation, base = (t.double() for t in (x, kernels, dilation, base))
    assert_rounded_once(
        result, residuals(reference_ops.position_adaptive_convolution(x, kernels, dilation), x, base), dtype
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nan_stays_nan(dtype: torch.dtype) -> None:
    """So that a tile that overflowed is noticed, and computed again."""
    gates = torch.full((1, 8, 2, 2), torch.nan).to(dtype)
    assert all(bool(t.isnan().all()) for t in fused_cpu.lstm_cell(gates, torch.zeros(1, 2, 2, 2).to(dtype)))
    with torch.no_grad():
        norm = nn.BatchNorm2d(2).eval()
        result = fused_cpu.coefficient_maps(torch.zeros(1, 2, 4, 4).to(dtype), gates[:, :2], norm)
    assert bool(result.isnan().all())


def test_the_number_of_threads_changes_nothing() -> None:
    gates, before = draw(0, 1, 48, 200, 300), draw(1, 1, 12, 200, 300)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(fused_cpu.lstm_cell(gates, before))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
