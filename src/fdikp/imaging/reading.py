"""Reading a photo: format by content, size check before decoding, no damaged data, pixels upright."""

from __future__ import annotations

import io
import mmap
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fdikp.errors import PhotoError, PhotoNotFoundError
from fdikp.imaging import exif, heic, jpeg, jxl, png, tiff, webp
from fdikp.imaging._vips import pyvips
from fdikp.imaging.bmp import read_bmp
from fdikp.imaging.colour import as_grey_or_rgb, fit_float_range, kept_profile
from fdikp.imaging.formats import FORMATS, HEAD_BYTES, format_of_suffix, readable, sniff
from fdikp.imaging.limits import MAX_PIXELS, check_size
from fdikp.imaging.metadata import Metadata
from fdikp.imaging.names import printable_name
from fdikp.imaging.photo import Photo, blank_photo
from fdikp.imaging.raw import read_raw

# Levels of libvips' `fail_on`, tested on damaged files and on valid files with oddities:
# - "truncated" reads a TIFF cut in half, or with a damaged strip, as a half-black image;
# - "error" rejects every truncated file, every wrong PNG checksum and invalid TIFF strips (libtiff does not check
#   deflate's checksums), and reads all the oddities tried: damaged text chunks, invalid ICC profiles, unknown TIFF
#   tags, bytes after the end, an invalid EXIF block;
# - "warning" rejects some of those oddities, but is the only level that detects a JPEG damaged in the middle.
# So JPEG uses "warning"; if that fails, the file is read once more with its header repaired.
_FAIL_ON = {"jpeg": "warning"}

# Formats that libvips does not read.
_READERS: dict[str, Callable[[BinaryIO, int, bool], Photo]] = {
    "bmp": read_bmp,
    "heic": heic.read_heic,
    "jxl": jxl.read_jxl,
    "raw": read_raw,
}

_DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}


def read_photo(
    source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS, header_only: bool = False
) -> Photo:
    """Read a photo.

    The content determines the format, not the name. Of several pages or frames, the first is read. A JPEG XL that was
    made from a JPEG without loss is read as that JPEG.

    Args:
        source: a path, or the bytes of a file.
        max_pixels: largest number of pixels that the file may declare; checked before decoding.
        header_only: do not decode. Size, channels and depth are those of the photo; the pixels are all 0 and take no
            memory, and there is no metadata. Damage after the header is not detected.

    Raises:
        PhotoError: the source is missing, not a photo, damaged, or has more pixels than `max_pixels`.
    """
    name = "image data" if isinstance(source, (bytes, bytearray, memoryview)) else printable_name(source)
    try:
        with _open(source) as file:
            return _read(source, file, max_pixels, header_only)
    except PhotoError as error:
        raise error.located(name) from error.__cause__
    except FileNotFoundError as error:
        raise PhotoNotFoundError(f"{name}: no such file") from error
    except OSError as error:
        raise PhotoError(f"{name}: cannot be read: {error.strerror or error}", code="photo_unreadable") from error


