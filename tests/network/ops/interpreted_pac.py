"""Checks of `pac_triton` in Triton's interpreter: `test_pac_triton` runs them in a process of their own.

The interpreter must be chosen before Triton is imported, and would then serve every other test too.
"""

import math
import os
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fdikp.network.ops import pac_cuda, reference_ops

pytestmark = pytest.mark.skipif(not os.environ.get("TRITON_INTERPRET"), reason="needs TRITON_INTERPRET=1")


def case(seed: int, B: int, N: int, K: int, H: int, W: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    return x, kernels, 3 * torch.rand(B, 1, H, W, generator=generator)


def compare(x: Tensor, kernels: Tensor, dilation: Tensor) -> None:
    """Results and gradients with those of the reference in float64, whose coordinates are exact."""
    fused = pac_cuda.forward(x, kernels, dilation)
    exact = tuple(t.double().requires_grad_() for t in (x, kernels, dilation))
    reference = reference_ops.position_adaptive_convolution(*exact)
    torch.testing.assert_close(fused.double(), reference, atol=1e-5, rtol=1e-4)
    gradient = torch.randn(fused.shape, generator=torch.Generator().manual_seed(1))
    of_fused = pac_cuda.backward(gradient, x, kernels, dilation, True)
    of_reference = torch.autograd.grad(reference, exact, gradient.double())
    for name, a, b in zip(("x", "kernels", "dilation"), of_fused, of_reference, strict=True):
        torch.testing.assert_close(a, b.to(a.dtype), atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.integers(1, 2), st.integers(1, 7), st.sampled_from([1, 3]), st.integers(1, 9),
       st.integers(1, 34))  # fmt: skip
def test_results_and_gradients_are_those_of_the_reference(seed: int, B: int, N: int, K: int, H: int, W: int) -> None:
    compare(*case(seed, B, N, K, H, W))


@pytest.mark.parametrize(
    ("B", "N", "K", "H", "W"),
    [(1, 5, 5, 9, 33), (2, 5, 5, 3, 5), (1, 15, 3, 2, 3), (1, 2, 9, 1, 4), (1, 8, 7, 3, 1), (3, 1, 1, 1, 1)],
)
def test_every_size_of_kernel_and_shape_of_image(B: int, N: int, K: int, H: int, W: int) -> None:
    compare(*case(0, B, N, K, H, W))


@pytest.mark.parametrize("factor", [-40, 0, 1e4])
def test_taps_far_outside_read_the_border(factor: float) -> None:
    x, kernels, dilation = case(0, 1, 2, 3, 5, 6)
    compare(x, kernels, factor * dilation)


def test_images_may_have_any_memory_layout() -> None:
    x, kernels, dilation = case(0, 2, 2, 3, 3, 6)
    compare(x.to(memory_format=torch.channels_last), kernels, dilation)
    compare(x[:, :, 1:, ::2].flip(1), kernels.transpose(2, 3), dilation[:, :, 1:, ::2])
    compare(x[:1].expand(2, -1, -1, -1), kernels, dilation)


def by_loop(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9 of one image as it is written, in float64: [N, 3, H, W]."""
    _, _, H, W = x.shape
    K = kernels.shape[-1]
    out = torch.zeros(kernels.shape[1], 3, H, W, dtype=torch.float64)

    def pixel(y: int, column: int) -> Tensor:
        return x[0, :, min(y, H - 1), min(column, W - 1)].double()

    for py in range(H):
        for px in range(W):
            D = dilation[0, 0, py, px].item()
            for i in range(K):
                for j in range(K):
                    qy = min(max(py + (i - K // 2) * D, 0.0), H - 1.0)
                    qx = min(max(px + (j - K // 2) * D, 0.0), W - 1.0)
                    top, left = math.floor(qy), math.floor(qx)
                    v, u = qy - top, qx - left
                    sample = (1 - v) * ((1 - u) * pixel(top, left) + u * pixel(top, left + 1))
                    sample += v * ((1 - u) * pixel(top + 1, left) + u * pixel(top + 1, left + 1))
                    out[:, :, py, px] += kernels[0, :, i, j, None].double() * sample
    return out


def test_a_loop_over_pixels_agrees_with_results_and_gradients() -> None:
    x, kernels, dilation = case(3, 1, 2, 3, 4, 5)
    torch.testing.assert_close(pac_cuda.forward(x, kernels, dilation)[0].double(), by_loop(x, kernels, dilation))
    generator = torch.Generator().manual_seed(4)
    gradient = torch.randn(1, 2, 3, 4, 5, generator=generator)
    grad_x, grad_kernels, grad_dilation = pac_cuda.backward(gradient, x, kernels, dilation, True)

    def along(f: Callable[[Tensor], Tensor], change: Tensor) -> float:
        return float((f(change) * gradient[0]).sum())

    # eq. 9 is linear in image and kernels: their gradients are its adjoints
    dx, dk = torch.randn(x.shape, generator=generator), torch.randn(kernels.shape, generator=generator)
    assert float((grad_x * dx).sum()) == pytest.approx(along(lambda t: by_loop(t, kernels, dilation), dx), rel=1e-4)
    assert float((grad_kernels * dk).sum()) == pytest.approx(along(lambda t: by_loop(x, t, dilation), dk), rel=1e-4)
    # in the dilation it is piecewise smooth; a step of 1e-6 crosses no pixel here
    step = 1e-6
    wider, narrower = (by_loop(x, kernels, dilation.double() + d) for d in (step, -step))
    slope = ((wider - narrower) / (2 * step) * gradient[0]).sum((0, 1))
    torch.testing.assert_close(grad_dilation[0, 0].double(), slope, atol=1e-4, rtol=1e-4)


def test_nan_dilation_reads_no_memory_outside_the_image() -> None:
    x, kernels, dilation = case(0, 1, 2, 3, 4, 8)
    dilation[0, 0, 2, 3], dilation[0, 0, 3, 5], dilation[0, 0, 0, 0] = float("nan"), float("inf"), -1e30
    guarded = torch.full((3, 6, 8), float("nan"))  # a row before and after the image
    guarded[:, 1:5] = x[0]
    for image in (x, guarded[None, :, 1:5]):
        grad_x, *_ = pac_cuda.backward(torch.ones(1, 2, 3, 4, 8), image, kernels, dilation, True)
        assert grad_x.isfinite().all()
        assert pac_cuda.forward(image, kernels, dilation).isfinite().all()


def test_the_image_gets_a_gradient_only_where_it_is_needed() -> None:
    x, kernels, dilation = case(0, 1, 2, 3, 4, 5)
    gradient = torch.ones(1, 2, 3, 4, 5)
    grad_x, *others = pac_cuda.backward(gradient, x, kernels, dilation, False)
    assert grad_x.shape == (0,)
    _, *with_x = pac_cuda.backward(gradient, x, kernels, dilation, True)
    assert all(torch.equal(a, b) for a, b in zip(others, with_x, strict=True))


def test_channels_and_kernels_are_innermost() -> None:
    out = pac_cuda.forward(*case(0, 2, 5, 3, 4, 6))
    assert out.permute(0, 3, 4, 1, 2).is_contiguous()
