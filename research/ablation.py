"""Which parts of the renderer and the recipe improve real photos: each is changed alone.

    python research/ablation.py renderer --sharp DIR/sharp --data lytro=DIR/lytro epfl48=DIR/epfl48 \\
        kodak-rendered=DIR/kodak24 -o DIR
    python research/ablation.py recipe ...
    python research/ablation.py perceptual ...
    python research/ablation.py inference --data ...

All but the last train the shipped `fdikp-lite` for a small budget, equal for each variant, with the same photos, crops
and random numbers, so that two runs of one seed differ by the change alone. The tables have the change of the mean PSNR
on each set against the unchanged run of the same seed, and of the mean LPIPS if FDIKP_LPIPS names its weights.
`perceptual` needs LPIPS weights for training. `inference` trains nothing: it varies tiles, ensemble and strength.

Finished runs are not repeated. The script writes PART.md and PART.csv to --output.
"""

import argparse
import csv
import json
import os
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from fdikp import load_model, models
from fdikp.data import EvaluationSet, open_set
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.tables import grid
from fdikp.metrics.lpips import LPIPS
from fdikp.metrics.lpips_weights import find_lpips
from fdikp.metrics.psnr import psnr
from fdikp.training.loop import train
from fdikp.training.recipe import Recipe
from fdikp.training.recipes import named

START = "fdikp-lite"

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Variant:
    """One line of a table: a change."""

    label: str
    recipe: dict[str, Any] = field(default_factory=dict)
    """Changed options of the recipe."""
    dilation_range: float | None = None
    """The largest dilation of the network, if it is changed."""


def _rendered(label: str, *changes: str) -> Variant:
    return Variant(label, {"render": changes})


RENDERER = (
    Variant(AS_IT_IS),
    _rendered("codes blurred, not light", "linear=false"),
    _rendered("highlights not lifted", "p_highlight_boost=0"),
    _rendered("no layers", "layered=false"),
    _rendered("discs only", "p_shaped_aperture=0", "p_cats_eye=0"),
    _rendered("no noise", "p_noise=0"),
    _rendered("sRGB curve alone", "p_tone_curve=0"),
    _rendered("no mottle", "p_luminance_noise=0"),
    _rendered("target clean in focus too", "keep_grain=false"),
    _rendered("no JPEG", "p_jpeg=0"),
    _rendered("no sharpening", "p_sharpened=0", "p_oversharpened=0"),
    _rendered("radii up to 5", "max_radius=5"),
    _rendered("radii up to 12", "max_radius=12"),
    _rendered("no pair sharp", "p_sharp=0"),
    _rendered("30 % of pairs sharp", "p_sharp=0.3"),
    _rendered("50 % of pairs of one radius", "p_uniform=0.5"),
)

RECIPE = (
    Variant(AS_IT_IS),
    Variant("no frequency loss", {"gamma": 0.0}),
    Variant("no guard term", {"guard_weight": 0.0}),
    Variant("blur map not taught", {"blur": 0.0}),
    Variant("fine scale only", {"scales": (1.0, 0.0, 0.0)}),
    Variant("crops of 64", {"crop": (64,), "batch": (16,)}),
    Variant("crops of 256", {"crop": (256,), "batch": (1,)}),
    Variant("three times the rate", {"lr": 9e-4}),
    Variant("rate in steps", {"schedule": "steps", "milestones": (0.4, 0.6, 0.8)}),
    Variant("weights not averaged", {"averaging": ("none",)}),
    Variant("plain mean over the last half", {"phase_lengths": (1.0, 1.0), "averaging": ("none", "swa")}),
    Variant("batch statistics frozen", {"freeze_bn": True}),
    Variant("dilation up to 1.5", dilation_range=1.5),
    Variant("dilation up to 3", dilation_range=3.0),
)

