"""The three steps of a job: read, restore, write.

Each step is a function from plain data to plain data, so that they can run in different processes or on different
machines that share a disk: what one returns can be pickled and given to the next. Only `restore` needs a model. A step
given a `DeblurResult`, which is what a photo that failed or was skipped becomes, returns it as it is.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fdikp.errors import (
    ArgumentError,
    Cancelled,
    ErrorCode,
    FdikpError,
    PhotoError,
    TooManyPixelsError,
    as_fdikp_error,
)
from fdikp.files import FileAttributes, attributes_of, cannot_be_written, set_permissions
from fdikp.imaging import Photo
from fdikp.imaging.formats import format_of_suffix
from fdikp.imaging.limits import white_level
from fdikp.imaging.photo import blank_photo
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.jobs.edit_record import SOFTWARE, edit_record
from fdikp.jobs.engine import Engine
from fdikp.jobs.masks import read_mask
from fdikp.jobs.memory import check_memory, declared_too_large, pixel_limit
from fdikp.jobs.outputs import check_folder, check_format, may_write, output_of, with_actual_format
from fdikp.jobs.plan import self_collision, with_output
from fdikp.jobs.request import DeblurRequest, DeblurResult
from fdikp.jobs.side_images import write_blur_map, write_blur_map_figure, write_comparison, write_confidence_map

if TYPE_CHECKING:
    from fdikp.imaging.selection import Selection

HARDLY_CHANGED = 0.2 / 255
"""A result whose samples differ from the photo's by less than this in the mean, on a scale of 0..1, gets a note."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """A photo that was read and is to be restored."""

    request: DeblurRequest
    """As it was given, but with the final name of the result."""
    photo: Photo
    """It is shrunk already, if the request asks for a preview."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    selection: "Selection | None" = None
    """What to restore, in pixels of `photo`; None for everything."""
    scale: float = 1.0
    """The size of `photo`, relative to the file."""
    attributes: FileAttributes | None = None
    """Permissions and dates of the photo's file, before it was read."""


@dataclass(frozen=True, eq=False)
class RestoredPhoto:
    """A restored photo that is to be written."""

    request: DeblurRequest
    photo: Photo
    """The result."""
    original: np.ndarray | None
    """Pixels of the photo [H, W, C], if the request asks for a comparison."""
    blur_map: np.ndarray | None
    """[H, W] float32, if the request asks for it: the blur radius in pixels of the photo's file, also of a preview."""
    tiles: int
    model: str
    weights_sha256: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    confidence_map: np.ndarray | None = None
    """[H, W] float32 in 0..1: how certain the blur radius is, if the request asks for it."""
    attributes: FileAttributes | None = None
    """Permissions and dates that the result takes over."""


_Outcome = TypeVar("_Outcome", bound="DecodedPhoto | RestoredPhoto | DeblurResult")


def read(request: DeblurRequest, taken: Mapping[str, Path] | None = None) -> DecodedPhoto | DeblurResult:
    """The first step: check that the result may be written, and read the photo.

    Args:
        request: what to do.
        taken: names of results that belong to other photos of the same run, as `plan.path_identity` gives them, with
            the photo that each belongs to. A result whose extension is adapted never takes one of them.

    Returns:
        The photo; or the result, if the photo failed or is skipped.
    """
    return _run_step(request.source, 0.0, lambda: _read(request, taken or {}))


def check(request: DeblurRequest, taken: Mapping[str, Path] | None = None) -> DeblurResult:
    """What the steps would do with a photo, as far as its header and the names of files tell. Nothing is written.

    Args:
        request: what to do.
        taken: see `read`.

    Returns:
        The result of a photo that is skipped or would fail; any other is `planned`.
    """
    return _run_step(request.source, 0.0, lambda: _check(request, taken or {}))


