"""The images that a job writes beside its result: blur radius, confidence, and the photo beside the result."""

from pathlib import Path

import numpy as np

from fdikp import __version__
from fdikp.imaging import Metadata, Photo

BLUR_MAP_STEPS = 256
"""Steps of a pixel in a blur map's file: its samples are the blur radius in units of 1/256 pixel."""

_LARGEST = 65535


def write_blur_map(radius: np.ndarray, path: Path) -> None:
    """Write the blur radius [H, W] as a PNG of one channel and 16 bits, in units of 1/256 pixel.

    65535 stands for 255.996 pixels and more. The unit is stated in the file's text.

    Args:
        radius: of the circle of confusion at each pixel, in pixels of the photo.
        path: the file to write.
    """
    samples = np.rint(radius * np.float32(BLUR_MAP_STEPS)).clip(0, _LARGEST).astype(np.uint16)
    what = (
        f"Blur map: radius of the circle of confusion in pixels of the photo = sample / {BLUR_MAP_STEPS}; "
        f"{_LARGEST} means {_LARGEST / BLUR_MAP_STEPS:.3f} pixels or more"
    )
    _write_map(samples, path, {"Description": what, "Unit": f"1/{BLUR_MAP_STEPS} pixel"})


def write_confidence_map(confidence: np.ndarray, path: Path) -> None:
    """Write a confidence [H, W] in 0..1 as a PNG of one channel and 8 bits: 255 is certain.

    Args:
        confidence: how certain the blur radius is at each pixel.
        path: the file to write.
    """
    samples = np.rint(confidence * np.float32(255)).clip(0, 255).astype(np.uint8)
    what = "Confidence of the blur map = sample / 255: 0 is unknown, 255 is certain"
    _write_map(samples, path, {"Description": what, "Unit": "1/255"})


def _write_map(samples: np.ndarray, path: Path, texts: dict[str, str]) -> None:
    """Write samples [H, W] as a grey PNG with text chunks, which `exiftool` and Pillow's `Image.text` show."""
    from fdikp.imaging import write_photo

    texts = {**texts, "Software": f"fdikp {__version__}"}
    chunks = tuple((b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in texts.items())
    write_photo(Photo(samples[..., np.newaxis], metadata=Metadata(png_chunks=chunks)), path, format="png")


def write_blur_map_figure(radius: np.ndarray, confidence: np.ndarray | None, path: Path, name: str) -> None:
    """Write a drawing of the blur radius [H, W], in pixels, with its scale, as a PNG.

    Args:
        radius: of the circle of confusion at each pixel.
        confidence: how certain it is, [H, W] in 0..1: uncertain parts are hatched.
        path: the file to write.
        name: the photo's, for the title.
    """
    from fdikp.imaging import write_photo
    from fdikp.plots import analysis

    write_photo(Photo(analysis.blur_map(radius, f"Blur map of {name}", confidence)), path, format="png")


def write_comparison(before: np.ndarray, after: Photo, path: Path) -> None:
    """Write a photo and its result side by side as a JPEG, in the photo's colour profile.

    Args:
        before: pixels of the photo [H, W, C].
        after: the result.
        path: the file to write.
    """
    from fdikp.imaging import write_photo
    from fdikp.plots import analysis

    image = analysis.side_by_side(before, after.pixels)
    write_photo(Photo(image, metadata=Metadata(icc=after.metadata.icc)), path, format="jpeg", quality=92)
