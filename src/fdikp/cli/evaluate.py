"""`fdikp evaluate`: models on data sets, under a named protocol."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.allocator import configure_malloc
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.data_options import DataOptions
from fdikp.cli.model_options import Flag
from fdikp.cli.progress import Bars
from fdikp.cli.stopping import stop_code
from fdikp.errors import DataError
from fdikp.weights import DEFAULT

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from fdikp.data import EvaluationSet
    from fdikp.evaluation.evaluate import Evaluator, Restored
    from fdikp.evaluation.report import ResultImages
    from fdikp.evaluation.results import Evaluation, ImageResult
    from fdikp.evaluation.store import Store
    from fdikp.evaluation.tables import Table
    from fdikp.inference.deblurrer import Deblurrer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure models on data sets of out-of-focus photographs.

    Each picture is restored and scored, and the mean over pictures printed
    with everything the numbers depend on: protocol, size, tile, precision,
    weights, versions. Where the paper has the number, it stands beside ours.

    --data takes NAME=PATH. Names that are known are dpdd, lfdof, realdof,
    rtf, cuhk, pixeldp and kodak-rendered; under any other name PATH is a
    folder whose layout is recognised: source/ and target/, or a data set;
    or a CSV file with the columns source and target. All that is wrong with
    the data is said before anything is measured.

    With --out results are kept as they come: --resume goes on after a stop.

    Examples:
    fdikp evaluate --data dpdd=DPDD/
    fdikp evaluate fdikp-lite my.safetensors --data a=pairs/ b=more.csv
    fdikp evaluate --data dpdd=DPDD/ --protocol nrknet --out results/
    fdikp evaluate --data my=pairs/ --out results/ --resume --report page/
    fdikp evaluate --data my=pairs/ --markdown > table.md
    """

    # Shipped models or .safetensors files; by default the model that "fdikp deblur" takes.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...", help_behavior_hint="")
    ] = ()

    # How pictures are prepared and scored; another protocol gives other numbers.
    protocol: str = "defocus"

    # Folder for results.json, images.csv, table.md and table.tex.
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None

    # Go on with the evaluation in --out.
    resume: Flag = False

    # Also keep the restored pictures: --out/pictures/MODEL/DATA/NAME.png.
    pictures: Flag = False

    # Folder for a page that shows it all: tables, distributions, before and after, worst pictures.
    report: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None

    # Print the table as Markdown, or as LaTeX.
    markdown: Flag = False
    latex: Flag = False

    # How much of the change to apply, as in "fdikp deblur".
    strength: float = 1.0

    # Where to compute; auto takes a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Arithmetic of the convolutions; the default is what published numbers are made with.
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"

    # Side of the tiles, a multiple of 16 and at least 64; 0 is whole pictures.
    tile: int = 512

    # Work on each tile in eight positions and take the mean, as in "fdikp deblur".
    ensemble: Flag = False

    # Print errors only.
    quiet: Flag = False

    # What to measure on.
    measuring: DataOptions = field(default_factory=DataOptions)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    from fdikp.evaluation.evaluate import Evaluator
    from fdikp.evaluation.protocols import find_protocol
    from fdikp.paper.comparison_tables import beside_paper, published

    _check(options)
    configure_malloc()
    try:
        protocol = find_protocol(options.protocol)
    except DataError as error:
        raise UsageError(f"--protocol {error}") from None
    sets = options.measuring.open()
    models = _models(options)
    evaluator = Evaluator(protocol, options.measuring.perceptual(), options.strength)
    store = _store(options, evaluator, models)
    try:
        evaluation = _evaluate(options, evaluator, models, sets, store)
    except KeyboardInterrupt as stop:
        again = " the same command with --resume goes on" if store else " give --out to be able to go on"
        console.problem(f"stopped;{again}")
        return stop_code(stop)
    finally:
        if store:
            store.close()
    beside = beside_paper(evaluation)
    if store:
        store.finish(evaluation, beside)
    _print(options, evaluation, beside)
    if options.report:
        from fdikp.evaluation.report import write_report

        images = partial(_result_images, evaluator, models, sets)
        page = write_report(evaluation, options.report, images, published=published(evaluation))
        console.problem(f"{page}: the report")
    return 0


def _check(options: Options) -> None:
    """Refuse what cannot be meant."""
    options.measuring.check()
    if options.tile and (options.tile < 64 or options.tile % 16):
        raise UsageError(f"--tile {options.tile}: must be a multiple of 16 and at least 64, or 0")
    if (options.resume or options.pictures) and options.out is None:
        raise UsageError(f"--{'resume' if options.resume else 'pictures'} needs --out")
    if options.markdown and options.latex:
        raise UsageError("give --markdown or --latex, not both; --out writes both")


