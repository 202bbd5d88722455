"""`fdikp compare`: score and rank folders of images that any methods made."""

import csv
import io
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.cli.progress import Bars
from fdikp.errors import DataError

if TYPE_CHECKING:
    from fdikp.evaluation.folders import Folder, Matching
    from fdikp.evaluation.protocols import Protocol
    from fdikp.evaluation.results import Evaluation
    from fdikp.metrics.lpips import LPIPS


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare methods by the images they made.

    Each folder holds the results of one method. A result belongs to the target
    of the same name; a suffix that the method appends, as in
    photo_deblurred.png, is ignored, for each file alone. All methods are scored
    under one protocol and ranked. Methods are compared pairwise on the images
    they share: mean difference with its 95 % bootstrap interval, wins, ties and
    losses, and the best and worst image.

    Images that equal their target have an infinite PSNR. They are named, and
    left out of all means and differences.

    Examples:
      fdikp compare fdikp/ restormer/ --target DPDD/test_c/target
      fdikp compare a/ b/ --target sharp/ --source blurred/    also prints gains
      fdikp compare a/ b/ --target sharp/ --common        the images that all have
      fdikp compare a/ b/ --target sharp/ --metric lpips --markdown
      fdikp compare a/ b/ --target sharp/ --json results.json --csv results.csv
    """

    # Folders of results, one for each method.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")
    ] = ()

    # The folder of sharp images.
    target: Annotated[str, tyro.conf.arg(metavar="FOLDER")]

    # The folder of blurred images, to compute gains. A single target may then belong to all of them.
    source: Annotated[str | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None

    # Compare the images that all folders have, and print which ones are missing; otherwise a missing image is an error.
    common: Flag = False

    # How images are cropped, rounded and scored.
    protocol: str = "defocus"

    # Name of the data set; protocols have rules for rtf and realdof.
    data: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the target folder's name)")
    ] = None

    # The metric that ranks the methods.
    metric: Literal["psnr", "ssim", "mae", "lpips"] = "psnr"

    # LPIPS weights: a file, or "download"; by default the file that FDIKP_LPIPS names, or an earlier download.
    lpips: Annotated[str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None

    # Print Markdown on a terminal too, as in a pipe.
    markdown: Flag = False

    # Write the scores of each image and what they depend on, in the format of "fdikp evaluate".
    json: Annotated[str | None, tyro.conf.arg(metavar="FILE.json", help_behavior_hint="")] = None

    # Write the scores of each image as a table.
    csv: Annotated[str | None, tyro.conf.arg(metavar="FILE.csv", help_behavior_hint="")] = None


def run(options: Options) -> int:
    """Run the subcommand; returns the exit code."""
    _check(options)
    try:
        _compare(options)
    except DataError as error:
        for fault in error.faults:
            console.problem(fault)
        return 1
    return 0


def _compare(options: Options) -> None:
    from fdikp.data.faults import raise_faults
    from fdikp.evaluation.compare import tables
    from fdikp.evaluation.folders import check, match, score_folders
    from fdikp.evaluation.protocols import find_protocol
    from fdikp.evaluation.results import Evaluation, ModelInfo

    try:
        protocol = find_protocol(options.protocol)
    except DataError as error:
        raise UsageError(f"--protocol {error}") from None
    data = options.data or Path(options.target).resolve().name
    target, source, methods = _folders(options)
    matching = match(target, methods, source)
    if not options.common:
        raise_faults([f"{fault}, or give --common" for fault in matching.faults])
    images = matching.images
    about_images = _images_in_common(matching, len((source or target).files))
    smallest = min(min(size) for size in check(images, protocol, data))
    lpips, about_lpips = _lpips(options, protocol, smallest)
    with Bars(len(images), "images") as bars:
        results = score_folders(images, protocol, lpips, data, bars.end)
    about = {"protocol": protocol.describe()} | about_images | _about(options) | {"LPIPS": about_lpips}
    models = tuple(ModelInfo(method.title, None, None, None, None) for method in methods)
    evaluation = Evaluation(options.protocol, about, models, results)
    if options.json is not None:
        _write(options.json, evaluation.to_json())
    if options.csv is not None:
        _write(options.csv, _csv(evaluation))
    parts = [table.markdown() for table in tables(evaluation, options.metric)]
    parts.append("\n".join(f"- {name}: {console.one_line(value)}" for name, value in evaluation.depends_on().items()))
    console.document("\n\n".join(parts), as_markdown=options.markdown)


def _check(options: Options) -> None:
    """Validate the options.

    Raises:
        UsageError: options conflict or a path is empty.
    """
    if "" in (*options.inputs, options.target, options.source, options.json, options.csv):
        raise UsageError("a folder or file is empty; give a path (. is the current folder)")
    if not options.inputs:
        raise UsageError("give at least one folder of results (fdikp compare --help)")
    resolved = [Path(name).resolve() for name in options.inputs]
    twice = [name for name, path in zip(options.inputs, resolved, strict=True) if resolved.count(path) > 1]
    if twice:
        raise UsageError(f"{twice[0]}: given more than once; give each method's folder once")
    for name, file in (("json", options.json), ("csv", options.csv)):
        if file is not None and Path(file).suffix.lower() != f".{name}":
            raise UsageError(f"--{name} {file}: must end with .{name}")


def _folders(options: Options) -> "tuple[Folder, Folder | None, list[Folder]]":
    """Target, source and methods; raises DataError with every folder that cannot be used."""
    from fdikp.data.faults import raise_faults
    from fdikp.data.listing import IMAGE_SUFFIXES
    from fdikp.evaluation.folders import gather
    from fdikp.jobs.discover import InputFinder

    search = InputFinder(lambda path: path.suffix.lower() in IMAGE_SUFFIXES, suffixes=())
    places = [options.target, options.source or options.target, *options.inputs]
    folders: list[Folder] = []
    faults: list[str] = []
    for place, title in zip(places, [*places[:2], *titles(options.inputs)], strict=True):
        try:
            images = search.find([place])
            raise_faults([str(one.error) for one in images if one.error])
            if not images:
                raise DataError(f"{place}: no images in it; give a folder with JPEG, PNG, WebP or TIFF files")
            folders.append(gather(title, [(one.place, one.path) for one in images]))
        except DataError as error:
            faults += error.faults
    raise_faults(list(dict.fromkeys(faults)))
    target, source, *methods = folders
    return target, source if options.source else None, methods


def titles(folders: Sequence[str]) -> list[str]:
    """Titles of the methods: the fewest last parts of their paths that are distinct.

    >>> titles(["runs/a/out", "runs/b/out"])
    ['a/out', 'b/out']
    """
    parts = [Path(folder).resolve().parts for folder in folders]
    length = 1
    while len({part[-length:] for part in parts}) < len(parts):
        length += 1
    return ["/".join(part[-length:]) for part in parts]


def _images_in_common(matching: "Matching", total: int) -> dict[str, str]:
    """Entries for the table about the images that are compared; those that are left out are also printed."""
    if not matching.faults:
        return {"images": str(total)}
    left_out = {}
    for title, names in matching.missing:
        left_out[f"missing in {title}"] = f"{len(names)} of {total} images: {', '.join(names)}"
    for title, names in matching.strays:
        left_out[f"further files of {title}"] = f"{len(names)} without an image of that name: {', '.join(names)}"
    for name, text in left_out.items():
        console.problem(f"{name}: {text}")
    return {"images": f"{len(matching.images)} of {total}, which all folders have"} | left_out


def _lpips(options: Options, protocol: "Protocol", smallest: int) -> "tuple[LPIPS | None, str]":
    """The LPIPS metric or None, and its description for the table."""
    from hashlib import sha256

    from fdikp.metrics.lpips import LPIPS, MIN_SIDE
    from fdikp.metrics.lpips_weights import VARIABLE, find_lpips

    file = find_lpips(options.lpips) if protocol.lpips else None
    if file is not None and smallest >= MIN_SIDE:
        lpips = LPIPS(file)
        return lpips, f"v0.1, {lpips.backbone}, weights sha256 {sha256(file.read_bytes()).hexdigest()}"
    if protocol.lpips is None:
        why, remedy = f"the protocol {protocol.name} does not use it", "choose another --protocol"
    elif file is None:
        why, remedy = "there are no weights", f"give --lpips FILE or set {VARIABLE}"
    else:
        why, remedy = f"an image has a side below {MIN_SIDE} pixels", "remove small images"
    if options.metric == "lpips":
        raise UsageError(f"--metric lpips: {why}; {remedy}, or rank by another metric")
    console.problem(f"LPIPS is left out, because {why}; {remedy}")
    return None, f"left out, because {why}"


def _about(options: Options) -> dict[str, str]:
    """What the scores depend on."""
    import platform

    import torch

    import fdikp
    from fdikp.evaluation.statistics import RESAMPLES

    versions = f"fdikp {fdikp.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    folders = {f"folder of {title}": name for title, name in zip(titles(options.inputs), options.inputs, strict=True)}
    return {
        "target": options.target,
        **({"source": options.source} if options.source else {}),
        **folders,
        "intervals": f"of the mean over images, 95 %, bootstrap (BCa), {RESAMPLES} resamples, seed 0",
        "versions": versions,
        "command": shlex.join(["fdikp", *sys.argv[1:]]),
    }


def _csv(evaluation: "Evaluation") -> str:
    """CSV with a line for each image of each method."""
    from fdikp.evaluation.tables import csv_rows

    rows, text = csv_rows(evaluation), io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(name: str, text: str) -> None:
    from fdikp.files import atomic_write, cannot_be_written

    try:
        with atomic_write(name) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise DataError(cannot_be_written(name, error)) from error
