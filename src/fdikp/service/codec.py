"""The files of a job: each function here reads or writes photos in a child process with limits (`child`)."""

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from fdikp.errors import ErrorCode, FdikpError
from fdikp.imaging import Photo, output_format, read_photo, write_photo
from fdikp.imaging.formats import FORMATS
from fdikp.imaging.limits import white_level
from fdikp.jobs import DeblurResult, DecodedPhoto, RestoredPhoto, steps
from fdikp.service.child import Limits, run_limited
from fdikp.service.parameters import MASK, SOURCE, JobParameters
from fdikp.service.settings import ServiceSettings

PREVIEW = "preview.png"
BEFORE = "before.png"
DISPLAY = "display.png"
BLUR_MAP = "blur_map.png"
BLUR_MAP_FIGURE = "blur_map_figure.png"
CONFIDENCE = "confidence.png"

RESULT_BYTES = 2**32
"""The largest file that is written."""


@dataclass(frozen=True)
class Header:
    """What a photo declares."""

    format: str
    """A key of `fdikp.imaging.FORMATS`."""
    width: int
    height: int


class JobError(FdikpError):
    """A fault of a job, in words for its client: no path of the service is in it."""


def inspect(path: Path, settings: ServiceSettings) -> Header:
    """What the photo in a file declares; its pixels are not decoded.

    Raises:
        JobError: it is no photo, or larger than the service allows.
    """
    return _run(_limits(settings), path.parent, _inspect, path, settings.max_pixels)


def decode(
    folder: Path, parameters: JobParameters, settings: ServiceSettings, *, mask: bool, maps: bool
) -> DecodedPhoto:
    """Read the photo of a job, and its mask.

    Args:
        folder: of the job.
        parameters: of the job.
        settings: of the service, for the limits.
        mask: whether there is one.
        maps: whether to write the maps of blur radius and confidence beside the result.

    Raises:
        JobError: the photo or its mask cannot be read, or is larger than the service allows.
    """
    return _run(_limits(settings), folder, _decode, folder, parameters, settings.max_pixels, mask, maps)


def write_preview(photo: Photo, folder: Path, settings: ServiceSettings) -> None:
    """Write a small photo for browsers as the preview of a job."""
    _run(_limits(settings, RESULT_BYTES), folder, _write_display, photo, folder / PREVIEW)


def write_result(restored: RestoredPhoto, before: Photo | None, settings: ServiceSettings) -> DeblurResult:
    """Write the result of a job and its maps; with `before`, also photo and result for browsers.

    Raises:
        JobError: a file cannot be written.
    """
    folder = restored.request.source.parent
    return _run(_limits(settings, RESULT_BYTES), folder, _write_result, restored, before, folder)


def files_of(result: DeblurResult, folder: Path) -> Mapping[str, str]:
    """By what it is, the name of each file that a job has written in its folder."""
    names = {
        "display": DISPLAY,
        "before": BEFORE,
        "preview": PREVIEW,
        "blur_map": BLUR_MAP,
        "blur_map_figure": BLUR_MAP_FIGURE,
        "confidence": CONFIDENCE,
    }
    assert result.output is not None
    return {"result": result.output.name} | {what: name for what, name in names.items() if (folder / name).exists()}


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _run(
    limits: Limits,
    folder: Path,
    function: Callable[_Arguments, _Result],
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Result:
    """Call a function in a child; its errors become ones for the client of the job."""
    try:
        return run_limited(limits, function, *args, **kwargs)
    except FdikpError as error:
        raise job_error(error, folder) from error


def _limits(settings: ServiceSettings, file_bytes: int = 0) -> Limits:
    return Limits(settings.decode_memory, settings.decode_seconds, file_bytes)


def in_client_words(text: str, folder: Path) -> str:
    """A message without the paths of a job's files.

    >>> in_client_words("data/jobs/1/source: is empty", Path("data/jobs/1"))
    'the photo: is empty'
    """
    for path, words in (
        (f"{folder / SOURCE}", "the photo"),
        (f"its mask {folder / MASK}", "its mask"),
        (f"{folder / MASK}", "the mask"),
    ):
        text = text.replace(path, words)
    return text.replace(f"{folder}/", "")


_HINTS: Mapping[ErrorCode, str] = {
    "too_many_pixels": "send a smaller photo",
    "over_memory_budget": "send a smaller photo",
}
"""What a client can do, where the error says what the operator could."""


def job_error(error: FdikpError, folder: Path) -> JobError:
    """An error in words for the client of a job."""
    if error.code == "output_unwritable" and os.strerror(errno.ENOSPC) in str(error):
        return JobError("the disk of the service is full", code="storage_full", hint="try again later")
    message = in_client_words(str(error), folder)
    if error.hint:
        message = message.removesuffix(f"; {error.hint}")
    return JobError(message, code=error.code, hint=_HINTS.get(error.code, error.hint))


def error_of(result: DeblurResult) -> FdikpError:
    """The error that a failed result reports."""
    error, hint = result.error or "", result.hint or ""
    return FdikpError(error.removesuffix(f"; {hint}") if hint else error, code=result.code, hint=hint)


# What runs in the child


def _inspect(path: Path, max_pixels: int) -> Header:
    photo = read_photo(path, max_pixels=max_pixels, header_only=True)
    return Header(photo.format, photo.width, photo.height)


def _decode(folder: Path, parameters: JobParameters, max_pixels: int, mask: bool, maps: bool) -> DecodedPhoto:
    request = replace(parameters.request(folder, mask=mask), max_pixels=max_pixels, existing="replace")
    format: str | None = request.format
    if format is None:
        format = output_format(read_photo(request.source, max_pixels=max_pixels, header_only=True))[0]
    request = replace(request, output=folder / f"result{FORMATS[format].suffixes[0]}")
    if maps:
        request = replace(
            request,
            blur_map=folder / BLUR_MAP,
            blur_map_figure=folder / BLUR_MAP_FIGURE,
            confidence_map=folder / CONFIDENCE,
        )
    decoded = steps.read(request)
    if isinstance(decoded, DeblurResult):
        raise error_of(decoded)
    return decoded


def _write_result(restored: RestoredPhoto, before: Photo | None, folder: Path) -> DeblurResult:
    if before is not None:
        _write_display(before, folder / BEFORE)
        _write_display(restored.photo, folder / DISPLAY)
    result = steps.write(restored)
    if result.status == "failed":
        raise error_of(result)
    return result


def _write_display(photo: Photo, path: Path) -> None:
    """Write a photo in 8 bits and without metadata, but with its colour profile, as a PNG: every browser shows it."""
    samples = [_in_8_bits(samples) if samples is not None else None for samples in (photo.pixels, photo.alpha)]
    assert samples[0] is not None
    write_photo(replace(photo, pixels=samples[0], alpha=samples[1]), path, strip=True)


def _in_8_bits(samples: np.ndarray) -> np.ndarray:
    if samples.dtype == np.uint8:
        return samples
    scale = np.float32(255 / white_level(samples.dtype.name))
    return np.rint(samples * scale).clip(0, 255).astype(np.uint8)
