"""How much longer the shipped models take without the native library, on one thread of a CPU.

    python benchmarks/without_kernels.py [--models fdikp-lite] [--precisions float32 bfloat16] [--runs 7]

ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 FDIKP_ISA=avx2 measures as on a machine with AVX2 alone. Times are
processor time for an image of 512×512, the shortest of all runs; calls with the library and without run in turn. The
ratio is the median over the turns.
"""

import argparse
import platform
import time
import warnings
from statistics import median
from unittest.mock import patch

import numpy as np
import torch

from fdikp import load_model, models
from fdikp.bench.machine import processor
from fdikp.errors import MissingKernelsWarning
from fdikp.inference.deblurrer import Deblurrer
from fdikp.network.ops import native

SIDE = 512


def seconds(deblur: Deblurrer, image: np.ndarray) -> float:
    start = time.process_time()
    deblur(image)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(models.available()))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    if native.library() is None:
        parser.error("the kernels were not built")
    warnings.simplefilter("ignore", MissingKernelsWarning)
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    print(f"{processor()}; kernels: {native.isa()}; torch {torch.__version__}, Python {platform.python_version()}\n")
    print("| model | precision | without, s | with, s | ratio |\n| --- | --- | --- | --- | --- |")
    for name in options.models:
        for precision in options.precisions:
            deblur = load_model(name, device="cpu", precision=precision)
            turns = []
            for _ in range(options.runs + 1):
                kernels = seconds(deblur, image)
                with patch.object(native, "library", lambda: None):
                    turns.append((seconds(deblur, image), kernels))
            without, kernels = (min(times) for times in zip(*turns[1:], strict=True))  # the first turn warms up
            ratio = median(slow / fast for slow, fast in turns[1:])
            print(f"| `{name}` | {precision} | {without:.3g} | {kernels:.3g} | {ratio:.2g}× |", flush=True)


if __name__ == "__main__":
    main()
