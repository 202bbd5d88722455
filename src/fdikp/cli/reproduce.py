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
from fdikp.models import DEFAULT
from fdikp.paper.ablations import ABLATIONS, Budget, budget_of, proxy_run, real_run
from fdikp.paper.figures import FIGURES
from fdikp.paper.numbers import COMPARISONS

if TYPE_CHECKING:
    from fdikp.data import EvaluationSet
    from fdikp.evaluation.evaluate import Evaluator
    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.paper.reproduce import VariantRun

FIG4_IMAGES = 3
"""Number of images in Fig. 4, unless --image names some."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reproduce a table or a figure of the paper.

    These need trained models (--model) and data sets (--data):
      table1, table5   models beside the methods that the paper compares
      fig1   amplitude and phase of an image in focus and out of focus
      fig4   images restored by models, with enlarged parts
      fig5   the dilation map over an image
      fig6   inverse kernels by stage, the rendered blur kernel, and its inverse
      fig13  the images on which a model gains least

    These train and score each variant in the same way:
      table2   the parts: backbone, inverse kernels, position adaptive convolution
      table3   the dual-domain module
      table6   the terms of the loss
      fig12    sizes and numbers of kernels
      predictor   kernels predicted from the image or from its spectrum (Fig. 6)

    With --data dpdd=PATH they follow the paper's recipe on DPDD, which takes
    days on a GPU. With --sharp they run a proxy: the same variants with fewer
    channels, trained for a small equal budget on rendered pairs. A proxy is
    labelled as such, and shows only which variant is ahead, as far as its seeds
    agree. The same command resumes after a stop.

    Examples:
      fdikp reproduce table1 --data dpdd=DPDD/ realdof=RealDOF/ rtf=RTF/
      fdikp reproduce fig4 fig13 --data lytro=lytro/ --model fdikp-lite
      fdikp reproduce table2 --data dpdd=DPDD/ -o table2/
      fdikp reproduce table2 table3 --sharp photos/ --data lytro=lytro/ -o proxy/
    """

    # Tables and figures to reproduce.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TABLE ...", help_behavior_hint="")
    ] = ()

    # Folder for a .png file of each figure, .md and .csv files of each table, and the training runs. Variants that
    # several tables share are trained once.
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("reproduced")

    # Trained models for tables 1 and 5 and the figures: shipped ones or .safetensors files.
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODEL ...")] = (DEFAULT,)

    # Images to show, by name; by default the first of the first set.
    image: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint="")] = ()

    # Folders of sharp photos, which select the proxy.
    sharp: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()

    # Training runs of each variant, with seeds 0, 1, ...
    seeds: int = 1

    # Training budget of each variant of a proxy.
    budget: Budget = field(default_factory=Budget)

    # Where to compute; auto uses a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Data sets.
    measuring: DataOptions = field(default_factory=DataOptions)


def run(options: Options) -> int:
    """Run the subcommand; returns the exit code."""
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
        raise DataError("table6 needs LPIPS weights, because it compares losses with and without LPIPS; give --lpips")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(cannot_be_written(options.output, error)) from error
    try:
        for name in names:
            if name in FIGURES:
                _figure(options, name, sets)
            elif name in COMPARISONS:
                _comparison(options, name, evaluator, sets)
            else:
                _ablation(options, name, evaluator, sets)
    except KeyboardInterrupt as stop:
        console.problem("stopped; the same command resumes")
        return stop_code(stop)
    return 0


def _figure(options: Options, name: str, sets: "Sequence[EvaluationSet]") -> None:
    from fdikp.imaging import Photo, write_photo
    from fdikp.paper.figures.registry import figure
    from fdikp.paper.figures.strips import FigureImage

    samples = [sample for data in sets for sample in data.samples[: options.measuring.limit]]
    if unknown := [name for name in options.image if name not in {sample.name for sample in samples}]:
        raise DataError(f"--image {unknown[0]}: the sets have no image of that name")
    chosen = [sample for sample in samples if sample.name in options.image] or samples
    if name in ("fig1", "fig5", "fig6"):
        chosen = chosen[:1]
    elif name == "fig4" and not options.image:
        chosen = chosen[:FIG4_IMAGES]
    images = [FigureImage(sample.name, *sample.load()) for sample in chosen]
    pixels = figure(name, {model.name: model for model in _models(options)}, images, bool(options.image))
    write_photo(Photo(pixels), options.output / f"{name}.png")
    console.result(options.output / f"{name}.png")


