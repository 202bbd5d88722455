"""Speed of position adaptive convolution (eq. 9), relative to torch's own operations and to a memory copy.

    python benchmarks/pac.py
    python benchmarks/pac.py 1680x1120 --batch 2 --device cuda

Times the kernel that the network uses on the device (native on CPUs, Triton on NVIDIA GPUs), the reference in torch,
and a copy that moves as many bytes as reading the inputs and writing the result once, which is a lower
bound. All run in turn. The tables have medians, and quartiles of ratios, which are robust to other load.

On a GPU the forward calls are replayed from a CUDA graph, so that the GPU is timed and not Python. Training (the call
and its three gradients) is timed without a graph.
"""

import argparse
import platform
from collections.abc import Callable

import torch
from torch import Tensor

from fdikp.bench.machine import describe
from fdikp.bench.timing import Call, in_turn, ratio
from fdikp.inference.devices import choose_device
from fdikp.network.ops import pac_cpu, pac_cuda, position_adaptive_convolution, reference_ops

REPEATED = 10
"""Calls in a CUDA graph."""


def inputs(B: int, H: int, W: int, N: int, K: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Noise images, kernels, and a dilation map that covers its range as smoothly as real ones."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(B, 3, H, W, generator=generator)
    kernels = torch.randn(B, N, K, K, generator=generator) / K
    coarse = 2 * torch.rand(B, 1, 8, 8, generator=generator)
    dilation = torch.nn.functional.interpolate(coarse, (H, W), mode="bicubic").clamp(0, 2)
    return x.to(device), kernels.to(device), dilation.to(device)


def repeated(call: Call, device: torch.device) -> Call:
    """The call, repeated in one CUDA graph; on other devices the call itself."""
    if device.type != "cuda":
        return call
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # one-time initialisation must not be recorded
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATED):
            call()
    return graph.replay


def trained(path: Callable[[Tensor, Tensor, Tensor], Tensor], tensors: tuple[Tensor, Tensor, Tensor]) -> Call:
    """The call and all its gradients, including that of the image."""
    leaves = tuple(t.clone().requires_grad_() for t in tensors)
    gradient = torch.ones_like(path(*leaves))
    return lambda: torch.autograd.grad(path(*leaves), leaves, gradient)


def measure(tensors: tuple[Tensor, Tensor, Tensor], runs: int) -> list[str]:
    """Rows of the table for one size, without the size: forward and training."""
    device = tensors[0].device
    with torch.no_grad():
        fast = pac_cpu.is_eligible(*tensors[:2]) or pac_cuda.is_eligible(*tensors[:2])
        moved = sum(t.numel() for t in (*tensors, position_adaptive_convolution(*tensors)))
        source = torch.rand(moved // 2, device=device)  # a copy reads and writes this much each
        target = torch.empty_like(source)
        forward = {
            "pac": repeated(lambda: position_adaptive_convolution(*tensors), device),
            "reference": repeated(lambda: reference_ops.position_adaptive_convolution(*tensors), device),
            "copy": repeated(lambda: target.copy_(source), device),
        }
        times = in_turn(forward, runs, device=device)
    paths = {
        "pac": trained(position_adaptive_convolution, tensors),
        "reference": trained(reference_ops.position_adaptive_convolution, tensors),
    }
    trainings = in_turn(paths, runs, device=device)
    path = ("native" if device.type == "cpu" else "Triton") if fast else "reference"
    together = REPEATED if device.type == "cuda" else 1
    rows = []
    for what, measured, calls in (("forward", times, together), ("training", trainings, 1)):
        copies, gain = ratio(measured["pac"], times["copy"]), ratio(measured["reference"], measured["pac"])
        low, middle, high = (c * together / calls for c in (copies.spread[0], copies.median, copies.spread[1]))
        took = f"{1e3 * measured['pac'].median / calls:.3f} | {middle:.2f} ({low:.2f}–{high:.2f})"
        rows.append(f"{what} | {path} | {took} | {gain.median:.1f} ({gain.spread[0]:.1f}–{gain.spread[1]:.1f})")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=["256x256", "512x512", "1680x1120"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--kernels", type=int, default=5, help="N")
    parser.add_argument("--kernel-size", type=int, default=5, help="K, odd")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = choose_device(options.device)
    print(f"{describe(device)}; torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{options.batch} × N = {options.kernels}, K = {options.kernel_size}, float32\n")
    print("| size | what | path | ms | × a copy | reference / this |\n| --- | --- | --- | --- | --- | --- |")
    for size in options.sizes:
        width, height = (int(side) for side in size.split("x"))
        tensors = inputs(options.batch, height, width, options.kernels, options.kernel_size, device)
        for row in measure(tensors, options.runs):
            print(f"| {size} | {row} |", flush=True)


if __name__ == "__main__":
    main()
