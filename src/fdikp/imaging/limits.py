"""Limits and scales shared by several modules: the largest image, and the white level of each sample type."""

from fdikp.errors import TooManyPixelsError

MAX_PIXELS = 200_000_000
"""Default limit on the number of pixels that a file may declare."""


def white_level(dtype: str) -> float:
    """Return the value of full intensity for a sample type, given by its name in numpy or torch.

    >>> white_level("uint8"), white_level("uint16"), white_level("float32")
    (255.0, 65535.0, 1.0)
    """
    if "float" in dtype:
        return 1.0
    return {"uint8": 255.0, "uint16": 65535.0}[dtype]


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise TooManyPixelsError if a file declares more than `max_pixels` pixels."""
    if width * height > max_pixels:
        error = TooManyPixelsError(
            f"declares {width} × {height} pixels, more than the limit of {max_pixels / 1e6:g} million",
            hint="raise max_pixels if you trust the file",
        )
        error.pixels = width * height
        raise error
