"""`fdikp evaluate`: measure models on data sets under a named protocol."""

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
from fdikp.models import DEFAULT
from fdikp.models.descriptor import Precision

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
    """Measure models on data sets of out-of-focus photos.

    The subcommand restores and scores each image, and prints means over images
    with everything that they depend on: protocol, size, tile, precision,
    weights and versions. If the paper has a score, it is printed beside ours.

    --data takes NAME=PATH. The names dpdd, lfdof, realdof, rtf, cuhk, pixeldp
    and kodak-rendered select the layout of that data set. With any other name,
    PATH is a folder with source/ and target/, a folder in the layout of a data
    set, or a CSV file with the columns source and target. The data are checked
    first, and every problem is reported.

    With --output, results are saved at once, and --resume continues after a stop.

    Examples:
      fdikp evaluate --data dpdd=DPDD/
      fdikp evaluate fdikp-lite my.safetensors --data a=pairs/ b=more.csv
      fdikp evaluate --data dpdd=DPDD/ --protocol nrknet -o results/
      fdikp evaluate --data my=pairs/ -o results/ --resume --report page/
      fdikp evaluate --data my=pairs/ --markdown > table.md
    """

    # Shipped models or .safetensors files; by default the model of "fdikp deblur".
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...", help_behavior_hint="")
    ] = ()

    # How images are prepared and scored; scores of different protocols do not compare.
    protocol: str = "defocus"

    # Folder for results.json, images.csv, table.md and table.tex.
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")] = None

    # Continue the evaluation in --output.
    resume: Flag = False

    # Also save the restored images, as images/MODEL/DATA/NAME.png in --output.
    save_images: Flag = False

    # Folder for an HTML report: tables, distributions, best and worst images before and after.
    report: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None

    # Print the table as Markdown on a terminal too, even with --quiet.
    markdown: Flag = False

    # Print the table as LaTeX, even with --quiet.
    latex: Flag = False

    # Factor of the change that the model makes, as in "fdikp deblur".
    strength: float = 1.0

    # Where to compute; auto uses a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Data type of the convolutions; published scores use float32.
    precision: Literal["auto", Precision] = "float32"

    # Side of the tiles, a multiple of 16 and at least 64; 0 computes whole images.
    tile: int = 512

    # Average over eight flips and rotations of each tile, as in "fdikp deblur".
    ensemble: Flag = False

    # Print errors only.
    quiet: Flag = False

    # Data sets.
    measuring: DataOptions = field(default_factory=DataOptions)


def run(options: Options) -> int:
    """Run the subcommand; returns the exit code."""
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
        hint = "the same command with --resume continues" if store else "with --output it could be resumed"
        console.problem(f"stopped; {hint}")
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
        console.problem(f"wrote {page}")
    return 0


def _check(options: Options) -> None:
    """Validate the options.

    Raises:
        UsageError: options conflict or are out of range.
    """
    options.measuring.check()
    if options.tile and (options.tile < 64 or options.tile % 16):
        raise UsageError(f"--tile {options.tile}: must be a multiple of 16 and at least 64, or 0")
    if (options.resume or options.save_images) and options.output is None:
        raise UsageError(f"--{'resume' if options.resume else 'save-images'} needs --output")
    if options.markdown and options.latex:
        raise UsageError("give --markdown or --latex, not both; --output writes both")


def _models(options: Options) -> "list[Deblurrer]":
    """Load every model, so that a missing one is reported before anything is measured."""
    from fdikp.inference.load import load_model

    given = list(dict.fromkeys(options.inputs)) or [DEFAULT]
    models = [
        load_model(model, options.device, options.precision, tile=options.tile, ensemble=options.ensemble)
        for model in given
    ]
    names = [model.name for model in models]
    for model, name in zip(models, given, strict=True):
        if names.count(model.name) > 1:  # weights of several runs may share the name of their recipe
            model.descriptor = replace(model.descriptor, name=name)
    return models