PERCEPTUAL = (
    Variant(AS_IT_IS),
    Variant("no LPIPS", {"beta": 0.0}),
    Variant("LPIPS 0.06", {"beta": 0.06}),
    Variant("LPIPS 0.2, as in the paper", {"beta": 0.2}),
)

PARTS = {"renderer": RENDERER, "recipe": RECIPE, "perceptual": PERCEPTUAL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*PARTS, "inference"))
    parser.add_argument("--sharp", type=Path, nargs="*", default=[], help="folders of sharp photos")
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR", help="sets to measure on")
    parser.add_argument("--limit", type=int, default=20, help="images of each set")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="parallel runs, each on one core")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.processes, get_context("spawn"), _one_core) as pool:
        if options.part == "inference":
            inference(pool, options)
        else:
            trained(pool, options)


def _one_core() -> None:
    torch.set_num_threads(1)


def trained(pool: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    """Train each variant with each seed, and write the tables."""
    variants = PARTS[options.part]
    runs = [(variant, seed) for seed in range(options.seeds) for variant in variants]
    scores = list(pool.map(_run, runs, [options] * len(runs)))
    names = list(scores[0])
    of_run = {(variant.label, seed): score for (variant, seed), score in zip(runs, scores, strict=True)}
    lines, table = [], []
    for variant in variants:
        cells = []
        for name in names:
            before = [of_run[AS_IT_IS, seed][name] for seed in range(options.seeds)]
            after = [of_run[variant.label, seed][name] for seed in range(options.seeds)]
            changes = [b - a for a, b in zip(before, after, strict=True)]
            each = ", ".join(f"{change:+.3f}" for change in changes)
            gain = f"{fmean(after):+.3f}"
            cells.append(gain if variant.label == AS_IT_IS else f"{fmean(changes):+.3f} ({each})")
            lines += [(variant.label, seed, name, after[seed]) for seed in range(options.seeds)]
        table.append((variant.label, *cells))
    basis = _recipe(variants[0], 0, options)
    about = {
        "each run": f"{options.steps} steps of {basis.budget.batch[0]} crops of {basis.budget.crop[0]}² from the "
        f"{START} that ships, Adam {basis.optim.lr:g}, cosine, average "
        f"{basis.optim.ema_decay[0]:g}; {options.seeds} seeds",
        "numbers": f"gain in PSNR over the input in dB, and change of LPIPS, of `{AS_IT_IS}`; below it what a change "
        "adds (each seed)",
        **_machine(options),
    }
    _write(options, ("variant", *names), table, about)
    with (options.output / f"{options.part}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("variant", "seed", "measure", "gain"))
        writer.writerows(lines)


def _recipe(variant: Variant, seed: int, options: argparse.Namespace) -> Recipe:
    """The run of a variant."""
    name = "".join(c if c.isalnum() else "-" for c in variant.label)
    basis = named("lite").override(
        paths=tuple(options.sharp),
        pairs="rendered",
        start=START,
        steps=options.steps,
        batch=(4,),
        optimizer="adam",
        lr=3e-4,
        warmup=options.steps // 8,
        radius_hint=0.0,
        ema_decay=(0.97,),
        threads=1,
        seed=seed,
        resume=True,
        validate_every=1e9,
        output=options.output / options.part / f"{name}-{seed}",
    )
    return basis.override(**variant.recipe)


def _run(job: tuple[Variant, int], options: argparse.Namespace) -> dict[str, float]:
    """Train a variant, unless it is finished; returns the gain on each set."""
    variant, seed = job
    recipe = _recipe(variant, seed, options)
    kept = recipe.runtime.output / "gains.json"
    if kept.exists():
        known: dict[str, float] = json.loads(kept.read_text())
        return known
    if variant.dilation_range is not None:
        start = _of_range(variant.dilation_range, recipe.runtime.output.with_suffix(".start"))
        recipe = recipe.override(start=str(start))
    model = load_model(train(recipe, printed=False).weights, "cpu")
    gains = {column: fmean(found) for column, found in _gains(model, options).items()}
    kept.write_text(json.dumps(gains))
    print(f"{variant.label}, seed {seed}: {gains}", flush=True)
    return gains


def _of_range(largest: float, file: Path) -> Path:
    """The shipped weights in a network with another largest dilation; a dilation of 1 is kept."""
    network, about = models.load(START)
    before = network.config.dilation_range
    assert network.fikp.blur is not None
    middle = torch.tensor([1.0 / before, 1.0 / largest]).logit()
    network.fikp.blur.weigh.bias.data += middle[1] - middle[0]  # type: ignore[operator]
    network.config = replace(network.config, dilation_range=largest)
    file.parent.mkdir(parents=True, exist_ok=True)
    models.save(network, file, name=about.name, half=False)
    return file


def _sets(options: argparse.Namespace) -> list[EvaluationSet]:
    return [open_set(name, Path(path)) for name, _, path in (text.partition("=") for text in options.data)]


PERCEIVED = ", LPIPS"
"""Suffix of the columns that hold changes of LPIPS, where lower is better."""


def _gains(model: Any, options: argparse.Namespace, strength: float = 1.0) -> dict[str, list[float]]:
    """By set, the PSNR gain of each image over the input, dB, and its change of LPIPS if there are weights."""
    evaluator = Evaluator(find_protocol("defocus"), LPIPS() if find_lpips() else None)
    gains: dict[str, list[float]] = {}
    for data in _sets(options):
        for sample in data.samples[: options.limit]:
            source, target = evaluator.prepared(data, sample)
            assert target is not None
            output = model.predict(source[0], strength=strength)[None]
            before, after = (image.clamp(0, 1) for image in (source, output))
            gain = float(psnr(after, target)) - float(psnr(before, target))
            gains.setdefault(data.name, []).append(gain)
            if evaluator.lpips:
                with torch.inference_mode():
                    seen = float(evaluator.lpips(after, target)) - float(evaluator.lpips(before, target))
                gains.setdefault(data.name + PERCEIVED, []).append(seen)
    return gains


def inference(pool: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    """Compare ways to run the shipped weights."""
    ways = {
        "tiles of 512": {},
        "tiles of 128": {"tile": 128},
        "tiles of 256": {"tile": 256},
        "no tiles": {"tile": 0},
        "eight flips and turns": {"ensemble": True},
        "strength 0.8": {"strength": 0.8},
        "strength 1.2": {"strength": 1.2},
    }
    found = list(pool.map(_used, ways.values(), [options] * len(ways)))
    names = list(found[0])
    table = [
        (way, *(f"{fmean(gains[name]):+.3f} (worst {_worst(name)(gains[name]):+.2f})" for name in names))
        for way, gains in zip(ways, found, strict=True)
    ]
    about = {
        "weights": f"{START}, as they ship",
        "numbers": "gain in PSNR over the input in dB, change of LPIPS",
        **_machine(options),
    }
    _write(options, ("used", *names), table, about)


def _worst(column: str) -> Callable[[list[float]], float]:
    return max if column.endswith(PERCEIVED) else min


def _used(way: dict[str, Any], options: argparse.Namespace) -> dict[str, list[float]]:
    way = dict(way)
    strength = way.pop("strength", 1.0)
    model = load_model(START, "cpu", **way)
    return _gains(model, options, strength)


def _machine(options: argparse.Namespace) -> dict[str, str]:
    return {
        "images": f"the first {options.limit} of each set, whole, protocol defocus",
        "versions": f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()} CPU",
    }


def _write(options: argparse.Namespace, head: tuple[str, ...], table: list[Any], about: dict[str, str]) -> None:
    text = f"# {options.part}\n\n{grid(head, table)}\n\n" + "\n".join(f"- {k}: {v}" for k, v in about.items()) + "\n"
    (options.output / f"{options.part}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
