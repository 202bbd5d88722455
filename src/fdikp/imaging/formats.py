"""Photo formats: their properties, the first bytes that identify them, and their file name suffixes."""

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec


@dataclass(frozen=True)
class Format:
    """A file format and what it can hold."""

    title: str
    """Its name in messages."""

    suffixes: tuple[str, ...]
    """Its suffixes in lower case; new files get the first."""

    loader: str | None
    """The libvips operation that reads it, without `load_source`; None if libvips does not read it."""

    writable: bool = False
    """Whether fdikp writes it."""

    bits: int = 16
    """Largest number of bits per sample in written files."""

    alpha: bool = True
    """Whether written files can hold transparency."""

    longest_side: int | None = None
    """Largest number of pixels along a side, by the format or its encoder; None if libvips' own limit is lower."""

    extra: str | None = None
    """The extra of fdikp that reads it; None if no extra is needed."""

    packages: tuple[str, ...] = ()
    """The packages of that extra, by their import names."""

    result: str = "jpeg"
    """The format of its results if fdikp does not write it; photos with more than 8 bits or transparency may need
    another: see `output_format`."""


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
    "heic": Format("HEIC", (".heic", ".heif"), None, extra="heic", packages=("pillow_heif",)),
    "jxl": Format("JPEG XL", (".jxl",), None, extra="jxl", packages=("pylibjxl", "imagecodecs"), result="png"),
    "jp2": Format("JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf"), "jp2k"),
    "gif": Format("GIF", (".gif",), "gif", result="png"),
    "bmp": Format("BMP", (".bmp", ".dib"), None, result="png"),
    "raw": Format("RAW", _RAW_SUFFIXES, None, extra="raw", packages=("rawpy",), result="tiff"),
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
        # A header of a known length, one plane, and a known number of bits: "BM" alone begins many texts.
        (rb"BM.{12}\x0c\0{3}.{4}\x01\0[\x01\x04\x08\x18]\0", "bmp"),
        (rb"BM.{12}[\x28\x34\x38\x40\x6c\x7c]\0{3}.{8}\x01\0[\x01\x04\x08\x10\x18\x20]\0", "bmp"),
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


@cache
def readable(name: str) -> bool:
    """Return whether photos of the format `name`, a key of `FORMATS`, can be read by this installation.

    A HEIF file coded with AV1 is AVIF in this sense, whatever its suffix.
    """
    format = FORMATS[name]
    if format.loader is None:
        return all(find_spec(package) is not None for package in format.packages)
    from fdikp.imaging._vips import has_operation

    return has_operation(f"{format.loader}load_source")


SUFFIXES = frozenset(
    suffix
    for format in FORMATS.values()
    if all(find_spec(package) is not None for package in format.packages)
    for suffix in format.suffixes
)
"""Suffixes (lower case, with the dot) of photos in a folder. Those of a format that needs an extra are included only if
the extra is installed: such files often lie beside a JPEG of the same photo."""


def writable_suffixes() -> str:
    """The first suffix of each format that fdikp writes, for messages.

    >>> writable_suffixes()
    '.jpg, .png, .tif, .webp, .avif'
    """
    return ", ".join(format.suffixes[0] for format in FORMATS.values() if format.writable)


def is_photo_path(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` has the suffix of a photo that can be read, in any case. The file is not opened."""
    name = format_of_suffix(path)
    return name is not None and readable(name)


def format_of_suffix(path: str | os.PathLike[str]) -> str | None:
    """Return the format that the suffix of `path` stands for; None if it stands for none."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()  # noqa: PTH122 - no Path needed
    return next((name for name, format in FORMATS.items() if suffix in format.suffixes), None)
