"""What each kernel of the network gains over its reference in plain torch, on one thread of a CPU, in float32.

    python benchmarks/kernels.py [--runs 15]          # FDIKP_ISA=avx2 or generic limits the instruction set

Times are processor time, the shortest of all runs, kernel and reference in turn: other processes hardly change them.
"""

import argparse
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fdikp.bench.machine import processor
from fdikp.network import FDIKP, PRESETS, ops
from fdikp.network.ops import native

SIDE = 512


def channels_last(channels: int, side: int) -> Tensor:
    return torch.randn(1, channels, side, side).to(memory_format=torch.channels_last)


def convolution(channels: int, side: int) -> Callable[[], object]:
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    x, skip = channels_last(channels, side), channels_last(channels, side)
    return lambda: ops.conv_act(conv, x, skip=skip)


def network(preset: str) -> Callable[[], object]:
    net = FDIKP(PRESETS[preset]).eval().to(memory_format=torch.channels_last)
    x = torch.rand(1, 3, SIDE, SIDE)
    return lambda: net(x)


def cases() -> dict[str, Callable[[], object]]:
    """By name, calls of one operation each, of the size that it has for an image of 512×512; then whole networks."""
    x, base = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE)
    kernels = torch.randn(1, 5, 5, 5) / 5
    dilation = nn.functional.interpolate(2 * torch.rand(1, 1, 9, 9), size=(SIDE, SIDE), mode="bilinear")
    spectrum = torch.fft.rfft2(x, norm="ortho")
    half = SIDE // 2
    gates, cell, spatial = (channels_last(c, side) for c, side in ((48, half), (12, half), (12, SIDE)))
    norm = nn.BatchNorm2d(12).eval()
    residuals = (channels_last(18, SIDE).unflatten(1, (6, 3)), channels_last(18, SIDE).unflatten(1, (6, 3)))
    output, read = nn.Conv2d(36, 3, 1), nn.Conv2d(3, 128, 11, padding=2)
    return {
        "3×3 convolution, skip, LeakyReLU; 32 channels, 512×512": convolution(32, 512),
        "the same; 64 channels, 256×256": convolution(64, 256),
        "the same; 160 channels, 128×128": convolution(160, 128),
        "eq. 9 and residuals; N = K = 5": lambda: ops.candidate_residuals(x, kernels, dilation, base, torch.float32),
        "energy of detail in three bands": lambda: ops.band_energy(x, 2e-6),
        "amplitude and phase of a spectrum": lambda: ops.log_amplitude_and_phase(spectrum, 1e-3),
        "cell of the recurrent unit; 12 maps, 256×256": lambda: ops.lstm_cell(gates, cell),
        "coefficient maps; 12 maps": lambda: ops.coefficient_maps(spatial, cell, norm),
        "blend of 12 candidates": lambda: ops.blend(residuals, spatial, output, base),
        "11×11 convolution, ReLU, pooling; 128 channels, in bands": lambda: ops.conv_relu_pool(read, x, 5),
        "box filter 9×9, by shifted sums": lambda: ops.box(x, 9),
        "**`fdikp-lite`, whole call**": network("fdikp-lite"),
        "**`fdikp-base`, whole call**": network("fdikp-base"),
    }


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kernels = "not built" if native.library() is None else native.isa()
    print(f"{processor()}; kernels: {kernels}; torch {torch.__version__}, Python {platform.python_version()}\n")
    print("| operation | reference, ms | kernel, ms | gain |\n| --- | --- | --- | --- |")
    with torch.inference_mode():
        for name, call in cases().items():
            call()
            reference, kernel = [], []
            for _ in range(options.runs if "whole" not in name else max(3, options.runs // 5)):
                with ops.reference():
                    reference.append(seconds(call))
                kernel.append(seconds(call))
            slow, fast = 1e3 * min(reference), 1e3 * min(kernel)
            print(f"| {name} | {slow:.3g} | {fast:.3g} | {slow / fast:.2g}× |", flush=True)


if __name__ == "__main__":
    main()
