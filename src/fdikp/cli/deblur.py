"""`fdikp deblur`: restore photos, folders of photos, and globs."""

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fdikp.allocator import configure_malloc
from fdikp.cli import console, parsing
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag, ModelOptions
from fdikp.cli.progress import Bars
from fdikp.cli.stopping import stop_code
from fdikp.errors import PhotoError
from fdikp.imaging.limits import MAX_PIXELS
from fdikp.jobs.request import PREVIEW_SUFFIX, RESULT_SUFFIX, DeblurRequest, DeblurResult, Existing, Format

if TYPE_CHECKING:
    from fdikp.jobs.discover import InputPath
    from fdikp.jobs.skipped import SkippedFile
    from fdikp.jobs.summary import RunSummary

PREVIEW_SIDE = 1024
"""Pixels of the long side of a preview, unless another number is given."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Restore out-of-focus photos.

    Results keep bit depth, colour profile, EXIF, transparency and the
    permissions of the file. A result is written completely or not at all. Its
    XMP records the edit: version, model, strength.

    If a photo fails, or an input is missing, empty or matches no photo, the
    others are still restored and the exit code is 1. It is 1 too if no photo
    could be read at all, and 2 if the command line is wrong.

    In folders, the command leaves out hidden files, links to folders, earlier
    results beside their photo (such as a_deblurred.jpg beside a.jpg) and files
    that it cannot read. The last lines of a run, on stderr, count the photos
    among them by kind; they do not change the exit code. With --output, a
    single input folder is mirrored without its own name; several input folders
    keep their names. If two photos would become the same file, neither is
    restored.

    Examples:
      fdikp deblur photo.jpg                 write photo_deblurred.jpg
      fdikp deblur holiday/ -o fixed/        restore a folder and all below it
      fdikp deblur holiday/ -o fixed/ --dry-run             see what would be done
      fdikp deblur holiday/ -o fixed/ --skip-existing       continue after a stop
      fdikp deblur 'scans/**/*.tif' -o out/ --format png --strength 0.8
      fdikp deblur photo.jpg -o sharp.jpg --compare --blur-map-figure

    Restore only a part, and leave the rest as it is:
      fdikp deblur portrait.jpg --preview --blur-map-figure   see how far it is out of focus
      fdikp deblur portrait.jpg --max-blur 3      the face, which is slightly
                                                  out of focus, not the bokeh
      fdikp deblur portrait.jpg --mask face.png   what is white in a mask
      fdikp deblur photos/ -o out/ --mask masks/  a mask for each photo, by name
      fdikp deblur photo.jpg --region 30%,20%,40%,50%
    """

    # Photos, folders (including those below them) and globs. Quote a glob with ** to keep the shell from expanding it.
    # After --, names may start with a dash.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ...", help_behavior_hint="")
    ] = ()

    # Folder for the results; it is created if it does not exist. For a single photo it can also be the name of the
    # result.
    output: Annotated[
        str | None,
        tyro.conf.arg(aliases=["-o"], metavar="PATH", help_behavior_hint="(default: beside each photo)"),
    ] = None

    # Text between name and extension of each result.
    suffix: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="TEXT",
            help_behavior_hint=f"(default: {RESULT_SUFFIX}; with --output: none; with --preview: {PREVIEW_SUFFIX})",
        ),
    ] = None

    # Format of the results.
    format: Annotated[
        Format | None,
        tyro.conf.arg(metavar="{jpeg,png,tiff,webp,avif}", help_behavior_hint="(default: the photo's; TIFF for RAW)"),
    ] = None

    # Quality of lossy formats, from 1 to 100.
    quality: Annotated[
        int | None,
        tyro.conf.arg(metavar="N", help_behavior_hint="(default: the photo's own, if it is a JPEG)"),
    ] = None

    # Leave out EXIF, XMP and everything else that could tell who, where or when. The colour profile stays.
    strip: Flag = False

    # Give each result the dates of its photo's file: when it was last written and read.
    keep_dates: Flag = False

    # How much of the change to apply: 0 is none, 1 is what the network predicts; at most 2.
    strength: float = 1.0

    # Restore only what is white in this image, such as a mask from an editor; keep what is black, and blend where it is
    # grey. It has the size or the shape of the photo, turned as the photo is displayed. Of a folder, each photo takes
    # the mask of its name: masks/a.png or masks/a.jpg for a.jpg. A photo without a mask fails. Example: --mask face.png
    mask: Annotated[str | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: everything)")] = None

    # Restore only this rectangle, with soft edges: left, top, width and height in pixels or per cent. It can be given
    # several times. Example: --region 30%,20%,40%,50%
    region: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="X,Y,W,H", help_behavior_hint="(default: everything)"),
    ] = ()

    # Restore only what is out of focus by at most this blur radius in pixels, and keep what is blurred more: a
    # background that is meant to be soft. Read the radius off --blur-map-figure. Example: --max-blur 3
    max_blur: Annotated[float | None, tyro.conf.arg(metavar="R", help_behavior_hint="(default: no limit)")] = None

    # Restore only what is out of focus by at least this blur radius in pixels, and keep what is sharper: grain and fine
    # texture stay untouched. Example: --min-blur 1
    min_blur: Annotated[float | None, tyro.conf.arg(metavar="R", help_behavior_hint="(default: no limit)")] = None

    # Restore and write a small version, for a quick look: NAME_preview, with a long side of N pixels or 1024. Regions
    # and limits still refer to the full photo.
    preview: Annotated[int | None, tyro.conf.arg(metavar="[N]", help_behavior_hint="(default: full size)")] = None

    # Replace results that exist; with --suffix "", replace the photos themselves.
    overwrite: Flag = False

    # Skip photos whose result exists.
    skip_existing: Flag = False

    # Also write NAME_blurmap.png: the blur radius at each pixel, 16 bits, in units of 1/256 pixel.
    blur_map: Flag = False

    # Also write NAME_blurmap_figure.png: a drawing of the blur radius, with its scale in pixels.
    blur_map_figure: Flag = False

    # Also write NAME_confidence.png: how certain the blur radius is, from 0 (nothing to tell it by) to 255.
    confidence_map: Flag = False

    # Also write NAME_compare.jpg: photo (before) and result (after) side by side.
    compare: Flag = False

    # Refuse photos with more pixels than this before they are decoded.
    max_pixels: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 200 million)")] = MAX_PIXELS

    # Keep the memory of the process below this, such as 800M or 2G: choose smaller tiles, take one photo at a time, and
    # refuse photos that are too large for it.
    memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE", help_behavior_hint="(default: no limit)")] = None

    # Print what would be done with each photo, and do nothing: only headers are read, and no model is loaded.
    dry_run: Flag = False

    # Print one JSON object for each photo on stdout, and nothing else there. The summary at the end, on stderr, is a
    # JSON object too.
    json: Flag = False

    # Print errors only.
    quiet: Flag = False

    # Which network computes, where, and how.
    compute: ModelOptions = field(default_factory=ModelOptions)


