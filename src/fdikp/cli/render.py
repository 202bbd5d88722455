"""`fdikp render`: from sharp photos, pairs of sharp and out-of-focus images."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.cli.progress import Bars
from fdikp.cli.stopping import stop_code
from fdikp.errors import PhotoError
from fdikp.imaging.limits import MAX_PIXELS
from fdikp.synthesis.render_manifest import DifferentSetError, RenderManifest
from fdikp.synthesis.settings import RenderSettings

if TYPE_CHECKING:
    from fdikp.synthesis.dataset import RenderedSet


@dataclass(frozen=True, kw_only=True)
class Options:
    """Render pairs of sharp and out-of-focus images, for training and evaluation.

    Each sharp photo is rendered as a lens focused elsewhere would have taken
    it. The result is a data set in the layout of DPDD:
      DIR/train_c/source/000000.png   out of focus
      DIR/train_c/target/000000.png   the same scene, all in focus
      DIR/train_c/manifest.json       the settings, and the photo, tile, seed and
                                      blur radii of each pair

    A pair depends on the photos, the settings, the seed and its number alone.
    To continue an interrupted run, repeat the command. To add pairs to a set,
    repeat it with a larger --count.

    Examples:
      fdikp render photos/ -o pairs/                  one pair for each photo
      fdikp render photos/ -o pairs/ --split test --size 0       whole photos
      fdikp render a/ b/ -o pairs/ --count 5000 --max-radius 12 --radius-maps
      fdikp render --gallery sheet.png                show every kind of aperture
      fdikp render photo.jpg --gallery sheet.png      the same, with a photo
    """

    # Sharp photos, folders (searched recursively) and globs.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT", help_behavior_hint="")] = ()

    # Folder for the pairs; it is created if necessary.
    output: Annotated[str | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")] = None

    # Split of the data set: train, val or test. It names the subfolder. Use different photos for each split.
    split: Literal["train", "val", "test"] = "train"

    # Number of pairs.
    count: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one for each photo)")] = None

    # Side of the pairs in pixels. 0 renders whole photos, which takes about 250 bytes of memory per pixel and worker.
    size: int = 512

    # Seed of all random choices.
    seed: int = 0

    # Bits per sample: 8 or 16. With 16 the blurred image is not rounded to 8 bits.
    depth: Literal[8, 16] = 8

    # Also write DIR/train_c/radius/000000.png: the blur radius of each pixel, 16 bit, in 1/256 pixel.
    radius_maps: Flag = False

    # Number of pairs rendered in parallel. The result does not depend on it.
    workers: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one for each core)")] = None

    # Replace a set that was rendered with other settings.
    overwrite: Flag = False

    # Refuse photos with more pixels than this before they are decoded.
    max_pixels: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 200 million)")] = MAX_PIXELS

    # Draw a sheet instead of rendering pairs: one row for each kind of aperture, with lights seen through it. It shows
    # the first input, or a test chart if there is none.
    gallery: Annotated[str | None, tyro.conf.arg(metavar="FILE.png", help_behavior_hint="")] = None

    # Print one JSON object for each pair on stdout, and nothing else.
    json: Flag = False

    # Print errors only.
    quiet: Flag = False

    # What to render. Options --p-... are probabilities; radii are in pixels of the rendered image.
    settings: RenderSettings = field(default_factory=RenderSettings)


def run(options: Options) -> int:
    """Render what the command line asks for; returns the exit code."""
    _check(options)
    if options.gallery is not None:
        return _draw_gallery(options, Path(options.gallery))
    pairs = _pair_set(options)
    count = len(pairs.photos) if options.count is None else options.count
    try:
        manifest = RenderManifest.open(pairs, overwrite=options.overwrite)
    except DifferentSetError as error:
        hint = "give --overwrite to render them again, or another --output"
        raise PhotoError(str(error).replace(error.hint, hint)) from error
    todo = [number for number in range(count) if not manifest.has(number)]
    started, unusable, failed = time.monotonic(), set[Path](), 0
    with Bars(count, "pairs", shown=not options.quiet and not (options.json and sys.stdout.isatty())) as bars:
        bars.end(count - len(todo))
        try:
            for number, row in pairs.render_all(todo, options.workers or os.cpu_count() or 1):
                bars.end()
                if isinstance(row, PhotoError):
                    failed += 1
                    if pairs.photo_of(number) not in unusable:
                        unusable.add(pairs.photo_of(number))
                        bars.print(f"fdikp: {row}")
                    continue
                manifest.add(number, row)
                if options.json:
                    console.result(json.dumps(row))
        except KeyboardInterrupt as stop:
            bars.stop()
            console.problem(f"stopped; {len(manifest.rows)} of {count} pairs rendered; repeat the command to continue")
            return stop_code(stop)
        finally:
            manifest.save()
    if not (options.json or options.quiet):
        rendered = len(todo) - failed
        earlier = f", {count - len(todo)} existed already" if len(todo) < count else ""
        console.result(f"{pairs.folder}: {rendered} pairs rendered in {time.monotonic() - started:.1f} s{earlier}")
    if failed:
        console.problem(f"{failed} of {count} pairs were not rendered: {len(unusable)} photos cannot be used")
    return 1 if failed else 0


def _check(options: Options) -> None:
    """Validate the options; raise UsageError if they conflict."""
    # An empty path comes from an unset variable; as the current folder it would do harm
    if "" in (*options.inputs, options.output, options.gallery):
        raise UsageError("an input, --output or --gallery is empty; give a path (. is the current folder)")
    if options.gallery is None and not options.inputs:
        raise UsageError("no input; give sharp photos or folders")
    if options.gallery is None and options.output is None:
        raise UsageError("no folder for the pairs; give -o DIR")
    if options.gallery is not None and options.output is not None:
        raise UsageError("--gallery writes a sheet instead of pairs; give --gallery or --output, not both")
    if options.gallery is not None and Path(options.gallery).suffix.lower() != ".png":
        raise UsageError(f"--gallery {options.gallery}: must end with .png")
    if options.count is not None and options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    if options.size and options.size < 16:
        raise UsageError(f"--size {options.size}: must be at least 16, or 0 for whole photos")
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"--workers {options.workers}: must be at least 1")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")


def _pair_set(options: Options) -> "RenderedSet":
    """The rendered set that the options describe."""
    from fdikp.synthesis.dataset import RenderedSet

    assert options.output is not None
    output = Path(options.output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output}: is a file; give a folder for the pairs")
    photos = _find_photos(options.inputs, output)
    inside = [photo for photo in photos if output.resolve() in photo.resolve().parents]
    if inside:
        raise UsageError(f"{inside[0]}: lies in the folder for the pairs, {output}; choose another --output")
    return RenderedSet(
        photos,
        output / f"{options.split}_c",
        replace(options.settings, rounded=options.settings.rounded and options.depth == 8),
        options.seed,
        options.size,
        options.depth,
        options.radius_maps,
        options.max_pixels,
    )


def _find_photos(inputs: Sequence[str], output: Path | None) -> list[Path]:
    """The sharp photos among the inputs. A named file that cannot be used is an error."""
    from fdikp.jobs.discover import InputFinder

    candidates = InputFinder(output=output, suffixes=()).find(inputs)
    for photo in candidates:
        if photo.error:
            raise photo.error
    if not candidates:
        raise UsageError(f"no photo that can be read in {', '.join(inputs)}")
    return [photo.path for photo in candidates]


def _draw_gallery(options: Options, file: Path) -> int:
    from fdikp.imaging import Photo, read_photo, write_photo
    from fdikp.plots.gallery import chart, gallery

    if options.inputs:
        pixels = read_photo(_find_photos(options.inputs, None)[0], max_pixels=options.max_pixels).pixels
    else:
        pixels = chart()
    if file.exists() and not options.overwrite:
        raise PhotoError(f"{file} exists; give --overwrite or another --gallery")
    write_photo(Photo(gallery(pixels, options.settings, options.seed)), file)
    if not options.quiet:
        console.result(file)
    return 0
