"""The files that a job writes: whether it may, and what its result is named once the photo is known."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fdikp.errors import PhotoError, RequestError
from fdikp.imaging import FORMATS, Photo
from fdikp.imaging.formats import format_of_suffix, writable_suffixes
from fdikp.jobs.plan import path_identity
from fdikp.jobs.request import DeblurRequest


def check_format(request: DeblurRequest) -> None:
    """Raise RequestError if nothing says in which format to write the result."""
    format = request.format or format_of_suffix(output_of(request))
    if format is None or not FORMATS[format].writable:
        hint = f"use one of {writable_suffixes()}"
        raise RequestError(f"{request.output}: its extension names no format to write", hint=hint)


def may_write(request: DeblurRequest) -> bool:
    """Whether the result is to be made; False if it exists and is skipped.

    Raises:
        PhotoError: it exists and may not be replaced, or a file that is to be written is a folder.
    """
    source, output = request.source, output_of(request)
    if folder := next((path for path in (output, *request.side_images) if path.is_dir()), None):
        what = "its result" if folder == output else "its side image"
        raise PhotoError(
            f"{source}: {what} {folder} is a folder", code="output_unwritable", hint="choose another output"
        )
    if not source.exists():
        return True  # reading it tells what is wrong
    if not output.exists():
        present = [path for path in request.side_images if path.exists()]
        if present and request.existing == "refuse":
            hint = "replace it, or choose another output"
            raise PhotoError(f"{source}: {present[0]} exists", code="output_exists", hint=hint)
        return True  # side images without a result are of a run that was stopped
    if request.preview is not None and output.samefile(source):
        reason = f"{source}: would be replaced by its preview"
        raise PhotoError(reason, code="output_unwritable", hint="choose another output")
    if request.existing == "replace":
        return True
    if output.samefile(source):
        raise PhotoError(
            f"{source}: would be replaced by its result",
            code="output_is_input",
            hint="choose another output, or allow to replace it",
        )
    if request.existing == "skip":
        return False
    raise PhotoError(
        f"{source}: {output} exists", code="output_exists", hint="replace it, skip the photo, or choose another output"
    )


def with_actual_format(
    request: DeblurRequest, photo: Photo, taken: Mapping[str, Path]
) -> tuple[DeblurRequest, tuple[str, ...]]:
    """The request with the extension of the photo's actual format, whatever its name says, and a note about that."""
    from fdikp.imaging import output_format

    format, extension = output_format(photo)
    output = output_of(request)
    if not request.adapt_extension or format_of_suffix(output) == format:
        return request, ()
    output = output.with_suffix(extension)
    title = FORMATS[photo.format].title
    if path_identity(output) in taken:
        raise PhotoError(
            f"{request.source}: holds {title}, so its result would be {output}, "
            f"which is also the result of {taken[path_identity(output)]}",
            code="output_collision",
            hint="choose a format or correct its name",
        )
    reason = f"content is {title}"
    if format_of_suffix(request.source) == photo.format:  # its name is right, but its usual result cannot hold it
        reason = "photo has more than 8 bits" if photo.pixels.dtype != np.uint8 else "photo is partly transparent"
    return replace(request, output=output), (f"The {reason}, so the result is named {output.name}.",)


def check_folder(source: Path, path: Path) -> None:
    """Raise PhotoError if the folder of a file that is to be written cannot hold it or cannot be made."""
    folder = next(parent for parent in path.absolute().parents if parent.exists() or parent == parent.parent)
    if not folder.is_dir():
        reason = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"{folder} is not writable"
    else:
        return
    raise PhotoError(
        f"{source}: {path} cannot be written: {reason}", code="output_unwritable", hint="choose another output"
    )


def output_of(request: DeblurRequest) -> Path:
    """The name of the result, which `with_output` has filled in."""
    assert request.output is not None
    return request.output
