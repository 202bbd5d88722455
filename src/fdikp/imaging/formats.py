"""Photo formats: their properties, the first bytes that identify them, and their file name suffixes."""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Format:
    """A file format and what it can hold."""

    title: str
    """Its name in messages."""

    suffixes: tuple[str, ...]
    """Its suffixes in lower case; new files get the first."""

    loader: str | None
    """The libvips operation that reads it, without `load_source`; None for RAW, which rawpy reads."""

    writable: bool = False
    """Whether fdikp writes it."""

    bits: int = 16
    """Largest number of bits per sample in written files."""

    alpha: bool = True
    """Whether written files can hold transparency."""

    longest_side: int | None = None
    """Largest number of pixels along a side, by the format or its encoder; None if libvips' own limit is lower."""


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

# First bytes of every format that fdikp reads: an allow-list, so that loaders that interpret documents (SVG, PDF, ...)
# or read plain tables are never called. Most RAW files are TIFF files too; `tiff.TiffHeader.is_raw` tells them apart.
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
        # `mif1` only means "some HEIF"; the compatible brands that follow name the codec.
        (rb".{4}ftypmi[fa][1f].{4}(?:.{4}){0,8}avi[fs]", "avif"),
        (rb".{4}ftyp(?:mif1|msf1|hei[cxms]|hev[cxms])", "heic"),
        (rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
        (rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jp2"),
        (rb"FUJIFILMCCD-RAW|IIU\x00|IIR[OS]|MMOR|FOVb|\x00MRM|II\x1a\x00\x00\x00HEAPCCDR", "raw"),
    )
)

HEAD_BYTES = 64
"""Number of bytes that `sniff` needs."""


def sniff(head: bytes) -> str | None:
    """Return the format of a file that starts with `head` (`HEAD_BYTES` long, or the whole file); None if unknown."""
    return next((name for pattern, name in _MAGIC if pattern.match(head)), None)


SUFFIXES = frozenset(
    suffix
    for name, format in FORMATS.items()
    if name != "raw" or find_spec("rawpy") is not None
    for suffix in format.suffixes
)
"""Suffixes (lower case, with the dot) of photos in a folder. RAW suffixes are included only if rawpy is installed,
because RAW files mostly lie beside a JPEG of the same photo."""


def writable_suffixes() -> str:
    """The first suffix of each format that fdikp writes, for messages.

    >>> writable_suffixes()
    '.jpg, .png, .tif, .webp, .avif'
    """
    return ", ".join(format.suffixes[0] for format in FORMATS.values() if format.writable)


def is_photo_path(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` has the suffix of a photo, in upper or lower case. The file is not opened."""
    return os.path.splitext(os.fspath(path))[1].lower() in SUFFIXES  # noqa: PTH122 - no Path needed


def format_of_suffix(path: str | os.PathLike[str]) -> str | None:
    """Return the format that the suffix of `path` stands for; None if it stands for none."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()  # noqa: PTH122 - no Path needed
    return next((name for name, format in FORMATS.items() if suffix in format.suffixes), None)
