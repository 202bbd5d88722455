"""`fdikp render`: sharp photographs in; pairs of sharp and out-of-focus pictures out."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.cli.progress import Bars
from fdikp.cli.stopping import stop_code
from fdikp.errors import PhotoError
from fdikp.synthesis.render_manifest import Manifest
from fdikp.synthesis.settings import RenderSettings

if TYPE_CHECKING:
    from fdikp.jobs.discover import InputPath
    from fdikp.synthesis.dataset import RenderedSet


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make pairs of sharp and out-of-focus pictures, to train and measure with.

    Renders sharp photographs as a lens focused elsewhere would have taken
    them, and writes a paired set in the layout of DPDD:
    OUT/train_c/source/000000.png   out of focus
    OUT/train_c/target/000000.png   the same scene, all in focus
    OUT/train_c/manifest.json       settings, and for each pair its photograph,
                                    tile, seed and blur radii

    A pair depends on the photographs, the settings, the seed and its number
    alone. The same command goes on where a run was stopped, and with a larger
    --count adds to a set.

    Examples:
    fdikp render photos/ pairs/                     a pair for each photograph
    fdikp render photos/ pairs/ --split test --size 0      whole photographs
    fdikp render a/ b/ pairs/ --count 5000 --max-radius 12 --radius-maps
    fdikp render --gallery sheet.png                what the apertures look like
    fdikp render photo.jpg --gallery sheet.png      the same, on a photograph
    """

    # Sharp photographs, folders (with all below them) and globs; and last the folder for the pairs, made if need be.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ... OUT", help_behavior_hint="")
    ] = ()

    # Which part of a data set this is; it names the folder. Give each part photographs of its own.
    split: Literal["train", "val", "test"] = "train"

    # How many pairs.
    count: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one a photograph)")] = None

    # Side of the pairs in pixels; 0 is whole photographs, which take some 250 bytes of memory a pixel and worker.
    size: int = 512

    # What everything random follows from.
    seed: int = 0

    # Bits per sample. With 16, pairs are not rounded to 8.
    depth: Literal[8, 16] = 8

    # Also write OUT/train_c/radius/000000.png: the blur radius of each pixel, 16 bit, in 1/256 pixel.
    radius_maps: Flag = False

    # Pairs made at a time; the result does not depend on it.
    workers: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one a processor core)")] = (
        None
    )

    # Replace a set that was made otherwise.
    overwrite: Flag = False

    # Refuse photographs with more pixels than this, before decoding them.
    max_pixels: int = 200_000_000

    # Instead of pairs, draw a sheet for the eye: a row for each kind of aperture, with lights seen through it. All
    # inputs are photographs, of which the first is shown; without any, a test chart.
    gallery: Annotated[str | None, tyro.conf.arg(metavar="FILE.png", help_behavior_hint="")] = None

    # Print one JSON object for each pair on stdout, and nothing else there.
    json: Flag = False

    # Print errors only.
    quiet: Flag = False

    # What is rendered: shares are probabilities, radii are in pixels of the result.
    settings: RenderSettings = field(default_factory=RenderSettings)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    _check(options)
    if options.gallery is not None:
        return _draw_gallery(options, Path(options.gallery))
    pairs = _pair_set(options)
    count = len(pairs.pictures) if options.count is None else options.count
    manifest = Manifest.open(pairs, overwrite=options.overwrite)
    todo = [number for number in range(count) if not manifest.has(number)]
    started, bad, failed = time.monotonic(), set[Path](), 0
    with Bars(count, "pairs", shown=not options.quiet and not (options.json and sys.stdout.isatty())) as bars:
        bars.end(count - len(todo))
        try:
            for number, row in _rendered(pairs, todo, options.workers or os.cpu_count() or 1):
                bars.end()
                if isinstance(row, PhotoError):
                    failed += 1
                    if pairs.picture(number) not in bad:
                        bad.add(pairs.picture(number))
                        bars.print(f"fdikp: {row}")
                    continue
                manifest.add(number, row)
                if options.json:
                    console.result(json.dumps(row))
        except KeyboardInterrupt as stop:
            bars.stop()
            console.problem(f"stopped; {len(manifest.rows)} of {count} pairs made; run the same command again to go on")
            return stop_code(stop)
        finally:
            manifest.save()
    if not (options.json or options.quiet):
        made = len(todo) - failed
        there = f", {count - len(todo)} were there" if len(todo) < count else ""
        console.result(f"{pairs.folder}: {made} pairs made in {time.monotonic() - started:.1f} s{there}")
    if failed:
        console.problem(f"{failed} of {count} pairs were not made, for {len(bad)} photographs cannot be used")
    return 1 if failed else 0