def restore(
    decoded: DecodedPhoto | DeblurResult,
    engine: Engine,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> RestoredPhoto | DeblurResult:
    """The second step: run the network.

    Args:
        decoded: what `read` returned.
        engine: the model.
        progress: called after each tile.
        cancel: asked before each tile.

    Returns:
        The restored photo; or the result, if the photo failed now or before.

    Raises:
        Cancelled: `cancel` returned True.
    """
    if isinstance(decoded, DeblurResult):
        return decoded
    return _run_step(decoded.request.source, decoded.seconds, lambda: _restore(decoded, engine, progress, cancel))


def write(restored: RestoredPhoto | DeblurResult) -> DeblurResult:
    """The third step: write the side images and then the result, so that where a result exists all of it does.

    If anything fails, none of the files is left; an earlier result stays. The whole result is in memory here: libvips
    cannot write alpha, metadata and all formats from bands of rows.

    Args:
        restored: what `restore` returned.
    """
    if isinstance(restored, DeblurResult):
        return restored
    return _run_step(restored.request.source, restored.seconds, lambda: _write(restored))


def _run_step(source: Path, seconds: float, step: Callable[[], _Outcome]) -> _Outcome | DeblurResult:
    """Run a step: an exception becomes the photo's failed result; the time is added to that of the steps before."""
    started = time.perf_counter()
    outcome: _Outcome | DeblurResult
    try:
        outcome = step()
    except Cancelled:
        raise
    except Exception as error:
        fault = as_fdikp_error(error)
        if fault.code == "internal_error":
            log.error("%s: %s", source, fault, exc_info=error)
        outcome = DeblurResult.failed(source, fault)
    return replace(outcome, seconds=round(seconds + time.perf_counter() - started, 3))


def _check(request: DeblurRequest, taken: Mapping[str, Path]) -> DeblurResult:
    decoded = _read(request, taken, header_only=True)
    if isinstance(decoded, DeblurResult):
        return decoded
    request, photo = decoded.request, decoded.photo
    replaced = [path.name for path in request.outputs if path.exists()]
    notes = (f"replaces the existing {' and '.join(replaced)}",) if replaced else ()
    return DeblurResult(
        request.source,
        request.output,
        "planned",
        width=photo.width,
        height=photo.height,
        notes=(*notes, *decoded.notes, *photo.notes),
        blur_map=request.blur_map,
        blur_map_figure=request.blur_map_figure,
        confidence_map=request.confidence_map,
        compare=request.compare,
    )


def _read(request: DeblurRequest, taken: Mapping[str, Path], header_only: bool = False) -> DecodedPhoto | DeblurResult:
    from fdikp.imaging import read_photo  # loads libvips

    request = with_output(request)
    if error := self_collision(request):
        raise error
    check_format(request)
    if not may_write(request):
        return _skipped(request)
    for path in request.outputs:
        check_folder(request.source, path)
    limit = pixel_limit(request)
    attributes = attributes_of(request.source)
    try:
        photo = read_photo(request.source, max_pixels=limit, header_only=header_only)
    except TooManyPixelsError as error:
        if limit < request.max_pixels:
            raise declared_too_large(request, error.pixels) from None
        raise
    check_memory(request, photo)
    adapted, notes = with_actual_format(request, photo, taken)
    if adapted is not request and not may_write(adapted):
        return _skipped(adapted, notes)
    return _selected(DecodedPhoto(adapted, photo, notes, attributes=attributes), header_only)


def _selected(decoded: DecodedPhoto, header_only: bool) -> DecodedPhoto:
    """The photo with what to restore of it, and at the size of a preview where the request asks for one."""
    request, photo = decoded.request, decoded.photo
    if request.selective:
        mask = read_mask(request, pixel_limit(request), header_only) if request.mask is not None else None
        check_memory(request, photo, mask)
        try:
            selection = request.selection(mask)
            selection.spatial_weights(photo.height, photo.width)
        except ArgumentError as error:
            raise _unfit(request, error) from None
        decoded = replace(decoded, selection=selection)
    if request.preview is None or request.preview >= max(photo.width, photo.height):
        return decoded
    from fdikp.imaging.resize import shrunk, shrunk_size  # loads libvips

    scale = request.preview / max(photo.width, photo.height)
    selected = decoded.selection.scaled(scale) if decoded.selection is not None else None
    if header_only:
        shape = (*shrunk_size(photo.height, photo.width, request.preview), photo.pixels.shape[2])
        photo = blank_photo(shape, photo.pixels.dtype.type, photo.format, photo.notes)
    else:
        photo = shrunk(photo, request.preview)
    return replace(decoded, photo=photo, selection=selected, scale=scale)


def _unfit(request: DeblurRequest, error: ArgumentError) -> PhotoError:
    """The error for a photo that its mask or a region does not fit."""
    what = f"its mask {request.mask}, {error.value}," if error.argument == "mask" else f"the region {error.value}"
    code: ErrorCode = "mask_unusable" if error.argument == "mask" else "request_invalid"
    return PhotoError(f"{request.source}: {what} {error.reason}", code=code, hint=error.hint)


def _skipped(request: DeblurRequest, notes: tuple[str, ...] = ()) -> DeblurResult:
    """The result of a photo whose result exists. A side image cannot be made without making the result again."""
    missing = [path.name for path in request.side_images if not path.exists()]
    if missing:
        names = " and ".join(missing)
        notes = (*notes, f"{names} would be written only together with the result; delete or replace the result")
    return DeblurResult(request.source, request.output, "skipped", notes=notes)


def _restore(decoded: DecodedPhoto, engine: Engine, progress: Progress | None, cancel: Cancel | None) -> RestoredPhoto:
    request, photo = decoded.request, decoded.photo
    restored = engine.restore(
        photo,
        strength=request.strength,
        selection=decoded.selection,
        blur_map=request.measures_blur,
        progress=progress,
        cancel=cancel,
    )
    return RestoredPhoto(
        request,
        restored.photo,
        photo.pixels if request.compare is not None else None,
        restored.blur_map if restored.blur_map is None else restored.blur_map / np.float32(decoded.scale),
        restored.tiles,
        engine.descriptor.name,
        engine.descriptor.sha256,
        (*decoded.notes, *photo.notes, *restored.notes, *_unchanged(request, photo.pixels, restored.photo.pixels)),
        confidence_map=restored.confidence_map,
        attributes=decoded.attributes,
    )


def _unchanged(request: DeblurRequest, before: np.ndarray, after: np.ndarray) -> tuple[str, ...]:
    """A note if a photo is restored as a whole and hardly changes."""
    if request.strength == 0 or request.selective or mean_change(before, after) >= HARDLY_CHANGED:
        return ()
    return ("The result hardly differs from the photo, which is probably in focus.",)


def mean_change(before: np.ndarray, after: np.ndarray) -> float:
    """The mean absolute difference of two images [H, W, C] of one type, on a scale of 0..1.

    >>> mean_change(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8))
    0.2
    """
    total = 0.0
    for y in range(0, len(before), 64):  # in bands: the differences of a whole photo would take much memory
        total += float(np.abs(after[y : y + 64].astype(np.float32) - before[y : y + 64]).sum(dtype=np.float64))
    return total / before.size / white_level(before.dtype.name)


def _write(restored: RestoredPhoto) -> DeblurResult:
    from fdikp.imaging import write_photo  # loads libvips

    request, attributes = restored.request, restored.attributes
    photo, unrecorded = _recorded(restored)
    output = output_of(request)
    written: list[Path] = []
    try:
        for path in (*request.side_images, output):
            path.parent.mkdir(parents=True, exist_ok=True)
        permissions = attributes.permissions if attributes else None
        for path in _write_side_images(restored):
            written.append(path)
            if permissions is not None:
                set_permissions(path, permissions)
        notes = write_photo(
            photo,
            output,
            format=request.format,
            quality=request.quality,
            strip=request.strip,
            permissions=permissions,
        )
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FdikpError):
            message = cannot_be_written(error.filename or output, error)
            raise PhotoError(message, code="output_unwritable") from error
        raise
    undated = _set_dates(output, attributes) if request.keep_dates and attributes else ()
    return DeblurResult(
        request.source,
        output,
        width=photo.width,
        height=photo.height,
        tiles=restored.tiles,
        notes=(*restored.notes, *notes, *unrecorded, *undated),
        blur_map=request.blur_map,
        blur_map_figure=request.blur_map_figure,
        confidence_map=request.confidence_map,
        compare=request.compare,
        model=restored.model,
        weights_sha256=restored.weights_sha256,
    )


