"""`fdikp deblur`: photographs, folders and globs in; restored photographs out."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fdikp.allocator import keep_freed_memory
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.find import Found, Search
from fdikp.cli.model_options import Flag, ModelOptions
from fdikp.cli.pipeline import pipeline
from fdikp.cli.plan import Job, Naming, plan
from fdikp.cli.progress import Bars
from fdikp.cli.restore import Outcome, Restorer, Task
from fdikp.cli.stopping import stop_code

BESIDE = "_deblurred"
"""Suffix of results that lie beside their photographs."""

AHEAD = 192 * 2**20
"""Bytes of pixels, such as three photographs of 21 megapixels in 8 bit: while more are under way no other photograph
is read, so that a folder takes at most twice this (results are as large) beyond what its largest photograph takes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Bring photographs back into focus.

    Depth, colour profile, EXIF and transparency are kept. Each result is
    written whole or not at all. A photograph that fails does not stop the
    others: the exit code is then 1. It is 2 if the command line is wrong.

    In folders, hidden files, links to folders, files that are no photographs
    by name, and earlier results that lie beside their photograph (like
    a_deblurred.jpg beside a.jpg) are left alone. A folder that is the only
    input is mirrored as it is; one of several keeps its name. When two
    photographs would become the same file, neither is worked on.

    Examples:
    fdikp deblur photo.jpg                 writes photo_deblurred.jpg
    fdikp deblur holiday/ -o fixed/        a folder and all below it
    fdikp deblur holiday/ -o fixed/ --skip-existing       goes on after a stop
    fdikp deblur 'scans/**/*.tif' -o out/ --format png --strength 0.8
    fdikp deblur photo.jpg -o sharp.jpg --compare --blur-map
    """

    # Photographs, folders (with all below them) and globs. Quote a glob with ** so that the shell leaves it to fdikp.
    # After --, a name may begin with a dash.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ...", help_behavior_hint="")
    ] = ()

    # Folder for the results, made if need be; for a single photograph also the name of the result.
    output: Annotated[
        str | None,
        tyro.conf.arg(aliases=["-o"], metavar="PATH", help_behavior_hint="(default: beside each photograph)"),
    ] = None

    # Put between name and extension of each result.
    suffix: Annotated[
        str | None,
        tyro.conf.arg(metavar="TEXT", help_behavior_hint=f"(default: {BESIDE}, or nothing with --output)"),
    ] = None

    # Format of the results.
    format: Annotated[
        Literal["jpeg", "png", "tiff", "webp", "avif"] | None,
        tyro.conf.arg(
            metavar="{jpeg,png,tiff,webp,avif}", help_behavior_hint="(default: the photograph's; TIFF for RAW)"
        ),
    ] = None

    # Quality of lossy formats, 1 to 100.
    quality: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: that of the photograph)")
    ] = None

    # Leave out EXIF, XMP and whatever else could say who, where or when. The colour profile stays.
    strip: Flag = False

    # How much of the change to apply: 0 for none, 1 for what the network predicts, up to 2.
    strength: float = 1.0

    # Replace results that exist; with --suffix "" the photographs themselves.
    overwrite: Flag = False

    # Pass over photographs whose result exists.
    skip_existing: Flag = False

    # Also write NAME_blurmap.png: where the photograph was found out of focus, and how far.
    blur_map: Flag = False

    # Also write NAME_compare.jpg: before and after, side by side.
    compare: Flag = False

    # Refuse photographs with more pixels than this, before decoding them.
    max_pixels: int = 200_000_000

    # Print one JSON object for each photograph on stdout, and nothing else there.
    json: Flag = False

    # Print errors only.
    quiet: Flag = False

    # Which network computes, where, and how.
    compute: ModelOptions = field(default_factory=ModelOptions)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    _check(options)
    jobs = _plan(options)
    keep_freed_memory()
    existing: Literal["replace", "skip", "refuse"] = (
        "replace" if options.overwrite else "skip" if options.skip_existing else "refuse"
    )
    restorer = Restorer(
        jobs,
        options.compute.load,
        strength=options.strength,
        quality=options.quality,
        strip=options.strip,
        max_pixels=options.max_pixels,
        existing=existing,
    )
    went_well: list[bool] = []
    # A bar and results on one terminal would draw over each other: results then go above the bar
    with Bars(len(jobs), shown=not options.quiet and not (options.json and sys.stdout.isatty())) as bars:

        def finish(task: Task) -> None:
            outcome = restorer.write(task)
            went_well.append(outcome.status != "failed")
            bars.end()
            _report(outcome, options, bars, alone=len(jobs) == 1)

        try:
            pipeline(
                jobs,
                restorer.read,
                lambda task: restorer.restore(task, bars),
                finish,
                weight=lambda task: task.weight,
                room=AHEAD,
            )
        except KeyboardInterrupt as stop:
            bars.stop()
            console.problem(f"stopped; {len(went_well)} of {len(jobs)} done; run again with --skip-existing to go on")
            return stop_code(stop)
    failed = went_well.count(False)
    if failed and len(jobs) > 1:
        console.problem(f"{failed} of {len(jobs)} photographs failed")
    return 1 if failed else 0


def _report(outcome: Outcome, options: Options, bars: Bars, alone: bool) -> None:
    """Say what became of one photograph: on a terminal with bars only what is worth a line."""
    if options.json:
        console.result(json.dumps(asdict(outcome)))
    if outcome.error:
        bars.print(f"fdikp: {outcome.error}")
    elif options.json or options.quiet:
        return
    elif not (bars.shown and sys.stdout.isatty()):
        console.result(outcome.line())
    elif alone or outcome.notes:
        bars.print(outcome.line())


def _check(options: Options) -> None:
    """Refuse what cannot be meant."""
    options.compute.check()
    if not options.inputs:
        raise UsageError("nothing to deblur; give photographs, folders or globs (fdikp deblur --help)")
    if "" in (*options.inputs, options.output):  # an unset variable; taken for the current folder it would do harm
        raise UsageError("an input or --output is empty; give a path (. is the current folder)")
    if dashed := [name for name in options.inputs if name.startswith("-")]:  # early tyro 1.0 lets them pass
        raise UsageError(f"{dashed[0]}: no such option; a photograph of that name is given after --")
    if not 0 <= options.strength <= 2:
        raise UsageError(f"--strength {options.strength:g}: must be between 0 and 2")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise UsageError(f"--quality {options.quality}: must be between 1 and 100")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other; give one")
    if options.suffix and ("/" in options.suffix or "\\" in options.suffix or "\0" in options.suffix):
        raise UsageError(f"--suffix {options.suffix}: is part of a name, not a path; --output takes a folder")


def _plan(options: Options) -> list[Job]:
    from fdikp.imaging.formats import is_photo_path

    folder = None if options.output is None else Path(options.output)
    suffix = options.suffix if options.suffix is not None else BESIDE if folder is None else ""
    found = Search(is_photo_path, folder, (BESIDE, suffix)).find(options.inputs)
    if not found:
        raise UsageError(f"no photograph in {', '.join(options.inputs)}")
    file = None
    if folder is not None and _names_a_file(options, found):
        file, folder = folder, None
    naming = Naming(
        lambda source: _extension(source, options.format),
        is_photo_path,
        suffix,
        folder=folder,
        file=file,
        chosen=file is not None or options.format is not None,
        blur_map=options.blur_map,
        compare=options.compare,
    )
    return plan(found, naming)


def _names_a_file(options: Options, found: Sequence[Found]) -> bool:
    """Whether --output is the name of the only result, and not of a folder."""
    from fdikp.imaging import FORMATS
    from fdikp.imaging.formats import format_of_suffix

    output = Path(str(options.output))
    if str(options.output).endswith(("/", "\\")) or output.is_dir() or not (output.suffix or output.exists()):
        return False
    format = format_of_suffix(output)
    if len(found) > 1 or not found[0].named:
        if format is None and not output.exists():
            return False
        raise UsageError(f"--output {output}: is a file's name, but there may be many results; name a folder")
    if format is None or not FORMATS[format].writable:
        known = ", ".join(known.suffixes[0] for known in FORMATS.values() if known.writable)
        raise UsageError(f"--output {output}: names none of {known}; end the name of a folder with /")
    if options.format not in (None, format):
        raise UsageError(f"--output {output}: is no name for --format {options.format}; change one")
    if options.suffix:
        raise UsageError(f"--output {output}: is the whole name of the result; leave out --suffix")
    return True


def _extension(source: Path, format: str | None) -> str:
    """The extension of a result, as far as the name of the source tells, or its first bytes if the name does not."""
    from fdikp.imaging import FORMATS
    from fdikp.imaging.formats import HEAD_BYTES, format_of_suffix, sniff

    own = format_of_suffix(source)
    if own is None and format is None:
        try:
            with source.open("rb") as file:
                own = sniff(file.read(HEAD_BYTES))
        except OSError:
            pass  # reading it will fail too, and say so
    wanted = format or own or "jpeg"
    if not FORMATS[wanted].writable:
        wanted = {"raw": "tiff", "gif": "png"}.get(wanted, "jpeg")
    return source.suffix if wanted == format_of_suffix(source) else FORMATS[wanted].suffixes[0]
