"""Pairs per second of the renderer.

    python benchmarks/render_speed.py                       # 112 and 272 pixels, one CPU thread
    python benchmarks/render_speed.py --sizes 512 --device cuda --batch 32

Prints a line for each size: the median over runs of the same pairs. Run it on an idle machine.
"""

import argparse
import platform
import statistics
import time

import torch

from fdikp.synthesis import render_pair


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the renderer.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[112, 272], help="sides of the square images")
    parser.add_argument("--pairs", type=int, default=64, help="pairs per run")
    parser.add_argument("--batch", type=int, default=8, help="pairs per call")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    name = (
        torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} thread of {platform.machine()}"
    )
    print(f"torch {torch.__version__}, {name}")
    for size in options.sizes:
        rates = [run(size, options.pairs, options.batch, device) for _ in range(options.runs + 1)][1:]
        rate = statistics.median(rates)
        print(f"{size}x{size}: {rate:.1f} pairs/s, {1000 / rate:.1f} ms each ({min(rates):.1f} to {max(rates):.1f})")


def run(size: int, pairs: int, batch: int, device: torch.device) -> float:
    """Pairs per second of one run."""
    sharp = images(size, batch).to(device)
    started = time.perf_counter()
    for first in range(0, pairs, batch):
        render_pair(sharp, range(first, first + batch))
    if device.type == "cuda":
        torch.cuda.synchronize()
    return pairs / (time.perf_counter() - started)


def images(size: int, count: int) -> torch.Tensor:
    """Smooth random images [B, 3, H, W]."""
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0.0, 1.0)


if __name__ == "__main__":
    main()