def _store(options: Options, evaluator: "Evaluator", models: "Sequence[Deblurrer]") -> "Store | None":
    """Open the folder of --output."""
    from fdikp.evaluation.store import IMAGES_FILE, Store

    if options.output is None:
        return None
    if (options.output / IMAGES_FILE).exists() and not options.resume:
        raise DataError(f"{options.output}: already holds an evaluation; give --resume or another --output")
    about = evaluator.about(models) | {"split": options.measuring.split}
    about |= {f"weights of {model.name}": model.descriptor.sha256 for model in models}
    return Store(options.output, about, resume=options.resume)


def _evaluate(
    options: Options,
    evaluator: "Evaluator",
    models: "Sequence[Deblurrer]",
    sets: "Sequence[EvaluationSet]",
    store: "Store | None",
) -> "Evaluation":
    """Evaluate every model on every set, except for the images that the store has."""
    from fdikp.evaluation.cost import PeakMemory
    from fdikp.evaluation.evaluate import model_info
    from fdikp.evaluation.results import Evaluation, ImageResult

    names = {data.name: [sample.name for sample in data.samples[: options.measuring.limit]] for data in sets}
    results: dict[tuple[str, str, str], ImageResult] = dict(store.results) if store else {}
    infos = []
    with Bars(len(models) * sum(map(len, names.values())), "images", shown=not options.quiet) as bars:
        for model in models:
            memory = PeakMemory(model.device)
            for data in sets:
                done = {image for image in names[data.name] if (model.name, data.name, image) in results}
                bars.end(len(done))
                for restored in evaluator.results(model, data, done, options.measuring.limit):
                    result = restored.result
                    results[result.model, result.data, result.image] = result
                    if store:
                        store.add(result, memory.mib())
                    if options.save_images and options.output:
                        folder = options.output / "images" / _file_name(model.name) / _file_name(data.name)
                        _save_image(restored, folder)
                    bars.end()
            info = model_info(model, memory.mib())
            infos.append(store.with_peak(info) if store else info)
    keys = [(model.name, data, image) for data in names for model in models for image in names[data]]
    facts = evaluator.about(models) | {
        "split": options.measuring.split,
        "command": shlex.join(["fdikp", *sys.argv[1:]]),
    }
    facts |= {f"of {data.name}": "; ".join(data.notes) for data in sets if data.notes}
    if options.measuring.limit:
        facts["limit"] = f"only the first {options.measuring.limit} images of each set"
    return Evaluation(options.protocol, facts, tuple(infos), tuple(results[key] for key in keys))


def _save_image(restored: "Restored", folder: Path) -> None:
    """Write a restored image as 8-bit PNG."""
    from fdikp.imaging import Photo, write_photo

    folder.mkdir(parents=True, exist_ok=True)
    write_photo(Photo(_pixels(restored.output)), folder / f"{_file_name(restored.result.image)}.png")


def _result_images(
    evaluator: "Evaluator", models: "Sequence[Deblurrer]", sets: "Sequence[EvaluationSet]", result: "ImageResult"
) -> "ResultImages":
    """The images of a result for the report: restored again, with dilation map and kernels."""
    from fdikp.evaluation.report import ResultImages

    model = next(model for model in models if model.name == result.model)
    data = next(data for data in sets if data.name == result.data)
    sample = next(sample for sample in data.samples if sample.name == result.image)
    source, target = evaluator.prepared(data, sample)
    analysis = model.analyse(source[0])
    restored = source[0] + evaluator.strength * (analysis.image - source[0])
    kernels_of_middle_tile = analysis.kernels[len(analysis.kernels) // 2]
    target_pixels = None if target is None else _pixels(target[0])
    return ResultImages(
        _pixels(source[0]), _pixels(restored), target_pixels, analysis.dilation_map, kernels_of_middle_tile
    )


def _pixels(image: "Tensor") -> "np.ndarray":
    """[3, H, W] to [H, W, 3] uint8, clamped to 0..1."""
    return image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def _file_name(name: str) -> str:
    """A name without path separators."""
    return name.replace("/", "_").replace("\\", "_")


def _print(options: Options, evaluation: "Evaluation", further: "Sequence[Table]") -> None:
    from fdikp.evaluation.tables import latex, markdown

    if options.latex:
        for line in latex(evaluation, further).rstrip("\n").split("\n"):
            console.result(line)
    elif options.markdown or not options.quiet:
        console.document(markdown(evaluation, further), as_markdown=options.markdown)
