"""Writing a photo atomically: at every moment, the file is either the earlier one or the complete new one."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from fdikp.errors import PhotoError
from fdikp.files import atomic_write, cannot_be_written
from fdikp.imaging._vips import pyvips
from fdikp.imaging.encoding import encode
from fdikp.imaging.formats import FORMATS, format_of_suffix, writable_suffixes
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
    permissions: int | None = None,
) -> tuple[str, ...]:
    """Write a photo with its profile and metadata. An earlier file at `path` is replaced.

    The new file is written under a hidden name beside `path`, synced, and renamed at the end. If anything fails, the
    earlier file is unchanged.

    Args:
        photo: what to write.
        path: where to write it.
        format: a writable key of `fdikp.imaging.FORMATS`; by default the one that the suffix stands for.
        quality: 1 to 100, for lossy formats. By default a JPEG read from a JPEG keeps the quality of its source.
        strip: leave out EXIF, XMP and IPTC. The colour profile is kept.
        permissions: of the file; by default as the umask says.

    Returns:
        A sentence for each thing that could not be kept.

    Raises:
        PhotoError: the photo cannot be written; its code is `output_unwritable`.
    """
    name = printable_name(path)
    format = format or format_of_suffix(path)
    if format is None:
        raise PhotoError(
            f"{name}: its suffix is not one of a format that fdikp writes; use one of {writable_suffixes()}",
            code="output_unwritable",
        )
    try:
        with atomic_write(path, permissions) as file:
            notes = encode(photo, format, file, quality, strip)
    except PhotoError as error:
        raise error.located(name) from error.__cause__
    except OSError as error:
        raise PhotoError(cannot_be_written(name, error), code="output_unwritable") from error
    except ValueError as error:  # a NUL in the name
        raise PhotoError(f"{name}: is not a valid file name", code="output_unwritable") from error
    except pyvips.Error as error:
        raise PhotoError(f"{name}: cannot be written: {_reason(error)}", code="output_unwritable") from error
    return tuple(notes)


def encode_photo(photo: Photo, format: str, *, quality: int | None = None, strip: bool = False) -> bytes:
    """Return the bytes of the file that `write_photo` would write.

    Raises:
        PhotoError: the photo cannot be encoded.
    """
    file = io.BytesIO()
    try:
        encode(photo, format, file, quality, strip)
    except pyvips.Error as error:
        message = f"{FORMATS[format].title} encoding failed: {_reason(error)}"
        raise PhotoError(message, code="output_unwritable") from error
    return file.getvalue()


def output_format(photo: Photo) -> tuple[str, str]:
    """Return the default (format, suffix) of a result: those of the source, if fdikp writes its format.

    Otherwise PNG for a BMP, TIFF for more than 8 bits (including RAW), PNG for a GIF, a JPEG XL or a photo with
    transparency, else JPEG.
    """
    source = FORMATS[photo.format]
    if source.writable:
        format = photo.format
    elif photo.format == "bmp":
        format = "png"
    elif photo.pixels.dtype != np.uint8:
        format = "tiff"
    else:
        format = "png" if photo.alpha is not None else source.result
    return format, FORMATS[format].suffixes[0]


def _reason(error: pyvips.Error) -> str:
    """Return the first line of libvips' error message."""
    lines = [line.strip() for line in error.detail.splitlines() if line.strip()]
    return lines[0] if lines else "the encoder failed"