def _open(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    """Open `source` for reading. `read_photo` adds the name of the file to the PhotoErrors raised here and below."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    try:
        if not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116 - before opening: opening a pipe would wait
            raise PhotoError("is not a file; give the photo itself", code="photo_unreadable")
        return open(source, "rb")  # noqa: PTH123 - the caller closes it
    except ValueError as error:
        raise PhotoError("is not a valid file name", code="photo_unreadable") from error


def _read(source: str | os.PathLike[str] | bytes, file: BinaryIO, max_pixels: int, header_only: bool) -> Photo:
    """Read the photo that is open as `file`."""
    head = file.read(HEAD_BYTES)
    kind = sniff(head)
    if kind is None:
        reason = "is empty" if not head else "is not a photo in a format that fdikp reads"
        if head and not isinstance(source, (bytes, bytearray, memoryview)) and format_of_suffix(source):
            reason = f"is named {Path(source).suffix}, but its content {reason}"
        hint = "give a JPEG, PNG, TIFF, WebP, AVIF, HEIC, JPEG XL, BMP or camera RAW file"
        raise PhotoError(reason, code="photo_unsupported", hint=hint)
    header = _tiff_header(file) if kind == "tiff" else None
    if header is not None and header.is_raw:
        kind = "raw"
    elif kind == "heic" and heic.codec(file) == heic.AV1:
        kind = "avif"
    elif kind == "jxl" and (inside := jxl.jpeg_inside(file, max_pixels)) is not None:
        return _read(inside, io.BytesIO(inside), max_pixels, header_only)
    if kind in _READERS:
        return _READERS[kind](file, max_pixels, header_only)
    try:
        image, samples, notes = _decode(_vips_source(source, header), kind, max_pixels, header_only)
    except pyvips.Error as error:
        if kind != "jpeg":
            raise _damaged(kind, error, header) from error
        try:
            repaired = _vips_source(jpeg.repaired(file), None)
            image, samples, notes = _decode(repaired, kind, max_pixels, header_only)
        except pyvips.Error:
            raise _damaged(kind, error) from error
    if samples is None:
        sideways = _orientation(image, kind) in exif.SIDEWAYS
        height, width = (image.width, image.height) if sideways else (image.height, image.width)
        return blank_photo((height, width, image.bands), _DTYPES[image.format], kind, tuple(notes))
    return _assemble(image, samples, notes, kind, file, header)


def _tiff_header(file: BinaryIO) -> tiff.TiffHeader:
    try:
        return tiff.read_header(file)
    except ValueError as error:
        raise _damaged("tiff", error) from error


def _damaged(kind: str, error: Exception, header: tiff.TiffHeader | None = None) -> PhotoError:
    """Return the error for a damaged file.

    libvips' message is kept only in the cause: it comes from a buffer shared by all threads, and may be about another
    file.
    """
    title = FORMATS[kind].title
    if header is not None and header.oddity:
        reason = f"is damaged, or has {header.oddity}, which this build of libvips cannot decode"
        hint = "convert it to a TIFF of 8 or 16 bits or 32-bit float"
        return PhotoError(reason, code="photo_damaged", hint=hint)
    reason = f"the {title} data is cut short, damaged or of an unknown kind"
    return PhotoError(reason, code="photo_damaged", hint="copy or export it again")


def _vips_source(source: str | os.PathLike[str] | bytes, header: tiff.TiffHeader | None) -> Any:
    """Make a libvips source. Unlike a file name, a source does not interpret `[...]` as loader options."""
    if header is not None and header.unassociate is not None:
        position, value = header.unassociate
        data: Any
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytearray(source)
        else:
            with open(source, "rb") as file:  # noqa: PTH123
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # the file itself does not change
        data[position : position + len(value)] = value
        return pyvips.Source.new_from_memory(data)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return pyvips.Source.new_from_memory(source)
    return pyvips.Source.new_from_file(os.fsencode(source))


def _decode(source: Any, kind: str, max_pixels: int, header_only: bool) -> tuple[Any, np.ndarray | None, list[str]]:
    """Decode a file. Return libvips' image (for its fields), samples [H, W, B], B = colours + alpha, and notes.

    With `header_only` there are no samples.
    """
    if not readable(kind):
        raise PhotoError(
            f"{FORMATS[kind].title} cannot be read by this build of libvips",
            code="photo_unsupported",
            hint="convert it to JPEG, PNG or TIFF",
        )
    level = _FAIL_ON.get(kind, "error")
    image = pyvips.Operation.call(f"{FORMATS[kind].loader}load_source", source, access="sequential", fail_on=level)
    check_size(image.width, image.height, max_pixels)
    image, notes = as_grey_or_rgb(image)
    if header_only:
        return image, None, notes
    samples = np.frombuffer(image.write_to_memory(), _DTYPES[image.format])
    return image, samples.reshape(image.height, image.width, image.bands), notes


def _assemble(
    image: Any, samples: np.ndarray, notes: list[str], kind: str, file: BinaryIO, header: tiff.TiffHeader | None
) -> Photo:
    """Build the Photo from samples and metadata."""
    orientation = _orientation(image, kind)
    samples = upright(samples, orientation)
    colours = 3 if samples.shape[2] >= 3 else 1
    pixels = np.ascontiguousarray(samples[..., :colours])
    alpha = np.ascontiguousarray(samples[..., colours]) if samples.shape[2] > colours else None
    scale, offset = fit_float_range(pixels, alpha, notes)
    coding = jpeg.read_coding(file) if kind == "jpeg" else None
    chunks, animated = png.read_chunks(file) if kind == "png" else ((), False)
    height, width = pixels.shape[:2]
    metadata = Metadata(
        icc=kept_profile(field(image, "icc-profile-data"), colours, notes),
        exif=exif.kept(header.exif if header else field(image, "exif-data"), width, height, notes),
        xmp=_xmp(image, orientation != 1 or kind == "avif"),
        iptc=header.iptc if header else None,
        photoshop=_photoshop(image),
        dpi=_dpi(image, orientation),
        bits=field(image, "bits-per-sample", 8),
        jpeg=coding,
        png_chunks=chunks,
        lossless=kind == "webp" and webp.is_lossless(file),
        compression=header.compression if header else None,
        float_scale=scale,
        float_offset=offset,
        premultiplied=bool(header and header.unassociate and alpha is not None),
    )
    pages = field(image, "n-pages", 1)
    if pages > 1:
        notes.append(f"First of {pages} {'pages' if kind == 'tiff' else 'frames'}; the others are left out.")
    if animated:
        notes.append("First frame of an animated PNG; the others are left out.")
    if coding and coding.multi_picture:
        notes.append("Additional images in the JPEG (gain map, depth map, stereo partner) are left out.")
    if header and header.compression is None:
        notes.append("The TIFF's lossy compression is replaced by deflate.")
    return Photo(pixels, alpha, kind, tuple(notes), metadata)


def _orientation(image: Any, kind: str) -> int:
    """The orientation of the decoded samples, as EXIF numbers it."""
    # AVIF's decoder has already rotated the image; an orientation tag that remains must not rotate it again.
    orientation: int = 1 if kind == "avif" else field(image, "orientation", 1)
    return orientation


def field(image: Any, name: str, default: Any = None) -> Any:
    """Return a metadata field of a libvips image, or `default` where it has none."""
    return image.get(name) if image.get_typeof(name) else default


def upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Return an upright view of samples [H, W, B] with an EXIF orientation (1 to 8; others count as 1)."""
    if orientation in exif.SIDEWAYS:
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _xmp(image: Any, was_rotated: bool) -> bytes | None:
    packet: bytes | None = field(image, "xmp-data")
    return exif.upright_xmp(packet) if packet and was_rotated else packet


def _photoshop(image: Any) -> bytes | None:
    """Photoshop's image resources, which libvips stores under this name for a TIFF, but as "IPTC" for a JPEG."""
    resources: bytes | None = field(image, "photoshop-data")
    if resources is None:
        iptc: bytes = field(image, "iptc-data", b"")
        prefix = jpeg.PHOTOSHOP_PREFIX
        resources = iptc.removeprefix(prefix) if iptc.startswith(prefix) else None
    return resources


def _dpi(image: Any, orientation: int) -> tuple[float, float] | None:
    """Resolution in pixels per inch, or None; libvips represents an unknown one as one pixel per millimetre."""
    if image.xres == 1 and image.yres == 1:
        return None
    dpi = image.xres * 25.4, image.yres * 25.4
    return dpi[::-1] if orientation in exif.SIDEWAYS else dpi
