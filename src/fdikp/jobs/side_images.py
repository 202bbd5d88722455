"""The images that a job writes beside its result: the blur map, and the photo beside the result."""

from pathlib import Path

import numpy as np

from fdikp.imaging import Metadata, Photo


def write_blur_map(values: np.ndarray, path: Path, name: str) -> None:
    """Write a blur map [H, W], in pixels, as a PNG with its scale.

    Args:
        values: the dilation at each pixel.
        path: the file to write.
        name: the photo's, for the title.
    """
    from fdikp.imaging import write_photo
    from fdikp.plots import analysis

    write_photo(Photo(analysis.blur_map(values, f"Blur map of {name}")), path, format="png")


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
