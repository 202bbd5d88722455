"""The files of a job that a client can fetch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from starlette.responses import StreamingResponse

from fdikp.service.job import Job

PATTERNS = {
    "preview": "preview.*",
    "result": "result.*",
    "display": "display.*",
    "before": "before.*",
    "blur-map": "blur_map.png",
    "blur-map-figure": "blur_map_figure.png",
    "confidence": "confidence.png",
}
"""By name, the files in the folder of a job."""

WHEN_DONE = ("result", "display", "before", "blur-map", "blur-map-figure", "confidence")
"""What is fetched only from a job that is done: until then it may still be replaced by another attempt."""

MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".webp": "image/webp",
    ".avif": "image/avif",
}

CHUNK_BYTES = 256 * 1024


def artefact(job: Job, folder: Path, name: str) -> Path | None:
    """The file of a job under this name, a key of `PATTERNS`; None if there is none yet."""
    if name in WHEN_DONE and job.state != "done":
        return None
    return next((path for path in sorted(folder.glob(PATTERNS[name])) if path.suffix in MEDIA_TYPES), None)


def available(job: Job, folder: Path) -> list[str]:
    """The names under which a job has files."""
    return [name for name in PATTERNS if artefact(job, folder, name) is not None]


def file_response(file: BinaryIO, size: int, suffix: str, name: str, headers: Mapping[str, str]) -> StreamingResponse:
    """A response with an open file, which is closed at its end; the file may be deleted meanwhile.

    Args:
        file: to read.
        size: in bytes.
        suffix: of its name, a key of `MEDIA_TYPES`.
        name: under which a browser saves it, without suffix.
        headers: further headers.
    """
    disposition = f'attachment; filename="{name}{suffix}"'
    complete = {"Content-Length": str(size), "Content-Disposition": disposition, **headers}
    return StreamingResponse(_chunks(file), media_type=MEDIA_TYPES[suffix], headers=complete)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