def _comparison(options: Options, name: str, evaluator: "Evaluator", sets: "Sequence[EvaluationSet]") -> None:
    from fdikp.evaluation.evaluate import model_info
    from fdikp.evaluation.results import Evaluation
    from fdikp.paper.comparison_tables import comparison_table

    models = _models(options)
    with Bars(len(models) * sum(len(data.samples[: options.measuring.limit]) for data in sets), "images") as bars:
        results = []
        for data in sets:
            for model in models:
                for restored in evaluator.results(model, data, limit=options.measuring.limit):
                    results.append(restored.result)
                    bars.end()
    about = evaluator.about(models) | {"command": _command()}
    evaluation = Evaluation(evaluator.protocol.name, about, tuple(map(model_info, models)), tuple(results))
    _write(options.output / f"{name}.json", evaluation.to_json())
    _write_and_print(options.output / f"{name}.md", comparison_table(name, evaluation))


def _ablation(options: Options, name: str, evaluator: "Evaluator", sets: "Sequence[EvaluationSet]") -> None:
    from fdikp.inference.load import load_model
    from fdikp.paper.reproduce import rows, table, train_and_score

    budget = budget_of(name, options.budget)
    kind = f"proxy: {budget.describe()}" if options.sharp else "the paper's training on DPDD"
    limit = options.measuring.limit
    runs = _runs(options, name)
    scores = list(train_and_score(runs, sets, evaluator, device=options.device, limit=limit, progress=console.problem))
    about = {"command": _command(), "kind": kind}
    about |= evaluator.about([load_model(runs[0].weights, options.device, "float32")])
    _write(options.output / f"{name}.csv", rows(name, scores, kind))
    _write_and_print(options.output / f"{name}.md", table(name, scores, kind, about))


def _write_and_print(file: Path, text: str) -> None:
    """Write a table and print it."""
    _write(file, text)
    console.document(text)


def _write(file: Path, text: str) -> None:
    try:
        with atomic_write(file) as written:
            written.write(text.encode())
    except OSError as error:
        raise DataError(cannot_be_written(file, error)) from error


def _command() -> str:
    return shlex.join(["fdikp", *sys.argv[1:]])


def _models(options: Options) -> "list[Deblurrer]":
    from fdikp.inference.load import load_model

    return [load_model(model, options.device, "float32") for model in dict.fromkeys(options.model)]


def _runs(options: Options, name: str) -> "list[VariantRun]":
    """The runs of a table: all variants with the first seed, then all with the second, and so on."""
    from fdikp.paper.reproduce import VariantRun

    dpdd = [Path(given.partition("=")[2]) for given in options.measuring.data if given.lower().startswith("dpdd=")]
    runs = []
    for seed in range(options.seeds):
        for variant in ABLATIONS[name]:
            folder = options.output / "runs" / f"{variant.recipe.replace('/', '-')}-seed-{seed}"
            if options.sharp:
                budget = budget_of(name, options.budget)
                if not budget.perceptual:
                    folder = folder.with_name(f"{folder.name}-without-lpips")
                recipe = proxy_run(variant, options.sharp, folder, seed, budget)
            else:
                recipe = real_run(variant, dpdd[0], folder, seed)
            runs.append(VariantRun(variant, seed, recipe.override(lpips=options.measuring.lpips)))
    return runs


def _check(options: Options) -> None:
    """Validate the options.

    Raises:
        UsageError: options are missing, unknown or out of range.
    """
    everything = (*COMPARISONS, *FIGURES, *ABLATIONS)
    if not options.inputs:
        raise UsageError(f"name what to reproduce: {', '.join(everything)} (fdikp reproduce --help)")
    for name in options.inputs:
        if name not in everything:
            raise UsageError(f"{name}: unknown; choose from {', '.join(everything)}")
    options.measuring.check()
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: must be at least 1")
    named = {given.partition("=")[0].lower() for given in options.measuring.data}
    if not options.sharp and "dpdd" not in named and set(options.inputs) & set(ABLATIONS):
        raise UsageError("give --data dpdd=PATH for the paper's training, or --sharp DIR for a proxy")
