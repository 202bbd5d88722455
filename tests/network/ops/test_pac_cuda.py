"""The fused path of position adaptive convolution: when it is taken, what tracing sees of it, what it does on a GPU.

What its kernels compute is checked without a GPU in `test_pac_triton`.
"""

import logging
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from fdikp import network
from fdikp.evaluation.cost import counter
from fdikp.network.ops import pac_cuda
from fdikp.network.ops.pac import position_adaptive_convolution, sampled

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def case(seed: int, B: int, N: int, K: int, H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    return x, kernels, 3 * torch.rand(B, 1, H, W, generator=generator)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """What was found out about Triton is forgotten, before and after."""
    for remembered in (pac_cuda._trial, pac_cuda._say):
        remembered.cache_clear()
    yield
    for remembered in (pac_cuda._trial, pac_cuda._say):
        remembered.cache_clear()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    """Tensors without numbers, on a CUDA device that need not be there, where Triton works."""
    monkeypatch.setattr(pac_cuda, "works", lambda *_: True)
    with FakeTensorMode() as mode:
        yield mode


def there(
    B: int = 2, C: int = 3, N: int = 5, K: int = 5, H: int = 16, W: int = 24, device: str = "cuda"
) -> tuple[Tensor, Tensor, Tensor]:
    """Without a CUDA device little more can be done with such tensors than to make them."""
    shapes = ((B, C, H, W), (B, N, K, K), (B, 1, H, W))
    return tuple(torch.empty(shape, device=device) for shape in shapes)  # type: ignore[return-value]


def test_it_is_taken_for_what_it_can_do_alone(fake: FakeTensorMode) -> None:
    x, kernels, _ = there()
    assert pac_cuda.applies(x, kernels)
    assert not pac_cuda.applies(*there(device="cpu")[:2])
    assert not pac_cuda.applies(x.double(), kernels.double())
    assert not pac_cuda.applies(*there(C=2)[:2])
    assert not pac_cuda.applies(*there(N=16)[:2])
    assert not pac_cuda.applies(*there(B=1, N=1, K=17)[:2])


def test_numbers_stay_within_32_bits(fake: FakeTensorMode) -> None:
    assert pac_cuda.applies(*there(B=16, H=10_000, W=20_000)[:2])
    assert not pac_cuda.applies(*there(B=1, H=30_000, W=30_000)[:2])  # the picture
    assert not pac_cuda.applies(*there(B=1, H=2, W=20_000_000)[:2])  # what a program writes
    assert not pac_cuda.applies(*there(B=1, N=1, H=2**24 + 1, W=1)[:2])  # a coordinate
    apart = torch.empty_strided((1, 3, 8, 8), (2**31, 2**30, 8, 1), device="cuda")
    assert not pac_cuda.applies(apart, there()[1])


def test_a_gradient_in_no_fixed_order_is_left_to_torch_where_order_is_asked_for(fake: FakeTensorMode) -> None:
    x, kernels, _ = there()
    wanting = x.clone().requires_grad_()
    assert pac_cuda.applies(wanting, kernels)
    torch.use_deterministic_algorithms(True)
    try:
        assert pac_cuda.applies(x, kernels.requires_grad_())
        assert not pac_cuda.applies(wanting, kernels)
        with torch.no_grad():
            assert pac_cuda.applies(wanting, kernels)
    finally:
        torch.use_deterministic_algorithms(False)


def test_tracing_and_counting_see_the_operator_of_the_other_path(fake: FakeTensorMode) -> None:
    inputs = there()
    with counter() as fused:
        out = position_adaptive_convolution(*inputs)
    with counter() as plain:
        slow = sampled(*there(device="cpu"))
    assert list(fused.get_flop_counts()["Global"]) == [torch.ops.fdikp.pac]
    assert fused.get_total_flops() == plain.get_total_flops() > 0
    assert out.shape == slow.shape and out.dtype == slow.dtype and out.device == inputs[0].device
    assert out.permute(0, 3, 4, 1, 2).is_contiguous()
    # autograd itself wants a real device
    for gradient, leaf in zip(torch.ops.fdikp.pac_backward(out, *inputs, True), inputs, strict=True):
        assert gradient.shape == leaf.shape and gradient.device == leaf.device


def test_a_trial_says_once_why_triton_does_not_work(
    forgetful: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def broken(*tensors: Tensor) -> Tensor:
        tried.append(tensors)
        raise RuntimeError("no compiler\nand a long story")

    monkeypatch.setattr(pac_cuda, "forward", broken)
    with caplog.at_level(logging.WARNING):
        assert not any(pac_cuda.works(torch.device("cpu"), N, 3, False) for N in (1, 2, 2))
    assert len(tried) == 2
    (record,) = caplog.records
    assert "RuntimeError: no compiler)" in record.message and "slower path" in record.message


def test_without_triton_that_is_said_and_the_slower_path_taken(
    forgetful: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "fdikp.network.ops.pac_triton", raising=False)
    monkeypatch.delattr(network, "pac_triton", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert not pac_cuda.works(torch.device("cpu"), 5, 5, False)
    assert "triton" in caplog.text


def test_memory_that_ran_out_says_nothing_about_triton(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pac_cuda, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        pac_cuda.works(torch.device("cpu"), 5, 5, False)
    monkeypatch.setattr(pac_cuda, "forward", lambda x, *_: x)
    assert pac_cuda.works(torch.device("cpu"), 5, 5, False)


def test_the_trial_is_real_inside_of_tracing(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def forward(x: Tensor, *_: Tensor) -> Tensor:
        seen.append((type(x), torch.is_grad_enabled(), x.sum().item()))
        return x

    monkeypatch.setattr(pac_cuda, "forward", forward)
    with FakeTensorMode(), torch.no_grad():
        assert pac_cuda.works(torch.device("cpu"), 2, 3, False)
    torch._dynamo.reset()
    traced = torch.compile(
        lambda x: 2 * x if pac_cuda.works(x.device, 3, 3, False) else x, backend="eager", fullgraph=True
    )
    assert traced(torch.ones(2)).sum() == 4
    assert seen == [(Tensor, True, 48.0)] * 2


@needs_gpu
@pytest.mark.parametrize(
    ("B", "N", "K", "H", "W"),
    [(2, 5, 5, 37, 70), (1, 5, 5, 256, 256), (1, 3, 3, 64, 1), (1, 1, 1, 1, 1), (3, 7, 7, 20, 33), (1, 15, 15, 24, 40)],
)
def test_on_a_gpu_results_and_gradients_are_those_of_the_slower_path(B: int, N: int, K: int, H: int, W: int) -> None:
    inputs = tuple(t.cuda().requires_grad_() for t in case(0, B, N, K, H, W))
    assert pac_cuda.applies(inputs[0], inputs[1])
    fast, slow = position_adaptive_convolution(*inputs), sampled(*(t.double() for t in inputs))
    torch.testing.assert_close(fast.double(), slow, atol=1e-5 * K, rtol=1e-4)
    gradient = torch.randn(fast.shape, device="cuda")
    of_fast = torch.autograd.grad(fast, inputs, gradient)
    of_slow = torch.autograd.grad(slow, inputs, gradient.double())
    for name, a, b in zip(("x", "kernels", "dilation"), of_fast, of_slow, strict=True):
        scale = float(b.abs().max())
        # a coordinate that rounds to the other side of a pixel has the other side's slope: rare, and seen in dilation
        off = (a.double() - b).abs() > 1e-4 * scale + 1e-3 * b.abs()
        assert off.double().mean() < 1e-3, name


@needs_gpu
def test_on_a_gpu_layouts_and_what_is_not_a_number_are_taken() -> None:
    x, kernels, dilation = (t.cuda() for t in case(0, 2, 5, 5, 40, 50))
    plain = position_adaptive_convolution(x, kernels, dilation)
    turned = position_adaptive_convolution(x.to(memory_format=torch.channels_last), kernels, dilation)
    assert torch.equal(plain, turned)
    dilation[0, 0, 2, 3], dilation[0, 0, 5, 5], dilation[0, 0, 0, 0] = float("nan"), float("inf"), -1e30
    assert position_adaptive_convolution(x, kernels, dilation).isfinite().all()


@needs_gpu
def test_on_a_gpu_all_but_the_gradient_of_the_picture_is_the_same_every_time() -> None:
    inputs = tuple(t.cuda().requires_grad_() for t in case(0, 2, 5, 5, 100, 130))
    results = []
    for _ in range(3):
        out = position_adaptive_convolution(*inputs)
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs)[1:]))
    assert all(torch.equal(a, b) for again in results[1:] for a, b in zip(results[0], again, strict=True))
