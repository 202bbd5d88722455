"""Seconds per training step: precisions, memory layouts and optimisers, in turn.

    python benchmarks/training_speed.py --lpips FILE -o benchmarks/results/training-speed/NAME
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 FDIKP_ISA=avx2 python benchmarks/training_speed.py …

The second command limits the machine to AVX2. A step is one of `fdikp train lite` or `base` on four ready pairs of
128², on one thread. Emulated bfloat16 is timed for fdikp-lite only.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from fdikp import models
from fdikp.allocator import configure_malloc
from fdikp.bench.machine import describe
from fdikp.bench.timing import in_turn
from fdikp.evaluation.tables import grid
from fdikp.inference.devices import has_bfloat16
from fdikp.metrics.lpips import LPIPS
from fdikp.training.losses import BlurSupervision
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Objective
from fdikp.training.optimizers import build_optimizer
from fdikp.training.recipes import LITE

CPU = torch.device("cpu")
BATCH, CROP = 4, 128
SETTINGS = [
    *[
        (precision, layout, "adam")
        for precision in ("bfloat16", "float32")
        for layout in ("channels-last", "contiguous")
    ],
    ("auto", "auto", "muon"),
    ("auto", "auto", "soap"),
]


def step_of(model: str, precision: str, layout: str, optimizer: str, lpips: Path) -> Callable[[], object]:
    recipe = LITE.override(precision=precision, memory_format=layout, optimizer=optimizer)
    numerics = Numerics.of(recipe.runtime, CPU)
    network = models.load(model)[0].requires_grad_(True).train()
    network = network.to(memory_format=numerics.memory_format)  # type: ignore[call-overload]
    supervision = BlurSupervision(network)
    objective = Objective(network, recipe.loss, numerics, supervision, LPIPS(lpips))
    optimiser = build_optimizer(network, supervision, recipe.optim)
    generator = torch.Generator().manual_seed(0)
    pair = [torch.rand(BATCH, 3, CROP, CROP, generator=generator) for _ in range(2)]
    radius = 5 * torch.rand(BATCH, 1, CROP, CROP, generator=generator)

    def step() -> None:
        loss = objective(*pair, radius).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(1e-6)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fdikp-lite", "fdikp-base"])
    parser.add_argument("--lpips", type=Path, required=True, help="LPIPS weights")
    parser.add_argument("--runs", type=int, default=5, help="rounds")
    parser.add_argument("-o", "--output", type=Path, help="path of the table, without .md")
    options = parser.parse_args()
    configure_malloc()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows = []
    for model in options.models:
        settings = [s for s in SETTINGS if s[0] != "bfloat16" or has_bfloat16(CPU) or model == "fdikp-lite"]
        times = in_turn({" ".join(s): step_of(model, *s, lpips=options.lpips) for s in settings}, options.runs)
        for setting in settings:
            seconds = times[" ".join(setting)].median
            rows.append((model, *setting, f"{seconds:.3f}", f"{1 / seconds:.2f}", f"{BATCH / seconds:.2f}"))
            print(*rows[-1], flush=True)
    table = grid(("model", "precision", "memory format", "optimizer", "s a step", "steps/s", "crops/s"), rows)
    about = (
        f"Median of {options.runs} rounds, {BATCH} pairs of {CROP}²; {describe(CPU)}, "
        f"torch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}"
    )
    print(f"{about}\n\n{table}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.with_suffix(".md").write_text(f"{about}\n\n{table}\n")


if __name__ == "__main__":
    main()
