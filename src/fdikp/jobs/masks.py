"""Masks: which file of a folder belongs to which photo, and its samples."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fdikp.errors import PhotoError, TooManyPixelsError
from fdikp.imaging.formats import format_of_suffix, is_photo_path
from fdikp.jobs.discover import InputPath
from fdikp.jobs.request import DeblurRequest

if TYPE_CHECKING:
    import numpy as np


def match_masks(inputs: Sequence[InputPath], folder: Path) -> list[Path | PhotoError]:
    """The mask of each photo in a folder: the image with the photo's name and any extension.

    It lies in the photo's place of the mirrored tree, or else directly in the folder. Photos in different places never
    share a mask that lies directly in the folder.

    Args:
        inputs: the photos.
        folder: the masks.

    Returns:
        One item for each input, in their order: its mask, or why there is none.
    """
    tree = _MaskFolder(folder)
    found = [tree.find(source) for source in inputs]
    places = defaultdict(set)
    for source, mask in zip(inputs, found, strict=True):
        if isinstance(mask, Path):
            places[mask].add(source.place.parent)

    def checked(source: InputPath, mask: Path | PhotoError) -> Path | PhotoError:
        if isinstance(mask, PhotoError) or len(places[mask]) < 2 or mask.parent == folder / source.place.parent:
            return mask
        hint = f"put its mask into {folder / source.place.parent}"
        return _unusable(source.path, f"has the same name as another photo, so {mask} may not be its mask", hint)

    return [checked(source, mask) for source, mask in zip(inputs, found, strict=True)]


class _MaskFolder:
    """Finds masks by name; each folder is listed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stems = cache(_images_by_stem)

    def find(self, source: InputPath) -> Path | PhotoError:
        """The mask of a photo, or why there is none."""
        name = source.place.name
        stem = Path(name).stem if format_of_suffix(name) else name
        places = dict.fromkeys((self.folder / source.place.parent, self.folder))
        for place in places:
            masks = self._stems(place).get(stem, [])
            if len(masks) == 1:
                return masks[0]
            if masks:
                several = " and ".join(map(str, masks))
                return _unusable(source.path, f"has several masks, {several}", "keep one of them")
        tried = " and ".join(str(place / f"{stem}.*") for place in places)
        return _unusable(source.path, f"has no mask; {tried} match no image", "add its mask, or leave out the photo")


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    """The images directly in a folder by their names without extension; none if it does not exist."""
    stems: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(filter(is_photo_path, folder.iterdir())):
            stems.setdefault(path.stem, []).append(path)
    return stems


def read_mask(request: DeblurRequest, max_pixels: int, header_only: bool = False) -> "np.ndarray":
    """The mask of a request, as `fdikp.imaging.selection.read_mask` reads it: [h, w], upright.

    Args:
        request: one with a mask.
        max_pixels: the most pixels that the mask may have.
        header_only: do not decode; the mask has the size of the file's and is black.

    Raises:
        PhotoError: the mask cannot be read; the message names photo and mask.
    """
    from fdikp.imaging import read_photo  # loads libvips
    from fdikp.imaging.selection import mask_of

    assert request.mask is not None
    try:
        mask = read_photo(request.mask, max_pixels=max_pixels, header_only=header_only)
    except PhotoError as error:
        reason = str(error).removesuffix(f"; {error.hint}")
        code = error.code if isinstance(error, TooManyPixelsError) else "mask_unusable"
        raise PhotoError(f"{request.source}: its mask {reason}", code=code, hint=error.hint) from error
    if (mask.metadata.float_scale, mask.metadata.float_offset) != (1, 0):
        raise _unusable(request.source, f"its mask {request.mask} has values outside 0..1", "rescale them")
    return mask.pixels[..., 0] if header_only else mask_of(mask)


def _unusable(source: Path, what: str, hint: str) -> PhotoError:
    return PhotoError(f"{source}: {what}", code="mask_unusable", hint=hint)