def _rendered(
    pairs: "RenderedSet", numbers: list[int], workers: int
) -> "Iterator[tuple[int, dict[str, Any] | PhotoError]]":
    """Make pairs, several at a time, and yield in turn what a manifest says of each, or why there is none."""
    import torch

    from fdikp.synthesis.dataset import UnusablePhotoError

    todo = iter(numbers)
    pending: deque[tuple[int, Future[dict[str, Any]]]] = deque()
    # A thread for each pair is quicker than several threads for one
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        while True:
            for number in islice(todo, 2 * workers - len(pending)):
                pending.append((number, pool.submit(pairs.make, number)))
            if not pending:
                return
            number, future = pending.popleft()
            try:
                yield number, future.result()
            except UnusablePhotoError as error:
                yield number, error
    finally:
        pool.shutdown(cancel_futures=True)


def _check(options: Options) -> None:
    """Refuse what cannot be meant."""
    if "" in (*options.inputs, options.gallery):  # an unset variable; taken for the current folder it would do harm
        raise UsageError("an input, OUT or --gallery is empty; give a path (. is the current folder)")
    if options.gallery is None and len(options.inputs) < 2:
        raise UsageError("give sharp photographs or folders, and last the folder for the pairs (fdikp render --help)")
    if options.gallery is not None and Path(options.gallery).suffix.lower() != ".png":
        raise UsageError(f"--gallery {options.gallery}: must end with .png")
    if options.count is not None and options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    if options.size and options.size < 16:
        raise UsageError(f"--size {options.size}: must be at least 16, or 0 for whole photographs")
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"--workers {options.workers}: must be at least 1")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")


def _pair_set(options: Options) -> "RenderedSet":
    """The set that the command line describes."""
    from fdikp.synthesis.dataset import RenderedSet

    *inputs, last = options.inputs
    out = Path(last)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; the last path is the folder for the pairs")
    found = _photographs(inputs, out)
    inside = [one.path for one in found if out.resolve() in one.path.resolve().parents]
    if inside:
        raise UsageError(f"{inside[0]}: lies in the folder for the pairs, {out}; choose another")
    return RenderedSet(
        [one.path for one in found],
        out / f"{options.split}_c",
        replace(options.settings, rounded=options.settings.rounded and options.depth == 8),
        options.seed,
        options.size,
        options.depth,
        options.radius_maps,
        options.max_pixels,
    )


def _photographs(inputs: list[str], out: Path | None) -> "list[InputPath]":
    """The sharp photographs that the inputs mean; one that is named and cannot be used ends the run."""
    from fdikp.jobs.discover import InputFinder

    found = InputFinder(output=out).find(inputs)
    for one in found:
        if one.error:
            raise one.error
    if not found:
        raise UsageError(f"no photograph in {', '.join(inputs)}")
    return found


def _draw_gallery(options: Options, file: Path) -> int:
    from fdikp.imaging import Photo, read_photo, write_photo
    from fdikp.plots.gallery import chart, gallery

    if options.inputs:
        picture = read_photo(_photographs([*options.inputs], None)[0].path, max_pixels=options.max_pixels).pixels
    else:
        picture = chart()
    if file.exists() and not options.overwrite:
        raise PhotoError(f"{file} exists; give --overwrite or another --gallery")
    write_photo(Photo(gallery(picture, options.settings, options.seed)), file)
    if not options.quiet:
        console.result(file)
    return 0
