"""Reading and writing photos without losing depth, colour profile, EXIF, orientation or transparency.

>>> from fdikp.imaging import read_photo
>>> photo = read_photo("holiday.jpg")                  # doctest: +SKIP
>>> photo.with_pixels(255 - photo.pixels).save("negative.jpg")  # doctest: +SKIP

Importing this module is cheap: libvips is loaded when a photo is first read or written.
"""

from typing import TYPE_CHECKING

from fdikp._lazy import attach
from fdikp.imaging.formats import FORMATS, SUFFIXES, is_photo_path

_LAZY = {
    "Metadata": "fdikp.imaging.metadata",
    "Photo": "fdikp.imaging.photo",
    "as_unit": "fdikp.imaging.photo",
    "read_photo": "fdikp.imaging.reading",
    "encode_photo": "fdikp.imaging.writing",
    "output_format": "fdikp.imaging.writing",
    "write_photo": "fdikp.imaging.writing",
}

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Metadata",
    "Photo",
    "as_unit",
    "encode_photo",
    "is_photo_path",
    "output_format",
    "read_photo",
    "write_photo",
]

if TYPE_CHECKING:
    from fdikp.imaging.metadata import Metadata
    from fdikp.imaging.photo import Photo, as_unit
    from fdikp.imaging.reading import read_photo
    from fdikp.imaging.writing import encode_photo, output_format, write_photo

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