def parse(args: Sequence[str], prog: str) -> Options:
    """Options from a command line, in which --preview may stand alone."""
    options: Options = parsing.parse(Options, parsing.with_value(args, "--preview", str(PREVIEW_SIDE)), prog)
    return options


def run(options: Options) -> int:
    """Restore the photos; returns the exit code."""
    from fdikp.jobs.runner import MAX_AHEAD, dry_run, run_all
    from fdikp.jobs.summary import RunSummary

    started = time.perf_counter()
    _check(options)
    options, max_bytes = _fit_memory(options)
    jobs, skipped = _plan(options, max_bytes)
    alone = len(jobs) == 1 and not skipped
    results: list[DeblurResult] = []
    # On one terminal a bar and results would draw over each other, so there the bar prints the results above itself
    shown = not (options.quiet or options.dry_run) and not (options.json and sys.stdout.isatty())
    with console.logged_tracebacks(), Bars(len(jobs), shown=shown) as bars:

        def finish(result: DeblurResult) -> None:
            results.append(result)
            bars.end()
            _report(result, options, bars, alone)

        try:
            if options.dry_run:
                for planned in dry_run(jobs):
                    finish(planned)
            else:
                configure_malloc()
                run_all(
                    jobs,
                    options.compute.load,
                    finish,
                    started=lambda request: bars.begin(request.source.name),
                    progress=bars.tile,
                    max_ahead=MAX_AHEAD if max_bytes is None else 0,
                )
        except KeyboardInterrupt as stop:
            if options.dry_run:
                raise
            bars.stop()
            failed = sum(result.status == "failed" for result in results)
            done = f"{len(results) - failed} of {len(jobs)} photos are done" + (f", {failed} failed" if failed else "")
            console.problem(f"stopped; {done}; run again with --skip-existing to continue")
            return stop_code(stop)
    if not (alone or options.quiet):
        _print_summary(RunSummary(results, skipped, time.perf_counter() - started), options)
    return 1 if any(result.status == "failed" for result in results) else 0


