"""The compiled passes against torch's own operations, over shapes that no network of ours has too."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fdikp.network.dilation import detail
from fdikp.network.ops import fused_cpu, native, pac_cpu, residuals
from fdikp.network.ops.pac import sampled
from fdikp.network.ops.reference_bodies import attend_within_rows

pytestmark = [
    pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation"),
    pytest.mark.usefixtures("no_tiles"),
]

TYPES = st.sampled_from([torch.float32, torch.bfloat16])
SIDES = st.integers(1, 20)
few = settings(max_examples=40, deadline=None)


def draw(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    """Equal to the last digit or so of the type: a result of bfloat16 is rounded once."""
    rough = dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected.double(), atol=2e-5, rtol=0.01 if rough else 1e-5)


@few
@given(st.integers(0, 99), st.integers(1, 2), SIDES, SIDES)
def test_amplitude_and_phase(seed: int, B: int, H: int, W: int) -> None:
    f = torch.fft.rfft2(draw(seed, B, 3, H, W), norm="ortho")
    amplitude, phase = fused_cpu.polar(f, 1e-3)
    shifted = torch.fft.fftshift(f.to(torch.complex128), dim=-2)
    torch.testing.assert_close(amplitude.double(), torch.log1p(shifted.abs() / 1e-3) / 4, atol=1e-6, rtol=1e-6)
    loud = shifted.abs() > 1e-5 * shifted.abs().amax((-2, -1), keepdim=True)
    seen = shifted.abs().square() / (shifted.abs().square() + 1e-6)
    turned = (phase.double() / seen - shifted.angle()).remainder(2 * math.pi)  # -π and π are one angle
    assert bool((torch.minimum(turned, 2 * math.pi - turned)[loud] < 2e-6).all())


def test_profiler_shows_passes_by_name() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        fused_cpu.detail(draw(0, 2, 3, 8, 8), 1e-3)
    assert [event.count for event in seen.key_averages() if event.key == "fdikp_detail"] == [1]


needs_products = pytest.mark.skipif(not native.products(), reason="this processor has no AVX-512 BF16")


@few
@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 60), st.integers(1, 60), st.integers(1, 3))
def test_detail(seed: int, B: int, H: int, W: int, threads: int) -> None:
    check_detail(draw(seed, B, 3, H, W).sigmoid(), threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_detail_of_rows_longer_than_are_worked_on_together(threads: int) -> None:
    check_detail(draw(0, 2, 3, 41, 2100).sigmoid(), threads)


def check_detail(x: Tensor, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.testing.assert_close(detail(x).double(), detail(x.double()), atol=1e-5, rtol=1e-5)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(detail(x.requires_grad_()), detail(x.detach()))


def test_detail_of_what_is_not_a_number() -> None:
    x = torch.full((1, 3, 60, 60), 0.5)
    x[0, 1, 30, 30] = torch.nan
    found = detail(x).isnan()[0]
    assert torch.equal(found, detail(x.double()).isnan()[0])
    assert found[2, 20:41, 20:41].all()


@needs_products
@few
@given(
    st.integers(0, 99),
    st.integers(1, 2),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from(fused_cpu.FEATURES),
    st.sampled_from([0.1, 1.0, 30.0]),
)
def test_attention_within_strips(seed: int, B: int, H: int, W: int, heads: int, features: int, size: float) -> None:
    rows, columns = (size * draw(seed + n, B, H, W, 3 * heads * features, dtype=torch.bfloat16) for n in range(2))
    across = attend_within_rows(rows.double(), heads)
    down = attend_within_rows(columns.double().transpose(1, 2), heads).transpose(1, 2)
    wanted = torch.cat((across, down), dim=-1)
    with torch.no_grad():
        assert fused_cpu.attends(rows, heads)
        found = fused_cpu.attended(rows, columns, heads).double()
    assert (found - wanted).norm() / wanted.norm() < 5e-3
    assert (found - wanted).abs().max() < 0.03 * size


@needs_products
def test_attention_of_as_many_tokens_as_there_is_room_for() -> None:
    qkv = draw(0, 1, 3, fused_cpu.MOST_TOKENS, 24, dtype=torch.bfloat16)
    with torch.no_grad():
        assert fused_cpu.attends(qkv, 1)
        found = fused_cpu.attended(qkv, qkv, 1)[..., :8]
        assert not fused_cpu.attends(draw(0, 1, 3, fused_cpu.MOST_TOKENS + 1, 24, dtype=torch.bfloat16), 1)
    torch.testing.assert_close(found.double(), attend_within_rows(qkv.double(), 1), atol=0.01, rtol=0.01)


def test_amplitudes_of_all_sizes() -> None:
    """log(1 + x) keeps its digits where x is small beside 1, and where it is large."""
    size = torch.logspace(-18, 18, 4001, dtype=torch.float64)
    amplitude, _ = fused_cpu.polar(torch.complex(size.float(), torch.zeros_like(size).float())[None, None, None], 1.0)
    torch.testing.assert_close(
        amplitude.flatten().double(), torch.log1p(size.float().double()) / 4, atol=1e-20, rtol=1e-6
    )


def test_angles_all_around() -> None:
    turn = torch.linspace(-math.pi, math.pi, 10001, dtype=torch.float64)[1:-1]
    f = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
    _, phase = fused_cpu.polar(f[None, None, None], 1e-6)
    torch.testing.assert_close(phase.flatten().double(), turn, atol=1e-6, rtol=0)


def test_the_phase_fades_with_the_amplitude() -> None:
    f = torch.complex(torch.tensor([[[[-1.0, -1e-3, 0.0, -1e-4, 1e-30]]]]), torch.zeros(1, 1, 1, 5))
    _, phase = fused_cpu.polar(f, 1e-3)
    expected = torch.tensor([1 / (1 + 1e-6), 0.5, 0.0, 1 / 101, 0.0]) * math.pi
    torch.testing.assert_close(phase.flatten(), expected)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.sampled_from([2, 8, 12, 32]), SIDES, SIDES)
def test_the_recurrent_unit_s_cell(seed: int, dtype: torch.dtype, B: int, maps: int, H: int, W: int) -> None:
    gates = 4 * draw(seed, B, 4 * maps, H, W, dtype=dtype)
    before = draw(seed + 1, B, maps, H, W, dtype=dtype)
    hidden, cell = fused_cpu.cell(gates, before)
    forget, write, read, new = gates.double().chunk(4, 1)
    expected = F.sigmoid(forget) * before.double() + F.sigmoid(write) * torch.tanh(new)
    close(cell, expected, dtype)
    close(hidden, F.sigmoid(read) * torch.tanh(expected), dtype)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.sampled_from([2, 8, 12, 32]), SIDES, SIDES)
def test_coefficients(seed: int, dtype: torch.dtype, B: int, maps: int, H: int, W: int) -> None:
    located, hidden = (draw(seed + n, B, maps, n * H, n * W, dtype=dtype) for n in (2, 1))
    norm = nn.BatchNorm2d(maps).eval()
    norm.running_mean, norm.running_var = draw(seed, maps), draw(seed, maps).square() + 0.1
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        found = fused_cpu.coefficients(located, hidden, norm)
        u = F.interpolate(hidden.double(), scale_factor=2, mode="nearest")
        v = F.relu(norm.double()(located.double()))
    close(found, torch.tanh((u * v + u) / 2), dtype)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.integers(1, 7), SIDES, SIDES)
def test_blending(seed: int, dtype: torch.dtype, B: int, N: int, H: int, W: int) -> None:
    changes = tuple(draw(seed + n, B, N + 1, 3, H, W, dtype=dtype) for n in (0, 1))
    shares = draw(seed + 2, B, 2 * (N + 1), H, W, dtype=dtype)
    begin = draw(seed + 3, B, 3, H, W)
    output = nn.Conv2d(6 * (N + 1), 3, 1)
    with torch.no_grad():
        found = fused_cpu.blended(changes, shares, output, begin)
        weighed = torch.cat(changes, 1).double() * shares.double().unsqueeze(2)
        expected = begin + output.double()(weighed.flatten(1, 2))
    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=1e-4)


@few
@given(st.integers(0, 99), TYPES, st.integers(1, 2), st.integers(1, 7), st.sampled_from([1, 3, 5]), SIDES, SIDES)
def test_changes(seed: int, dtype: torch.dtype, B: int, N: int, K: int, H: int, W: int) -> None:
    x, begin = draw(seed, B, 3, H, W), draw(seed + 1, B, 3, H, W)
    kernels, dilation = draw(seed + 2, B, N, K, K) / K, 2 * draw(seed + 3, B, 1, H, W).abs()
    found = pac_cpu.changes(x, kernels, dilation, begin, dtype)
    x, kernels, dilation, begin = (t.double() for t in (x, kernels, dilation, begin))
    close(found, residuals(sampled(x, kernels, dilation), x, begin), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_a_number_stays_none(dtype: torch.dtype) -> None:
    """So that a tile that overflowed is seen, and computed again."""
    gates = torch.full((1, 8, 2, 2), torch.nan).to(dtype)
    assert all(bool(t.isnan().all()) for t in fused_cpu.cell(gates, torch.zeros(1, 2, 2, 2).to(dtype)))
    with torch.no_grad():
        norm = nn.BatchNorm2d(2).eval()
        found = fused_cpu.coefficients(torch.zeros(1, 2, 4, 4).to(dtype), gates[:, :2], norm)
    assert bool(found.isnan().all())


def test_threads_change_nothing() -> None:
    gates, before = draw(0, 1, 48, 200, 300), draw(1, 1, 12, 200, 300)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(fused_cpu.cell(gates, before))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_where_a_gradient_is_wanted_they_are_not_taken() -> None:
    x = torch.rand(1, 3, 8, 8)
    assert not native.applies(x)
    with torch.no_grad():
        assert native.applies(x)
        assert not native.applies(x, x.double())
        assert not native.applies(x, x.half())


@pytest.mark.parametrize("team", [True, False])
@pytest.mark.parametrize(("items", "threads"), [(1, 4), (7, 2), (5, 8), (64, 3)])
def test_work_is_shared_out_once_and_whole(
    team: bool, items: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the threads that torch has, and by those that stand in for them in a child or with another OpenMP."""
    if not team:
        monkeypatch.setattr(native, "_team", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done: list[tuple[int, int]] = []
        native._shared(lambda first, last: done.append((first, last)), items, native.SMALL)
    finally:
        torch.set_num_threads(before)
    assert sorted(i for first, last in done for i in range(first, last)) == list(range(items))


@pytest.mark.parametrize("team", [True, False])
def test_an_interrupt_while_work_is_shared_is_not_lost(team: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not team:
        monkeypatch.setattr(native, "_team", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def work(first: int, last: int) -> None:
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            native._shared(work, 4, native.SMALL)
    finally:
        torch.set_num_threads(before)
