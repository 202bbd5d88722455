"""Camera RAW, developed by LibRaw through the extra dependency rawpy."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from fdikp.errors import PhotoError
from fdikp.extras import install_hint
from fdikp.imaging import exif, jpeg, tiff
from fdikp.imaging._vips import pyvips
from fdikp.imaging.limits import check_size
from fdikp.imaging.metadata import Metadata
from fdikp.imaging.photo import Photo, blank_photo

_NOTE = "RAW is developed with the camera's white balance into 16-bit sRGB."


def read_raw(file: BinaryIO, max_pixels: int, header_only: bool = False) -> Photo:
    """Develop a RAW file: camera white balance, no automatic brightness, 16-bit sRGB, upright.

    With `header_only` it is not developed; the pixels are then all 0.

    Raises:
        PhotoError: rawpy is missing, or the file is damaged, unsupported, or has more than `max_pixels` pixels.
    """
    try:
        import rawpy
    except ImportError as error:
        raise PhotoError("camera RAW needs rawpy", code="photo_unsupported", hint=install_hint("raw")) from error
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            check_size(raw.sizes.width, raw.sizes.height, max_pixels)
            if header_only:
                height, width = raw.sizes.iheight, raw.sizes.iwidth
                if raw.sizes.flip & 4:
                    height, width = width, height
                return blank_photo((height, width, 3), np.uint16, "raw", (_NOTE,))
            pixels: np.ndarray = raw.postprocess(
                output_bps=16,
                use_camera_wb=True,
                no_auto_bright=True,  # it would clip highlights, and depend on the content
                output_color=rawpy.ColorSpace.sRGB,
                gamma=(2.4, 12.92),  # the sRGB curve; LibRaw's default is BT.709
            )
            block = _exif(file, raw, rawpy)
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        raise PhotoError(
            "the RAW data is cut short, damaged, or from a camera that LibRaw does not support",
            code="photo_damaged",
            hint="copy it again or convert it to DNG",
        ) from error
    pixels = np.ascontiguousarray(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels)
    height, width = pixels.shape[:2]
    profile: bytes = pyvips.Operation.call("profile_load", "srgb")
    metadata = Metadata(icc=profile, exif=exif.upright(block, width, height) if block else None, bits=16)
    return Photo(pixels, None, "raw", (_NOTE,), metadata)


def _exif(file: BinaryIO, raw: Any, rawpy: Any) -> bytes | None:
    """EXIF of a RAW file: from its own directories if it is a TIFF, else from its preview."""
    try:
        return tiff.read_header(file).exif
    except ValueError:
        pass
    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format != rawpy.ThumbFormat.JPEG:
        return None
    try:
        image = pyvips.Image.jpegload_source(pyvips.Source.new_from_memory(bytes(preview.data)))
    except pyvips.Error:
        return None
    block: bytes | None = image.get("exif-data") if image.get_typeof("exif-data") else None
    return block.removeprefix(jpeg.EXIF_PREFIX) if block else None
