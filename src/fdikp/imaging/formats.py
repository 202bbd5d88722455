"""Which photograph formats there are, how their first bytes look, and which file names they go by."""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Format:
    """One file format: its name, its usual suffixes, and what it can hold."""

    # How messages call it.
    title: str
    # Lower case, the one given to new files first.
    suffixes: tuple[str, ...]
    # The libvips operation that reads it, without `load_source`; None for RAW, which rawpy reads.
    loader: str | None
    # Whether fdikp writes it.
    writable: bool = False
    # Most bits in a written sample.
    bits: int = 16
    # Whether written files can hold transparency.
    alpha: bool = True
    # Most pixels along a side, in the format itself or in its encoder; None if beyond libvips' own limit.
    longest_side: int | None = None


# fmt: off
_RAW_SUFFIXES = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".rw2", ".orf", ".pef", ".srw",
    ".x3f", ".mrw", ".3fr", ".fff", ".iiq", ".mos", ".kdc", ".dcr", ".erf", ".rwl", ".gpr",
)
# fmt: on

FORMATS: dict[str, Format] = {
    "jpeg": Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg", True, 8, False, 65500),
    "png": Format("PNG", (".png",), "png", True),
    "tiff": Format("TIFF", (".tif", ".tiff"), "tiff", True, 32),
    "webp": Format("WebP", (".webp",), "webp", True, 8, longest_side=16383),
    "avif": Format("AVIF", (".avif",), "heif", True, 12, longest_side=16384),
    "heic": Format("HEIC", (".heic", ".heif"), "heif"),
    "jxl": Format("JPEG XL", (".jxl",), "jxl"),
    "jp2": Format("JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf"), "jp2k"),
    "gif": Format("GIF", (".gif",), "gif"),
    "raw": Format(
        "RAW",
        _RAW_SUFFIXES,
        None,
    ),
}

# First bytes of every format that is read, and of nothing else: the allow-list. Loaders that interpret a
# document (SVG, PDF, ...) or read plain tables are never reached. TIFF is also the shell of most RAW files;
# `tiff.TiffHeader.is_raw` tells them apart.
_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"\xff\xd8\xff", "jpeg"),
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"II\x2a\x00.{4}CR\x02", "raw"),
        (rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]", "tiff"),
        (rb"RIFF.{4}WEBP", "webp"),
        (rb"GIF8[79]a", "gif"),
        (rb".{4}ftypcrx ", "raw"),
        (rb".{4}ftypavi[fs]", "avif"),
        # `mif1` says only "some HEIF"; the codec is named among the compatible brands that follow.
        (rb".{4}ftypmi[fa][1f].{4}(?:.{4}){0,8}avi[fs]", "avif"),
        (rb".{4}ftyp(?:mif1|msf1|hei[cxms]|hev[cxms])", "heic"),
        (rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
        (rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jp2"),
        (rb"FUJIFILMCCD-RAW|IIU\x00|IIR[OS]|MMOR|FOVb|\x00MRM|II\x1a\x00\x00\x00HEAPCCDR", "raw"),
    )
)

# How many bytes `sniff` looks at.
HEAD_BYTES = 64


def sniff(head: bytes) -> str | None:
    """Name the format of a file that begins with `head` (`HEAD_BYTES` long, or the whole file); None if unknown."""
    return next((name for pattern, name in _MAGIC if pattern.match(head)), None)


# Suffixes (lower case, with the dot) of files worth trying in a folder; those of RAW only if rawpy is installed, for
# RAW files mostly lie beside a JPEG of the same picture.
SUFFIXES = frozenset(
    suffix
    for name, known in FORMATS.items()
    if name != "raw" or find_spec("rawpy") is not None
    for suffix in known.suffixes
)


def is_photo_path(path: str | os.PathLike[str]) -> bool:
    """Tell by its name alone whether a folder walk should pick `path` up; upper and lower case count the same."""
    return os.path.splitext(os.fspath(path))[1].lower() in SUFFIXES  # noqa: PTH122 - no Path needed


def format_of_suffix(path: str | os.PathLike[str]) -> str | None:
    """Name the format that the suffix of `path` stands for; None if it stands for none."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()  # noqa: PTH122 - no Path needed
    return next((name for name, known in FORMATS.items() if suffix in known.suffixes), None)
