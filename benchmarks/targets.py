"""Speed of the networks on this machine against their targets, and a breakdown of their time.

    python benchmarks/targets.py -o DIR

Calls are timed in turn, round by round: the plain float32 forward pass of the paper's network
(`tests/network/plain.py`), our models in the fastest precision of this machine, and reference rates of a matrix product
and a 64-channel 3×3 convolution in the same data types. Ratios are medians over rounds. The paper's network has random
weights that affect every pixel: time does not depend on weights, and the difference between precisions hardly does.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fdikp import models
from fdikp.allocator import configure_malloc
from fdikp.bench.machine import convolution, describe, matrix_product
from fdikp.bench.timing import in_turn, ratio
from fdikp.evaluation.cost import gflop
from fdikp.evaluation.tables import grid
from fdikp.inference.devices import choose_precision
from fdikp.network import FDIKP, PRESETS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))
from plain import Plain, lively

KINDS = {
    "convolutions in torch": ("convolution", "conv_transpose"),
    "native: convolutions": ("fdikp_winograd",),
    "native: position adaptive convolution": ("fdikp_pac",),
    "native: other kernels": ("fdikp_",),
    "position adaptive convolution in torch": ("fdikp::pac", "grid_sampler"),
    "matrix products": ("addmm", "aten::mm", "bmm", "matmul", "baddbmm"),
    "Fourier transforms": ("fft",),
    "softmax, normalisation, activations": ("softmax", "norm", "relu", "gelu", "tanh", "sigmoid", "log1p"),
    "pooling and resizing": ("pool", "upsample"),
    "copies, padding, concatenation": ("copy", "cat", "pad", "clone", "fill", "zero"),
    "sums and products of maps": ("aten::add", "aten::mul", "aten::sub", "aten::sum", "aten::mean", "aten::pow"),
}
"""Kinds of operation by substrings of their names; the first match counts."""

OTHER = "other operators of torch"
BETWEEN = "Python, between operators"
ALL = "**the call, profiled**"


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.float() - b.float()).square().mean()))


def by_kind(call: Callable[[], object], runs: int) -> dict[str, float]:
    """Milliseconds of one call by kind of operation, and of the whole call; median of several profiled calls."""
    seen = [_by_kind(call) for _ in range(runs)]
    return {kind: median(one[kind] for one in seen) for kind in seen[0]}


def _by_kind(call: Callable[[], object]) -> dict[str, float]:
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        started = time.perf_counter()
        call()
        whole = time.perf_counter() - started
    found = dict.fromkeys([*KINDS, OTHER], 0.0)
    for event in seen.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in event.key for name in names)), OTHER)
        found[kind] += event.self_cpu_time_total / 1e3
    return found | {BETWEEN: 1e3 * whole - sum(found.values()), ALL: 1e3 * whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    configure_malloc()
    cpu = torch.device("cpu")
    dtype = choose_precision("auto", cpu)
    name = str(dtype).removeprefix("torch.")
    side = arguments.side
    x = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 255
    x = F.interpolate(F.avg_pool2d(x, 2), (side, side), mode="bicubic").clamp(0, 1)  # soft, as out-of-focus photos are
    torch.manual_seed(0)
    base = lively(FDIKP(PRESETS["fdikp-base"]))
    lite, about = models.load("fdikp-lite")
    plain = {"base": Plain(base), "lite": Plain(lite)}
    fast = {
        key: net.to(dtype).to(memory_format=torch.channels_last) for key, net in (("base", base), ("lite", lite.eval()))
    }
    product, product_gflop = matrix_product(cpu, dtype)
    conv, conv_gflop = convolution(cpu, dtype)
    plain_conv, _ = convolution(cpu, torch.float32)
    with torch.inference_mode():
        calls = {
            "plain base": lambda: plain["base"](x),
            "base": lambda: fast["base"](x),
            "lite": lambda: fast["lite"](x),
            "product": product,
            "convolution": conv,
            "float32 convolution": plain_conv,
        }
        times = in_turn(calls, arguments.runs)
        equal = {key: psnr(fast[key](x), plain[key](x)) for key in fast}
        kinds = {
            label: by_kind(call, arguments.runs)
            for label, call in (
                ("plain base, float32", calls["plain base"]),
                (f"base, {name}", calls["base"]),
                (f"lite, {name}", calls["lite"]),
            )
        }
    rate = conv_gflop / times["convolution"].median
    rows = []
    for key, target in (("base", 3), ("lite", 15)):
        times_faster = ratio(times["plain base"], times[key])
        low, high = times_faster.spread
        rows.append(
            (f"{key}, {name}, against the plain float32 pass of base", f"≥ {target}×",
             f"{times_faster.median:.1f}× ({low:.1f} to {high:.1f})")
        )  # fmt: skip
        rows.append((f"{key}: PSNR between {name} and its plain float32 pass", "≥ 45 dB", f"{equal[key]:.1f} dB"))
        share = gflop(PRESETS[f"fdikp-{key}"], side, side) / times[key].median / rate
        rows.append((f"{key}: rate relative to the convolution", "≥ 60 %", f"{share:.0%}"))
    lines = [
        f"{describe(cpu)}; torch {torch.__version__}; {side}×{side}; median of {arguments.runs} rounds in turn",
        grid(("what", "target", "here"), rows),
        grid(
            ("call", "seconds", "quartiles"),
            [(k, f"{t.median:.3f}", "{:.3f} to {:.3f}".format(*t.spread)) for k, t in times.items()],
        ),
        f"In {name} a matrix product reaches {product_gflop / times['product'].median:.0f} GFLOP/s, the convolution "
        f"{rate:.0f}; in float32 the convolution reaches {conv_gflop / times['float32 convolution'].median:.0f}.",
        f"Milliseconds by kind of operation, of one call under torch's profiler, each the median of {arguments.runs}:",
        grid(
            ("kind", *kinds),
            [(kind, *(f"{found[kind]:.0f}" for found in kinds.values())) for kind in next(iter(kinds.values()))],
        ),
        f"Weights of lite: sha256 {about.sha256[:12]}.",
    ]
    text = "\n\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "targets.md").write_text(text)
        seconds = {key: t.seconds for key, t in times.items()}
        (arguments.output / "targets.json").write_text(
            json.dumps({"seconds": seconds, "kinds": kinds}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
