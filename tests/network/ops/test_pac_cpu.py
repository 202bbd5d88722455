"""The compiled path of position adaptive convolution against torch's own operations."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fdikp.network.ops import native, pac_cpu
from fdikp.network.ops.pac import position_adaptive_convolution, sampled

pytestmark = pytest.mark.usefixtures("vectors")
needs_compiled = pytest.mark.skipif(pac_cpu.library() is None, reason="no C compiler was there at installation")


def case(seed: int, B: int, N: int, K: int, H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    return x, kernels, 3 * torch.rand(B, 1, H, W, generator=generator)


@needs_compiled
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99), st.integers(1, 3), st.integers(1, 7), st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 20), st.integers(1, 20),
)  # fmt: skip
def test_results_and_gradients_are_those_of_the_slower_path(seed: int, B: int, N: int, K: int, H: int, W: int) -> None:
    inputs = tuple(t.requires_grad_() for t in case(seed, B, N, K, H, W))
    assert pac_cpu.applies(inputs[0], inputs[1])
    # in float64, whose coordinates are exact: near a whole pixel the gradient jumps
    fast, slow = position_adaptive_convolution(*inputs), sampled(*(t.double() for t in inputs))
    torch.testing.assert_close(fast.double(), slow, atol=1e-5, rtol=1e-4)
    gradient = torch.randn(fast.shape, generator=torch.Generator().manual_seed(seed + 1))
    of_fast = torch.autograd.grad(fast, inputs, gradient)
    of_slow = torch.autograd.grad(slow, inputs, gradient.double())
    for name, a, b in zip(("x", "kernels", "dilation"), of_fast, of_slow, strict=True):
        torch.testing.assert_close(a, b.to(a.dtype), atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


@needs_compiled
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99), st.integers(1, 7), st.sampled_from([3, 5, 7]), st.integers(1, 12), st.integers(4, 60),
    st.floats(0, 3), st.sampled_from([0.0, 0.003, -0.02]), st.sampled_from([0.0, 0.01]),
)  # fmt: skip
def test_where_dilation_changes_slowly(
    seed: int, N: int, K: int, H: int, W: int, least: float, across: float, down: float
) -> None:
    """Four pixels are worked on together there; with a random dilation hardly ever."""
    x, kernels, _ = case(seed, 2, N, K, H, W)
    dilation = least + across * torch.arange(W) + down * torch.arange(H)[:, None]
    dilation = dilation.clamp_min(0).expand(2, 1, H, W).contiguous()
    fast = position_adaptive_convolution(x, kernels, dilation)
    slow = sampled(x.double(), kernels.double(), dilation.double())
    torch.testing.assert_close(fast.double(), slow, atol=1e-5, rtol=1e-4)


@needs_compiled
def test_threads_share_a_large_picture_without_changing_it() -> None:
    inputs = case(0, 2, 5, 5, 200, 300)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            leaves = tuple(t.clone().requires_grad_() for t in inputs)
            out = position_adaptive_convolution(*leaves)
            results.append((out, *torch.autograd.grad(out.square().sum(), leaves)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@needs_compiled
def test_what_is_not_a_number_reads_no_memory_outside_of_the_picture() -> None:
    x, kernels, dilation = case(0, 1, 5, 5, 8, 8)
    dilation[0, 0, 2, 3], dilation[0, 0, 5, 5], dilation[0, 0, 0, 0] = float("nan"), float("inf"), -1e30
    leaves = tuple(t.requires_grad_() for t in (x, kernels, dilation))
    position_adaptive_convolution(*leaves).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@needs_compiled
def test_only_what_needs_a_gradient_gets_one() -> None:
    x, kernels, dilation = case(0, 1, 2, 3, 8, 8)
    position_adaptive_convolution(x, kernels.requires_grad_(), dilation).sum().backward()
    assert x.grad is None and kernels.grad is not None


@needs_compiled
def test_it_is_one_operator_to_tracing() -> None:
    inputs = tuple(t.requires_grad_() for t in case(0, 1, 2, 3, 8, 8))
    checked = torch.library.opcheck(
        torch.ops.fdikp.pac.default, inputs, test_utils=("test_schema", "test_faketensor", "test_autograd_registration")
    )
    assert set(checked.values()) == {"SUCCESS"}


def test_other_types_and_shapes_take_the_slower_path() -> None:
    x, kernels, _ = case(0, 1, 2, 3, 8, 8)
    assert not pac_cpu.applies(x.double(), kernels.double())
    assert not pac_cpu.applies(x[:, :2], kernels)
    assert not pac_cpu.applies(x, kernels.repeat(1, 8, 1, 1))


def test_without_a_compiler_it_works_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = case(0, 1, 2, 3, 8, 8)
    before = position_adaptive_convolution(*inputs)
    monkeypatch.setattr(native, "EXTENSION_SUFFIXES", [".not-there"])
    pac_cpu.library.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            after = position_adaptive_convolution(*inputs)
    finally:
        monkeypatch.undo()
        pac_cpu.library.cache_clear()
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    assert "slower path" in caplog.text