def _models(options: Options) -> "list[Deblurrer]":
    """Every model loaded: one that cannot be is said before anything is measured."""
    from fdikp import load_model

    wanted = list(dict.fromkeys(options.inputs)) or [DEFAULT]
    models = [
        load_model(model, options.device, options.precision, tile=options.tile, ensemble=options.ensemble)
        for model in wanted
    ]
    names = [model.name for model in models]
    for model, name in zip(models, wanted, strict=True):
        if names.count(model.name) > 1:  # weights of several runs may all be called after their recipe
            model.weights = replace(model.weights, name=name)
    return models


def _store(options: Options, evaluator: "Evaluator", models: "Sequence[Deblurrer]") -> "Store | None":
    """The folder of --out, opened."""
    from fdikp.evaluation.store import Store

    if options.out is None:
        return None
    about = evaluator.about(models) | {"split": options.measuring.split}
    about |= {f"weights of {model.name}": model.weights.sha256 for model in models}
    return Store(options.out, about, resume=options.resume)


def _evaluate(
    options: Options,
    evaluator: "Evaluator",
    models: "Sequence[Deblurrer]",
    sets: "Sequence[EvaluationSet]",
    store: "Store | None",
) -> "Evaluation":
    """Every model on every set; pictures that the store knows already are not measured again."""
    from fdikp.evaluation.cost import PeakMemory
    from fdikp.evaluation.evaluate import model_info
    from fdikp.evaluation.results import Evaluation, ImageResult

    names = {data.name: [sample.name for sample in data.samples[: options.measuring.limit]] for data in sets}
    known: dict[tuple[str, str, str], ImageResult] = dict(store.known) if store else {}
    about = []
    with Bars(len(models) * sum(map(len, names.values())), "pictures", shown=not options.quiet) as bars:
        for model in models:
            memory = PeakMemory(model.device)
            for data in sets:
                done = {image for image in names[data.name] if (model.name, data.name, image) in known}
                bars.end(len(done))
                for restored in evaluator.results(model, data, done, options.measuring.limit):
                    result = restored.result
                    known[result.model, result.data, result.image] = result
                    if store:
                        store.add(result, memory.mib())
                    if options.pictures and options.out:
                        _keep(restored, options.out / "pictures" / _plain(model.name) / _plain(data.name))
                    bars.end()
            of_model = model_info(model, memory.mib())
            about.append(store.with_peak(of_model) if store else of_model)
    keys = [(model.name, data, image) for data in names for model in models for image in names[data]]
    facts = evaluator.about(models) | {
        "split": options.measuring.split,
        "command": shlex.join(["fdikp", *sys.argv[1:]]),
    }
    facts |= {f"of {data.name}": "; ".join(data.notes) for data in sets if data.notes}
    if options.measuring.limit:
        facts["limit"] = f"only the first {options.measuring.limit} pictures of each set"
    return Evaluation(options.protocol, facts, tuple(about), tuple(known[key] for key in keys))


def _keep(restored: "Restored", folder: Path) -> None:
    """Write a restored picture, as 8-bit PNG."""
    from fdikp.imaging import Photo, write_photo

    folder.mkdir(parents=True, exist_ok=True)
    write_photo(Photo(_pixels(restored.output)), folder / f"{_plain(restored.result.image)}.png")


def _result_images(
    evaluator: "Evaluator", models: "Sequence[Deblurrer]", sets: "Sequence[EvaluationSet]", result: "ImageResult"
) -> "ResultImages":
    """A picture for the report: restored once more, with the blur map and kernels that it was restored with."""
    from fdikp.evaluation.report import ResultImages

    model = next(model for model in models if model.name == result.model)
    data = next(data for data in sets if data.name == result.data)
    sample = next(sample for sample in data.samples if sample.name == result.image)
    source, target = evaluator.prepared(data, sample)
    seen = model.analyse(source[0])
    restored = source[0] + evaluator.strength * (seen.image - source[0])
    middle = seen.kernels[len(seen.kernels) // 2]
    shown = None if target is None else _pixels(target[0])
    return ResultImages(_pixels(source[0]), _pixels(restored), shown, seen.blur_map, middle)


def _pixels(image: "Tensor") -> "np.ndarray":
    """[3, H, W] in 0..1, clamped, to [H, W, 3] uint8."""
    return image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def _plain(name: str) -> str:
    """A name as that of a file."""
    return name.replace("/", "_").replace("\\", "_")


def _print(options: Options, evaluation: "Evaluation", further: "Sequence[Table]") -> None:
    from fdikp.evaluation.tables import latex, markdown

    if not options.quiet or options.markdown or options.latex:
        text = latex(evaluation, further) if options.latex else markdown(evaluation, further)
        for line in text.rstrip("\n").split("\n"):
            console.result(line)