def _print_summary(summary: "RunSummary", options: Options) -> None:
    """Print what came of the whole run, to stderr."""
    if have := sum(result.code == "output_exists" for result in summary.results):
        photos = "1 photo has a result" if have == 1 else f"{have} photos have a result"
        console.problem(f"{photos} already; {console.FLAG_HINTS['output_exists']}")
    if options.json:
        console.status(summary.to_json())
        return
    for line in summary.plan_lines() if options.dry_run else summary.lines():
        console.problem(line)


def _report(result: DeblurResult, options: Options, bars: Bars, alone: bool) -> None:
    """Print what came of one photo; on a terminal with bars only what is worth a line."""
    if result.error:
        error, hint = console.with_flags(result.error, result.code, result.hint)
        result = replace(result, error=error, hint=hint)
    if options.json:
        console.result(result.to_json())
    if result.error:
        error = result.error
        if result.code == "output_exists" and not (alone or options.quiet):  # the summary has the hint, once
            error = error.removesuffix(f"; {result.hint}")
        bars.print(f"fdikp: {error}")
    elif options.json or options.quiet:
        return
    elif not (bars.shown and sys.stdout.isatty()):
        console.result(_summary(result))
    elif alone or result.notes:
        bars.print(_summary(result))


def _summary(result: DeblurResult) -> str:
    """A result in words."""
    if result.status == "skipped":
        what = f"{result.input}: skipped, {result.output} exists"
    elif result.status == "planned":
        written = [getattr(result, each.name) for each in fields(result) if each.name != "input"]
        files = ", ".join(str(path) for path in written if isinstance(path, Path))
        what = f"{result.input} -> {files} ({result.width} × {result.height})"
    else:
        what = f"{result.input} -> {result.output} ({result.seconds:.1f} s)"
    return "; ".join((what, *(note.removesuffix(".") for note in result.notes)))


def _check_calibration(options: Options) -> None:
    """Raise UsageError if an option needs the blur radius, which the model cannot tell."""
    from fdikp.models.descriptor import describe

    given = {
        "--max-blur": options.max_blur is not None,
        "--min-blur": options.min_blur is not None,
        "--blur-map": options.blur_map,
        "--blur-map-figure": options.blur_map_figure,
        "--confidence-map": options.confidence_map,
    }
    needing = [flag for flag, is_given in given.items() if is_given]
    if needing and describe(options.compute.model).blur_calibration is None:
        raise UsageError(
            f"{needing[0]}: the weights of {options.compute.model} have no blur calibration; run fdikp calibrate"
        )


def _check(options: Options) -> None:
    """Validate the options; raise UsageError if they conflict."""
    options.compute.check()
    _check_calibration(options)
    if not options.inputs:
        raise UsageError("nothing to deblur; give photos, folders or globs (see fdikp deblur --help)")
    # An empty path is mostly an unset shell variable; Path would take it for the current folder
    if "" in (*options.inputs, options.output):
        raise UsageError("an input or --output is empty; give a path (. is the current folder)")
    # Early versions of tyro 1.0 pass unknown options on as inputs
    if dashed := [name for name in options.inputs if name.startswith("-")]:
        raise UsageError(f"{dashed[0]}: there is no such option; give a photo of that name after --")
    if not 0 <= options.strength <= 2:
        raise UsageError(f"--strength {options.strength:g}: must be between 0 and 2")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise UsageError(f"--quality {options.quality}: must be between 1 and 100")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")
    if options.min_blur is not None and options.max_blur is not None and options.min_blur > options.max_blur:
        raise UsageError(f"--min-blur {options.min_blur:g}: must be at most --max-blur, which is {options.max_blur:g}")
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other; give one of them")
    if options.mask is not None and not os.path.exists(options.mask):  # noqa: PTH110 (a name may hold what no Path can)
        raise UsageError(f"--mask {options.mask}: there is no such file or folder")
    if options.suffix and ("/" in options.suffix or "\\" in options.suffix or "\0" in options.suffix):
        raise UsageError(f"--suffix {options.suffix}: must be part of a name, not a path; --output takes a folder")


