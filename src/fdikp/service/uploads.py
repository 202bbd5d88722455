"""The photo and the mask of a request, written to files while they arrive."""

import asyncio
import os
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request

from fdikp.service.options import Options, with_fields
from fdikp.service.parameters import MASK, SOURCE
from fdikp.service.problems import Problem
from fdikp.service.store import JobStore, disk_errors

MAX_FIELD_BYTES = 4096
"""The largest field of a form that is not a file."""

MAX_FIELDS = 32
"""The most such fields."""

COPIED_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """What a request carries. Its files are the caller's no longer when the block of `received` ends."""

    options: Options
    photo: Path | None
    mask: Path | None


@asynccontextmanager
async def received(request: Request, options: Options, store: JobStore) -> AsyncIterator[Upload]:
    """Receive the body of a request: a photo, or a form with `image`, `mask` and options.

    The files lie in a folder of the store, so that a job takes them over without a copy.

    Args:
        request: its body is a photo, or multipart/form-data.
        options: those of the query.
        store: of the jobs.

    Raises:
        Problem: the form is malformed, or an option is given twice.
        StorageFullError: the disk is full.
    """
    given = Counter(name for name, _ in request.query_params.multi_items() if name != "region")
    if twice := [name for name, count in given.items() if count > 1]:
        raise Problem("request_invalid", f"{twice[0]} is given twice", "give it once")
    declared = request.headers.get("content-length", "")
    store.check_space(int(declared) if declared.isdigit() else 0)
    folder = uploads_folder(store.data) / secrets.token_hex(16)
    paths: dict[str, Path] = {}
    try:
        with disk_errors():
            folder.mkdir(mode=0o700)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "multipart/form-data":
                options = await _form(request, options, folder, paths)
            else:
                if await _raw(request, folder / SOURCE):
                    paths["image"] = folder / SOURCE
        yield Upload(options, paths.get("image"), paths.get("mask"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def uploads_folder(data: Path) -> Path:
    """The folder for files that arrive; it is made if it is missing."""
    folder = data / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sweep_uploads(data: Path) -> None:
    """Delete what a service that was killed had received in part."""
    for path in uploads_folder(data).iterdir():
        shutil.rmtree(path, ignore_errors=True)


async def _raw(request: Request, path: Path) -> int:
    """Write the body to a file; its size in bytes."""
    size = 0
    with path.open("xb") as file:
        async for chunk in request.stream():
            file.write(chunk)
            size += len(chunk)
        await asyncio.to_thread(_sync, file.fileno(), file.flush)
    return size


async def _form(request: Request, options: Options, folder: Path, paths: dict[str, Path]) -> Options:
    """Write the files of a form, and return its options."""
    async with request.form(max_files=2, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
        fields: list[tuple[str, str]] = []
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                if name in ("image", "mask"):
                    raise Problem("request_invalid", f"{name} is not a file", "send it as a file, with a file name")
                fields.append((name, value))
            elif name not in ("image", "mask") or name in paths:
                raise Problem("request_invalid", "the form may have two files", "name them image and mask, once each")
            else:
                paths[name] = folder / (SOURCE if name == "image" else MASK)
                await asyncio.to_thread(_copy, value, paths[name])
        return with_fields(options, fields)


def _copy(source: UploadFile, path: Path) -> None:
    with path.open("xb") as file:
        while chunk := source.file.read(COPIED_BYTES):
            file.write(chunk)
        _sync(file.fileno(), file.flush)


def _sync(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)