def _write_side_images(restored: RestoredPhoto) -> Iterator[Path]:
    """Write the images that the request asks for, and yield the name of each that is written."""
    request, radius = restored.request, restored.blur_map
    if request.blur_map is not None and radius is not None:
        write_blur_map(radius, request.blur_map)
        yield request.blur_map
    if request.blur_map_figure is not None and radius is not None:
        write_blur_map_figure(radius, restored.confidence_map, request.blur_map_figure, request.source.name)
        yield request.blur_map_figure
    if request.confidence_map is not None and restored.confidence_map is not None:
        write_confidence_map(restored.confidence_map, request.confidence_map)
        yield request.confidence_map
    if request.compare is not None and restored.original is not None:
        write_comparison(restored.original, restored.photo, request.compare)
        yield request.compare


def _recorded(restored: RestoredPhoto) -> tuple[Photo, tuple[str, ...]]:
    """The result with the record of the edit in its XMP, and a note if that is not possible."""
    from fdikp.imaging.xmp import with_record

    request, photo = restored.request, restored.photo
    if request.strip:
        return photo, ()
    format = request.format or format_of_suffix(output_of(request)) or photo.format
    values = edit_record(request, restored.model, restored.weights_sha256)
    metadata, notes = with_record(photo.metadata, format, SOFTWARE, values)
    return replace(photo, metadata=metadata), notes


def _set_dates(output: Path, attributes: FileAttributes) -> tuple[str, ...]:
    """Give a result the dates of its photo; a note if the file system refuses."""
    try:
        os.utime(output, ns=(attributes.accessed_ns, attributes.modified_ns))
    except (OSError, OverflowError) as error:
        return (f"The dates of the photo's file could not be kept: {getattr(error, 'strerror', None) or error}.",)
    return ()
