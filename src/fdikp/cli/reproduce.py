"""`fdikp reproduce`: the paper's tables and figures, with its data sets or as a proxy without them."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fdikp.allocator import configure_malloc
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.data_options import DataOptions
from fdikp.cli.progress import Bars
from fdikp.cli.stopping import stop_code
from fdikp.errors import DataError
from fdikp.files import atomic_write, cannot_be_written
from fdikp.paper.ablations import ABLATIONS, Budget, budget_of, proxy_run, real_run
from fdikp.weights import DEFAULT

if TYPE_CHECKING:
    from fdikp.data import EvaluationSet
    from fdikp.evaluation.evaluate import Evaluator
    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.paper.reproduce import Job

TABLES = ("table1", "table5")
FIGURES = ("fig1", "fig4", "fig5", "fig6", "fig13")

STRIPS = 3
"""Pictures of Fig. 4, unless some are named."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reproduce a table or a figure of the paper.

    table1, table5   models beside the methods that the paper compares
    fig1   amplitude and phase of a picture in focus and out of focus
    fig4   what models make of pictures, with parts enlarged
    fig5   the dilated map over a picture
    fig6   kernels by stage, the aperture that was rendered, its inverse
    fig13  where a model gains least

    These need trained models (--model) and data sets (--data), and no more.

    table2   the parts: backbone, inverse kernels, position adaptive convolution
    table3   the dual-domain module
    table6   the terms of the loss
    fig12    sides and numbers of kernels
    predictor   kernels read from the image or from its spectrum (Fig. 6)

    Of these, each variant is trained and scored alike. With --data dpdd=PATH alone this
    is the real thing, the paper's recipe on DPDD: days on a GPU. With --sharp
    it is a proxy: the same variants with fewer channels, trained for a small
    equal budget on rendered pairs, and labelled so everywhere. A proxy says
    which variant is ahead of which, as far as its seeds agree, and no more.
    The same command goes on after a stop.

    Examples:
    fdikp reproduce table1 --data dpdd=DPDD/ realdof=RealDOF/ rtf=RTF/
    fdikp reproduce fig4 fig13 --data lytro=lytro/ --model fdikp-lite
    fdikp reproduce table2 --data dpdd=DPDD/ --out table2/
    fdikp reproduce table2 table3 --sharp photos/ --data lytro=lytro/ --out proxy/
    """

    # What to reproduce.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TABLE ...", help_behavior_hint="")
    ] = ()

    # Folder for a .png file of each figure, .md and .csv files of each table, and the runs. Variants that tables share
    # are trained once.
    out: Path = Path("reproduced")

    # Trained models for tables 1 and 5 and the figures: shipped ones or .safetensors files.
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODEL ...")] = (DEFAULT,)

    # Pictures to show, by name; by default the first of the first set.
    picture: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint="")] = ()

    # Folders of sharp photographs: train the proxy.
    sharp: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()

    # Runs of each variant; seeds are 0, 1, ...
    seeds: int = 1

    # What each variant of a proxy gets.
    budget: Budget = field(default_factory=Budget)

    # Where to compute; auto takes a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # What to score on.
    measuring: DataOptions = field(default_factory=DataOptions)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    _check(options)
    configure_malloc()
    from fdikp.evaluation.evaluate import Evaluator
    from fdikp.evaluation.protocols import DEFAULT as PROTOCOL
    from fdikp.evaluation.protocols import PROTOCOLS

    sets = options.measuring.open()
    names = dict.fromkeys(options.inputs)
    measured = any(name not in FIGURES for name in names)
    evaluator = Evaluator(PROTOCOLS[PROTOCOL], options.measuring.perceptual() if measured else None)
    if "table6" in names and evaluator.lpips is None:
        raise DataError("table6 compares losses with and without LPIPS, of which there are no weights; give --lpips")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(cannot_be_written(options.out, error)) from error
    try:
        for name in names:
            if name in FIGURES:
                _figure(options, name, sets)
            elif name in TABLES:
                _comparison(options, name, evaluator, sets)
            else:
                _ablation(options, name, evaluator, sets)
    except KeyboardInterrupt as stop:
        console.problem("stopped; the same command goes on")
        return stop_code(stop)
    return 0


def _figure(options: Options, name: str, sets: "Sequence[EvaluationSet]") -> None:
    from fdikp.imaging import Photo, write_photo
    from fdikp.paper.figures.registry import figure
    from fdikp.paper.figures.strips import Case

    samples = [sample for data in sets for sample in data.samples[: options.measuring.limit]]
    if unknown := [name for name in options.picture if name not in {sample.name for sample in samples}]:
        raise DataError(f"--picture {unknown[0]}: the sets have no picture of that name")
    chosen = [sample for sample in samples if sample.name in options.picture] or samples
    if name in ("fig1", "fig5", "fig6"):
        chosen = chosen[:1]
    elif name == "fig4" and not options.picture:
        chosen = chosen[:STRIPS]
    cases = [Case(sample.name, *sample.load()) for sample in chosen]
    picture = figure(name, {model.name: model for model in _models(options)}, cases, bool(options.picture))
    write_photo(Photo(picture), options.out / f"{name}.png")
    console.result(options.out / f"{name}.png")


def _comparison(options: Options, name: str, evaluator: "Evaluator", sets: "Sequence[EvaluationSet]") -> None:
    from fdikp.evaluation.evaluate import model_info
    from fdikp.evaluation.results import Evaluation
    from fdikp.paper.comparison_tables import comparison_table

    models = _models(options)
    with Bars(len(models) * sum(len(data.samples[: options.measuring.limit]) for data in sets), "pictures") as bars:
        images = []
        for data in sets:
            for model in models:
                for restored in evaluator.results(model, data, limit=options.measuring.limit):
                    images.append(restored.result)
                    bars.end()
    about = evaluator.about(models) | {"command": _command()}
    evaluation = Evaluation(evaluator.protocol.name, about, tuple(map(model_info, models)), tuple(images))
    _write(options.out / f"{name}.json", evaluation.to_json())
    _tell(options.out / f"{name}.md", comparison_table(name, evaluation))


def _ablation(options: Options, name: str, evaluator: "Evaluator", sets: "Sequence[EvaluationSet]") -> None:
    from fdikp import load_model
    from fdikp.paper.reproduce import rows, run, table

    budget = budget_of(name, options.budget)
    kind = f"proxy: {budget.describe()}" if options.sharp else "the paper's training on DPDD"
    limit = options.measuring.limit
    jobs = _jobs(options, name)
    scores = list(run(jobs, sets, evaluator, device=options.device, limit=limit, say=console.problem))
    about = {"command": _command(), "kind": kind}
    about |= evaluator.about([load_model(jobs[0].weights, options.device, "float32")])
    _write(options.out / f"{name}.csv", rows(name, scores, kind))
    _tell(options.out / f"{name}.md", table(name, scores, kind, about))


def _tell(file: Path, text: str) -> None:
    """Write a table, and print it."""
    _write(file, text)
    for line in text.rstrip("\n").split("\n"):
        console.result(line)


def _write(file: Path, text: str) -> None:
    try:
        with atomic_write(file) as written:
            written.write(text.encode())
    except OSError as error:
        raise DataError(cannot_be_written(file, error)) from error


def _command() -> str:
    return shlex.join(["fdikp", *sys.argv[1:]])


def _models(options: Options) -> "list[Deblurrer]":
    from fdikp import load_model

    return [load_model(model, options.device, "float32") for model in dict.fromkeys(options.model)]


def _jobs(options: Options, name: str) -> "list[Job]":
    """The runs of a table, all variants with the first seed before any with the second."""
    from fdikp.paper.reproduce import Job

    dpdd = [Path(given.partition("=")[2]) for given in options.measuring.data if given.lower().startswith("dpdd=")]
    jobs = []
    for seed in range(options.seeds):
        for variant in ABLATIONS[name]:
            folder = options.out / "runs" / f"{variant.recipe.replace('/', '-')}-seed-{seed}"
            if options.sharp:
                budget = budget_of(name, options.budget)
                if not budget.perceptual:
                    folder = folder.with_name(f"{folder.name}-without-lpips")
                recipe = proxy_run(variant, options.sharp, folder, seed, budget)
            else:
                recipe = real_run(variant, dpdd[0], folder, seed)
            jobs.append(Job(variant, seed, recipe.override(lpips=options.measuring.lpips)))
    return jobs


def _check(options: Options) -> None:
    """Refuse what cannot be meant."""
    everything = (*TABLES, *FIGURES, *ABLATIONS)
    if not options.inputs:
        raise UsageError(f"say what to reproduce: {', '.join(everything)} (fdikp reproduce --help)")
    for name in options.inputs:
        if name not in everything:
            raise UsageError(f"{name}: cannot be reproduced; there are {', '.join(everything)}")
    options.measuring.check()
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: must be at least 1")
    named = {given.partition("=")[0].lower() for given in options.measuring.data}
    if not options.sharp and "dpdd" not in named and set(options.inputs) & set(ABLATIONS):
        raise UsageError("give --data dpdd=PATH for the paper's training, or --sharp DIR for the proxy")
