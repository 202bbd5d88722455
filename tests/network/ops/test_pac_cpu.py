"""The native kernel of position adaptive convolution against torch's own operations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fdikp.network.ops import pac_cpu, position_adaptive_convolution, reference_ops

pytestmark = pytest.mark.usefixtures("isa")


def case(seed: int, B: int, N: int, K: int, H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    return x, kernels, 3 * torch.rand(B, 1, H, W, generator=generator)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99), st.integers(1, 3), st.integers(1, 7), st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 20), st.integers(1, 20),
)  # fmt: skip
def test_results_and_gradients_are_those_of_the_reference(seed: int, B: int, N: int, K: int, H: int, W: int) -> None:
    inputs = tuple(t.requires_grad_() for t in case(seed, B, N, K, H, W))
    assert pac_cpu.is_eligible(inputs[0], inputs[1])
    # in float64, whose coordinates are exact: near a whole pixel the gradient jumps
    fused, exact = (
        position_adaptive_convolution(*inputs),
        reference_ops.position_adaptive_convolution(*(t.double() for t in inputs)),
    )
    torch.testing.assert_close(fused.double(), exact, atol=1e-5, rtol=1e-4)
    gradient = torch.randn(fused.shape, generator=torch.Generator().manual_seed(seed + 1))
    of_fused = torch.autograd.grad(fused, inputs, gradient)
    of_exact = torch.autograd.grad(exact, inputs, gradient.double())
    for name, a, b in zip(("x", "kernels", "dilation"), of_fused, of_exact, strict=True):
        torch.testing.assert_close(a, b.to(a.dtype), atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99), st.integers(1, 7), st.sampled_from([3, 5, 7]), st.integers(1, 12), st.integers(4, 60),
    st.floats(0, 3), st.sampled_from([0.0, 0.003, -0.02]), st.sampled_from([0.0, 0.01]),
)  # fmt: skip
def test_where_dilation_changes_slowly(
    seed: int, N: int, K: int, H: int, W: int, least: float, across: float, down: float
) -> None:
    """There the kernel computes neighbouring pixels together; with a random dilation it hardly ever can."""
    x, kernels, _ = case(seed, 2, N, K, H, W)
    dilation = least + across * torch.arange(W) + down * torch.arange(H)[:, None]
    dilation = dilation.clamp_min(0).expand(2, 1, H, W).contiguous()
    fused = position_adaptive_convolution(x, kernels, dilation)
    exact = reference_ops.position_adaptive_convolution(x.double(), kernels.double(), dilation.double())
    torch.testing.assert_close(fused.double(), exact, atol=1e-5, rtol=1e-4)


def test_the_number_of_threads_changes_nothing() -> None:
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


def test_nan_dilation_reads_no_memory_outside_the_image() -> None:
    x, kernels, dilation = case(0, 1, 5, 5, 8, 8)
    dilation[0, 0, 2, 3], dilation[0, 0, 5, 5], dilation[0, 0, 0, 0] = float("nan"), float("inf"), -1e30
    leaves = tuple(t.requires_grad_() for t in (x, kernels, dilation))
    position_adaptive_convolution(*leaves).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_only_what_needs_a_gradient_gets_one() -> None:
    x, kernels, dilation = case(0, 1, 2, 3, 8, 8)
    position_adaptive_convolution(x, kernels.requires_grad_(), dilation).sum().backward()
    assert x.grad is None and kernels.grad is not None


def test_it_is_one_operator_to_tracing() -> None:
    inputs = tuple(t.requires_grad_() for t in case(0, 1, 2, 3, 8, 8))
    checked = torch.library.opcheck(
        torch.ops.fdikp.pac.default, inputs, test_utils=("test_schema", "test_faketensor", "test_autograd_registration")
    )
    assert set(checked.values()) == {"SUCCESS"}


def test_other_types_and_shapes_are_not_eligible() -> None:
    x, kernels, _ = case(0, 1, 2, 3, 8, 8)
    assert not pac_cpu.is_eligible(x.double(), kernels.double())
    assert not pac_cpu.is_eligible(x[:, :2], kernels)
    assert not pac_cpu.is_eligible(x, kernels.repeat(1, 8, 1, 1))


def test_without_a_compiler_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = case(0, 1, 2, 3, 8, 8)
    before = position_adaptive_convolution(*inputs)
    monkeypatch.setattr(pac_cpu, "is_available", lambda: False)
    torch.testing.assert_close(position_adaptive_convolution(*inputs), before, atol=1e-5, rtol=1e-5)
