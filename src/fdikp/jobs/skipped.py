"""Files in folders that look like photos and are not taken, so that none of them is left out without a word."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fdikp.extras import install_hint
from fdikp.imaging.formats import FORMATS, format_of_suffix, readable

SkipReason = Literal["extra_missing", "not_read", "earlier_result", "hidden", "folder_link"]
"""Why a file is not taken: optional packages are missing, fdikp reads no files of its kind, it is a result of an
earlier run, its name starts with a dot, or it is a link to a folder."""

# fmt: off
_NOT_READ: dict[str, tuple[str, ...]] = {
    "PSD": (".psd", ".psb"),
    "XCF": (".xcf",),
    "Krita": (".kra",),
    "Affinity": (".afphoto",),
    "OpenEXR": (".exr",),
    "Radiance HDR": (".hdr",),
    "TGA": (".tga",),
    "PNM": (".ppm", ".pgm", ".pnm", ".pfm"),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "FITS": (".fits", ".fit"),
    "SVG": (".svg", ".svgz"),
    "PDF": (".pdf",),
    "EPS": (".eps",),
    "video": (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".mts", ".m2ts", ".webm", ".3gp"),
}
# fmt: on
"""By kind, suffixes of files that hold or may hold photos, besides those of `FORMATS`."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file in a folder that is not taken."""

    path: Path
    reason: SkipReason
    kind: str
    """What it is, by its name: the title of a format, or `video`; `folder` for a link to one."""
    extra: str | None = None
    """The extra that reads it, if `reason` is `extra_missing`."""


def skipped_file(path: Path, *, hidden: bool = False, earlier_result: bool = False) -> SkippedFile | None:
    """A file that is not taken, as far as its name tells what it is; None if it is no photo of any kind."""
    suffix = path.suffix.lower()
    format = format_of_suffix(path)
    kind = FORMATS[format].title if format else next((k for k, known in _NOT_READ.items() if suffix in known), None)
    if kind is None:
        return None
    if hidden or earlier_result:
        return SkippedFile(path, "hidden" if hidden else "earlier_result", kind)
    if format and (extra := FORMATS[format].extra) and not readable(format):
        return SkippedFile(path, "extra_missing", kind, extra)
    return SkippedFile(path, "not_read", kind)


def describe_skipped(skipped: Sequence[SkippedFile]) -> list[str]:
    """A line for each reason, and for each extra that is missing.

    >>> describe_skipped([SkippedFile(Path(name), "not_read", "PSD") for name in ("a.psd", "b.psd")])
    ['2 files skipped that fdikp does not read: 2 PSD']
    """
    lines = []
    by_extra = Counter((one.kind, one.extra) for one in _of(skipped, "extra_missing"))
    for (kind, extra), count in by_extra.items():
        lines.append(f"{counted(count, f'{kind} file')} skipped: {install_hint(str(extra))}")
    if by_kind := Counter(one.kind for one in _of(skipped, "not_read")):
        kinds = ", ".join(f"{count} {kind}" for kind, count in by_kind.items())
        lines.append(f"{counted(by_kind.total(), 'file')} skipped that fdikp does not read: {kinds}")
    if results := len(_of(skipped, "earlier_result")):
        lines.append(f"{counted(results, 'earlier result')} left out")
    if hidden := len(_of(skipped, "hidden")):
        lines.append(f"{counted(hidden, 'hidden file')} left out")
    if links := [one.path for one in _of(skipped, "folder_link")]:
        what = f"1 link to a folder, {links[0]}," if len(links) == 1 else f"{len(links)} links to folders"
        lines.append(f"{what} left out; give the folder itself to take its photos")
    return lines


def photos_among(skipped: Iterable[SkippedFile]) -> list[SkippedFile]:
    """Those that the user may miss: not hidden ones, earlier results and links to folders."""
    return [one for one in skipped if one.reason in ("extra_missing", "not_read")]


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "photo"), counted(0, "photo")
    ('1 photo', '0 photos')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _of(skipped: Iterable[SkippedFile], reason: SkipReason) -> list[SkippedFile]:
    return [one for one in skipped if one.reason == reason]