def _fit_memory(options: Options) -> tuple[Options, int | None]:
    """The options with the tile that fits --memory, and the bytes that are left for a photo."""
    if options.memory is None:
        return options, None
    from fdikp.jobs.memory import plan_memory
    from fdikp.models.descriptor import describe

    model = describe(options.compute.model)
    plan = plan_memory(model, parse_size(options.memory), options.compute.tile or model.default_tile)
    return replace(options, compute=replace(options.compute, tile=plan.tile)), plan.photo_bytes


def parse_size(text: str) -> int:
    """Bytes from a number with a unit.

    >>> parse_size("1.5G"), parse_size("800M")
    (1610612736, 838860800)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"--memory {text}: must be a number with a unit, such as 800M or 2G")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper()))


def _plan(
    options: Options, max_bytes: int | None
) -> "tuple[list[DeblurRequest | DeblurResult], Sequence[SkippedFile]]":
    """The jobs that the options describe, and the files that are left out.

    Raises:
        PhotoError: nothing but files that are left out.
    """
    from fdikp.jobs.discover import InputFinder
    from fdikp.jobs.plan import OutputNaming, plan_jobs
    from fdikp.jobs.skipped import describe_skipped

    folder = None if options.output is None else Path(options.output)
    own = PREVIEW_SUFFIX if options.preview is not None else RESULT_SUFFIX if folder is None else ""
    suffix = own if options.suffix is None else options.suffix
    mask = None if options.mask is None else Path(options.mask)
    found = InputFinder(output=folder, suffixes=(RESULT_SUFFIX, suffix), mask=mask).search(options.inputs)
    inputs = found.photos
    if not inputs:
        reasons = "; ".join(describe_skipped(found.skipped))
        raise PhotoError(f"{', '.join(options.inputs)}: no photo that can be read; {reasons}", code="photo_unsupported")
    file = None
    if folder is not None and _output_is_file(options, inputs):
        file, folder = folder, None
    existing: Existing = "replace" if options.overwrite else "skip" if options.skip_existing else "refuse"
    settings = DeblurRequest(
        Path(),
        quality=options.quality,
        strip=options.strip,
        strength=options.strength,
        mask=mask,
        regions=options.region,
        min_blur=options.min_blur,
        max_blur=options.max_blur,
        preview=options.preview,
        max_pixels=options.max_pixels,
        max_bytes=max_bytes,
        existing=existing,
        keep_dates=options.keep_dates,
    )
    naming = OutputNaming(
        suffix,
        folder,
        file,
        options.format,
        options.blur_map,
        options.compare,
        options.blur_map_figure,
        options.confidence_map,
    )
    return plan_jobs(inputs, naming, settings), found.skipped


def _output_is_file(options: Options, inputs: "Sequence[InputPath]") -> bool:
    """Whether --output names the only result, not a folder."""
    from fdikp.imaging.formats import FORMATS, format_of_suffix, writable_suffixes

    output = Path(str(options.output))
    if str(options.output).endswith(("/", "\\")) or output.is_dir() or not (output.suffix or output.exists()):
        return False
    format = format_of_suffix(output)
    if len(inputs) > 1 or not inputs[0].named:
        if format is None and not output.exists():
            return False
        raise UsageError(f"--output {output}: is the name of a file, but there may be many results; name a folder")
    if format is None or not FORMATS[format].writable:
        known = writable_suffixes()
        raise UsageError(f"--output {output}: must end with one of {known}, or with / if it is a folder")
    if options.format not in (None, format):
        raise UsageError(f"--output {output}: its extension does not fit --format {options.format}; change one of them")
    if options.suffix:
        raise UsageError(f"--output {output}: is the whole name of the result; leave out --suffix")
    return True
