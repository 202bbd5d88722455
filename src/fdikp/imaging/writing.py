"""Writing a photograph so that a file of that name is at every moment either the earlier one or the whole new one."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from fdikp.errors import PhotoError
from fdikp.files import atomic_write, cannot_be_written
from fdikp.imaging._vips import pyvips
from fdikp.imaging.encoding import encode
from fdikp.imaging.formats import FORMATS, format_of_suffix
from fdikp.imaging.names import printable_name

if TYPE_CHECKING:
    from fdikp.imaging.photo import Photo


def write_photo(
    photo: Photo,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    quality: int | None = None,
    strip: bool = False,
) -> tuple[str, ...]:
    """Write `photo` to `path`, with its profile and metadata; an earlier file of that name is replaced.

    `format` is a writable key of `fdikp.imaging.FORMATS`, by default the one the suffix names. `quality` (1 to 100)
    replaces the default of lossy formats: for a JPEG that was read from a JPEG, the quality of that one. `strip`
    leaves out EXIF, XMP and IPTC; the colour profile stays. Returns a sentence for each thing that could not be
    kept. The new file is written under a hidden name beside `path`, synced, and renamed at the end; whatever goes
    wrong, the earlier file is untouched. Raises PhotoError, in one line.
    """
    name = printable_name(path)
    format = format or format_of_suffix(path)
    if format is None:
        raise PhotoError(f"{name}: its suffix names no format to write; use .jpg, .png, .tif, .webp or .avif")
    try:
        with atomic_write(path) as file:
            notes = encode(photo, format, file, quality, strip)
    except PhotoError as error:
        raise error.located(name) from error.__cause__
    except OSError as error:
        raise PhotoError(cannot_be_written(name, error)) from error
    except ValueError as error:  # a NUL in the name
        raise PhotoError(f"{name}: is not a possible file name") from error
    except pyvips.Error as error:
        raise PhotoError(f"{name}: cannot be written: {_reason(error)}") from error
    return tuple(notes)


def encode_photo(photo: Photo, format: str, *, quality: int | None = None, strip: bool = False) -> bytes:
    """Return the bytes of the file that `write_photo` would write. Raises PhotoError, in one line."""
    file = io.BytesIO()
    try:
        encode(photo, format, file, quality, strip)
    except pyvips.Error as error:
        raise PhotoError(f"{FORMATS[format].title} encoding failed: {_reason(error)}") from error
    return file.getvalue()


def output_format(photo: Photo) -> tuple[str, str]:
    """Return (format, suffix) that a result takes when none is asked for: the source's, where it can be written.

    Otherwise TIFF for deep pixels (RAW among them), PNG for a GIF or where there is transparency, else JPEG.
    """
    if FORMATS[photo.format].writable:
        format = photo.format
    elif photo.pixels.dtype != np.uint8:
        format = "tiff"
    else:
        format = "png" if photo.format == "gif" or photo.alpha is not None else "jpeg"
    return format, FORMATS[format].suffixes[0]


def _reason(error: pyvips.Error) -> str:
    """Cut libvips' words down to one line."""
    lines = [line.strip() for line in error.detail.splitlines() if line.strip()]
    return lines[0] if lines else "the encoder failed"
