"""The Triton kernels of position adaptive convolution: when they run, what tracing sees, what they do on a GPU.

What they compute is checked without a GPU in `test_pac_triton`.
"""

import logging
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from fdikp.evaluation.cost import counter
from fdikp.network import ops
from fdikp.network.ops import pac_cuda, position_adaptive_convolution, reference_ops

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def case(seed: int, B: int, N: int, K: int, H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    return x, kernels, 3 * torch.rand(B, 1, H, W, generator=generator)


@pytest.fixture
def no_cache() -> Iterator[None]:
    """Clears what is cached about Triton, before and after."""
    for cached in (pac_cuda._trial, pac_cuda._log_failure):
        cached.cache_clear()
    yield
    for cached in (pac_cuda._trial, pac_cuda._log_failure):
        cached.cache_clear()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    """Tensors without values, on a CUDA device that need not exist, where Triton works."""
    monkeypatch.setattr(pac_cuda, "works", lambda *_: True)
    with FakeTensorMode() as mode:
        yield mode


def arguments(
    B: int = 2, C: int = 3, N: int = 5, K: int = 5, H: int = 16, W: int = 24, device: str = "cuda"
) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments on a device; on a CUDA device that does not exist they can hardly be more than made."""
    shapes = ((B, C, H, W), (B, N, K, K), (B, 1, H, W))
    return tuple(torch.empty(shape, device=device) for shape in shapes)  # type: ignore[return-value]


def test_they_run_for_what_they_support_alone(fake: FakeTensorMode) -> None:
    x, kernels, _ = arguments()
    assert pac_cuda.is_eligible(x, kernels)
    assert not pac_cuda.is_eligible(*arguments(device="cpu")[:2])
    assert not pac_cuda.is_eligible(x.double(), kernels.double())
    assert not pac_cuda.is_eligible(*arguments(C=2)[:2])
    assert not pac_cuda.is_eligible(*arguments(N=16)[:2])
    assert not pac_cuda.is_eligible(*arguments(B=1, N=1, K=17)[:2])


def test_numbers_stay_within_32_bits(fake: FakeTensorMode) -> None:
    assert pac_cuda.is_eligible(*arguments(B=16, H=10_000, W=20_000)[:2])
    assert not pac_cuda.is_eligible(*arguments(B=1, H=30_000, W=30_000)[:2])  # the image
    assert not pac_cuda.is_eligible(*arguments(B=1, H=2, W=20_000_000)[:2])  # what a program writes
    assert not pac_cuda.is_eligible(*arguments(B=1, N=1, H=2**24 + 1, W=1)[:2])  # a coordinate
    apart = torch.empty_strided((1, 3, 8, 8), (2**31, 2**30, 8, 1), device="cuda")
    assert not pac_cuda.is_eligible(apart, arguments()[1])


def test_a_gradient_in_no_fixed_order_is_left_to_torch_where_determinism_is_required(fake: FakeTensorMode) -> None:
    x, kernels, _ = arguments()
    with_gradient = x.clone().requires_grad_()
    assert pac_cuda.is_eligible(with_gradient, kernels)
    torch.use_deterministic_algorithms(True)
    try:
        assert pac_cuda.is_eligible(x, kernels.requires_grad_())
        assert not pac_cuda.is_eligible(with_gradient, kernels)
        with torch.no_grad():
            assert pac_cuda.is_eligible(with_gradient, kernels)
    finally:
        torch.use_deterministic_algorithms(False)


def test_tracing_and_counting_see_the_operator_of_cpus(fake: FakeTensorMode) -> None:
    inputs = arguments()
    with counter() as fused:
        out = position_adaptive_convolution(*inputs)
    with counter() as plain:
        reference = reference_ops.position_adaptive_convolution(*arguments(device="cpu"))
    assert list(fused.get_flop_counts()["Global"]) == [torch.ops.fdikp.pac]
    assert fused.get_total_flops() == plain.get_total_flops() > 0
    assert out.shape == reference.shape and out.dtype == reference.dtype and out.device == inputs[0].device
    assert out.permute(0, 3, 4, 1, 2).is_contiguous()
    # autograd itself needs a real device
    for gradient, leaf in zip(torch.ops.fdikp.pac_backward(out, *inputs, True), inputs, strict=True):
        assert gradient.shape == leaf.shape and gradient.device == leaf.device


def test_a_failure_of_triton_is_logged_once(
    no_cache: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def broken(*tensors: Tensor) -> Tensor:
        tried.append(tensors)
        raise RuntimeError("no compiler\nand more lines")

    monkeypatch.setattr(pac_cuda, "forward", broken)
    with caplog.at_level(logging.WARNING):
        assert not any(pac_cuda.works(torch.device("cpu"), N, 3, False) for N in (1, 2, 2))
    assert len(tried) == 2
    (record,) = caplog.records
    assert "RuntimeError: no compiler)" in record.message and "slower" in record.message


def test_a_missing_triton_is_logged(
    no_cache: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "fdikp.network.ops.pac_triton", raising=False)
    monkeypatch.delattr(ops, "pac_triton", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert not pac_cuda.works(torch.device("cpu"), 5, 5, False)
    assert "triton" in caplog.text


def test_running_out_of_memory_does_not_mean_that_triton_fails(no_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pac_cuda, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        pac_cuda.works(torch.device("cpu"), 5, 5, False)
    monkeypatch.setattr(pac_cuda, "forward", lambda x, *_: x)
    assert pac_cuda.works(torch.device("cpu"), 5, 5, False)


def test_the_trial_computes_real_values_while_tracing(no_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def forward(x: Tensor, *_: Tensor) -> Tensor:
        calls.append((type(x), torch.is_grad_enabled(), x.sum().item()))
        return x

    monkeypatch.setattr(pac_cuda, "forward", forward)
    with FakeTensorMode(), torch.no_grad():
        assert pac_cuda.works(torch.device("cpu"), 2, 3, False)
    torch._dynamo.reset()
    traced = torch.compile(
        lambda x: 2 * x if pac_cuda.works(x.device, 3, 3, False) else x, backend="eager", fullgraph=True
    )
    assert traced(torch.ones(2)).sum() == 4
    assert calls == [(Tensor, True, 48.0)] * 2


@needs_gpu
@pytest.mark.parametrize(
    ("B", "N", "K", "H", "W"),
    [(2, 5, 5, 37, 70), (1, 5, 5, 256, 256), (1, 3, 3, 64, 1), (1, 1, 1, 1, 1), (3, 7, 7, 20, 33), (1, 15, 15, 24, 40)],
)
def test_on_a_gpu_results_and_gradients_are_those_of_the_reference(B: int, N: int, K: int, H: int, W: int) -> None:
    inputs = tuple(t.cuda().requires_grad_() for t in case(0, B, N, K, H, W))
    assert pac_cuda.is_eligible(inputs[0], inputs[1])
    fused, reference = (
        position_adaptive_convolution(*inputs),
        reference_ops.position_adaptive_convolution(*(t.double() for t in inputs)),
    )
    torch.testing.assert_close(fused.double(), reference, atol=1e-5 * K, rtol=1e-4)
    gradient = torch.randn(fused.shape, device="cuda")
    of_fused = torch.autograd.grad(fused, inputs, gradient)
    of_reference = torch.autograd.grad(reference, inputs, gradient.double())
    for name, a, b in zip(("x", "kernels", "dilation"), of_fused, of_reference, strict=True):
        scale = float(b.abs().max())
        # rare: a coordinate that rounds to the other side of a pixel has that side's derivative by the dilation
        off = (a.double() - b).abs() > 1e-4 * scale + 1e-3 * b.abs()
        assert off.double().mean() < 1e-3, name


@needs_gpu
def test_on_a_gpu_any_layout_and_nan_are_allowed() -> None:
    x, kernels, dilation = (t.cuda() for t in case(0, 2, 5, 5, 40, 50))
    plain = position_adaptive_convolution(x, kernels, dilation)
    channels_last = position_adaptive_convolution(x.to(memory_format=torch.channels_last), kernels, dilation)
    assert torch.equal(plain, channels_last)
    dilation[0, 0, 2, 3], dilation[0, 0, 5, 5], dilation[0, 0, 0, 0] = float("nan"), float("inf"), -1e30
    assert position_adaptive_convolution(x, kernels, dilation).isfinite().all()


@needs_gpu
def test_on_a_gpu_all_but_the_gradient_of_the_image_is_reproducible() -> None:
    inputs = tuple(t.cuda().requires_grad_() for t in case(0, 2, 5, 5, 100, 130))
    results = []
    for _ in range(3):
        out = position_adaptive_convolution(*inputs)
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs)[1:]))
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
