"""HEIC, decoded through the extra dependency pillow-heif. Pillow itself does not learn the format."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

import numpy as np

from fdikp.errors import PhotoError
from fdikp.extras import install_hint
from fdikp.imaging import exif, nclx
from fdikp.imaging.avif import boxes
from fdikp.imaging.colour import kept_profile, widened
from fdikp.imaging.limits import check_size
from fdikp.imaging.metadata import Metadata
from fdikp.imaging.photo import Photo, blank_photo

AV1 = "AV1"
"""A HEIF file with this codec is AVIF, which libvips reads."""

_HEVC = "HEVC"

# Codecs by the type of the items that they code.
_CODECS = {
    b"hvc1": _HEVC, b"av01": AV1, b"jpeg": "JPEG", b"j2k1": "JPEG 2000", b"avc1": "AVC", b"vvc1": "VVC",
    b"evc1": "EVC", b"unci": "no compression",
}  # fmt: skip


def codec(file: BinaryIO) -> str | None:
    """Return the name of the codec of most images in a HEIF file (a photo consists of many tiles); None if unclear."""
    file.seek(0)
    data = file.read()
    try:
        ((meta, meta_end),) = boxes(data, 0, len(data))[b"meta"]
        ((items, items_end),) = boxes(data, meta + 4, meta_end)[b"iinf"]  # 4: version and flags
    except (KeyError, ValueError):
        return None
    first = items + (6 if data[items : items + 1] == b"\0" else 8)  # a count of 16 or 32 bits
    names = Counter[str]()
    for at, _ in boxes(data, first, items_end).get(b"infe", []):
        kind = at + (8 if data[at : at + 1] == b"\2" else 10)  # after numbers of 16 or 32 bits
        if name := _CODECS.get(data[kind : kind + 4]):
            names[name] += 1
    return names.most_common(1)[0][0] if names else None


def read_heic(file: BinaryIO, max_pixels: int, header_only: bool = False) -> Photo:
    """Read the primary image of a HEIC file: upright, 8 bits, or 16 if the file has more.

    With `header_only` it is not decoded; the pixels are then all 0.

    Raises:
        PhotoError: pillow-heif is missing, or the file is damaged, not coded with HEVC, or has more than `max_pixels`
            pixels.
    """
    name = codec(file)
    if name not in (None, _HEVC):
        reason = f"is a HEIF file with {name} in it, which fdikp does not read"
        raise PhotoError(reason, code="photo_unsupported", hint="convert it to JPEG or TIFF")
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError("HEIC needs pillow-heif", code="photo_unsupported", hint=install_hint("heic")) from error
    try:
        file.seek(0)
        images = pillow_heif.open_heif(file.read(), convert_hdr_to_8bit=False, hdr_to_16bit=False)
        width, height = images.size
        check_size(width, height, max_pixels)
        image = images[images.primary_index]
        if header_only:
            bands = {"L": 1, "I": 1, "LA": 2, "La": 2}.get(image.mode.partition(";")[0], 3 + image.has_alpha)
            dtype = np.uint16 if ";" in image.mode else np.uint8
            return blank_photo((height, width, bands), dtype, "heic")
        samples = np.asarray(image)
    except PhotoError:
        raise
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as error:
        reason = "the HEIC data is cut short, damaged or of an unknown kind"
        raise PhotoError(reason, code="photo_damaged", hint="copy or export it again") from error
    notes: list[str] = []
    if len(images) > 1:
        notes.append(f"The main one of {len(images)} images; the others are left out.")
    if image.info["depth_images"] or image.info.get("aux"):
        notes.append("Additional images in the HEIC (gain map, depth map, mattes) are left out.")
    return _assemble(image, samples, notes)


def _assemble(image: Any, samples: np.ndarray, notes: list[str]) -> Photo:
    """Build the Photo from decoded samples [H, W] or [H, W, B] and the file's metadata. The decoder has rotated both
    pixels and sizes, so that an orientation tag that remains says nothing."""
    info = image.info
    samples = np.atleast_3d(samples)
    if samples.dtype != np.uint8:
        samples = widened(samples, int(image.mode.rpartition(";")[2]))
    colours = 3 if samples.shape[2] >= 3 else 1
    alpha = np.ascontiguousarray(samples[..., colours]) if image.has_alpha else None
    pixels = np.ascontiguousarray(samples[..., :colours])
    height, width = pixels.shape[:2]
    numbers, profile = info.get("nclx_profile"), info.get("icc_profile")
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    if colours == 3 and numbers and not profile:
        profile, chunks = nclx.described(numbers, notes)
    metadata = Metadata(
        icc=kept_profile(profile, colours, notes),
        exif=exif.kept(info.get("exif"), width, height, notes),
        xmp=exif.upright_xmp(info["xmp"]) if info.get("xmp") else None,
        bits=info["bit_depth"],
        png_chunks=chunks,
        premultiplied=image.premultiplied_alpha,
    )
    return Photo(pixels, alpha, "heic", tuple(notes), metadata)
