"""Run jobs in this process: one photo, or many with reading, restoring and writing side by side."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from fdikp.errors import Cancelled, PhotoError
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.jobs import steps
from fdikp.jobs.engine import Engine
from fdikp.jobs.pipeline import pipeline
from fdikp.jobs.plan import path_identity, with_output
from fdikp.jobs.request import DeblurRequest, DeblurResult
from fdikp.jobs.steps import DecodedPhoto, RestoredPhoto

MAX_AHEAD = 192 * 2**20
"""Bytes of pixels, about three photos of 21 megapixels in 8 bits: while more are in memory no further photo is read.
So a folder takes at most twice this, as results are as large, beyond what its largest photo takes."""


def run(
    request: DeblurRequest, engine: Engine, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> DeblurResult:
    """Restore one photo.

    Args:
        request: what to do.
        engine: the model, such as `fdikp.load_model()`.
        progress: called after each tile with the number of finished tiles and of all tiles.
        cancel: asked before each tile and before the result is written; True ends the job.

    Returns:
        What came of it. A fault of the photo or of its files does not raise: `status` is then `failed`, and `error`
        and `code` say why.

    Raises:
        Cancelled: `cancel` returned True; no file was written.
    """
    restored = steps.restore(steps.read(request), engine, progress=progress, cancel=cancel)
    _check(cancel)
    return steps.write(restored)


def run_all(
    jobs: Sequence[DeblurRequest | DeblurResult],
    load_engine: Callable[[], Engine],
    finished: Callable[[DeblurResult], object],
    *,
    started: Callable[[DeblurRequest], object] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    max_ahead: int = MAX_AHEAD,
) -> None:
    """Restore many photos: the next one is read, and the result before written, while the network works on one.

    Args:
        jobs: what to do, as `plan_jobs` returns it; results of inputs that cannot be used are passed on to `finished`.
        load_engine: loads the model, in this thread, when the first photo needs it.
        finished: called with the result of each job, in their order, from the thread that writes.
        started: called when the network begins with a photo.
        progress: called after each tile of that photo.
        cancel: asked before each photo and each tile.
        max_ahead: the next photo is read only while the pixels in memory take no more than this, in bytes.

    Raises:
        Cancelled: `cancel` returned True. What the network had finished is written and reported.
        FdikpError: `load_engine` failed.
    """
    jobs = _named(jobs)
    taken = _taken(jobs)  # only the reading thread uses it, and only the writing thread `written`
    written = _WrittenFiles()
    engine = cache(load_engine)

    def read(job: DeblurRequest | DeblurResult) -> tuple[DeblurRequest | None, DecodedPhoto | DeblurResult]:
        if isinstance(job, DeblurResult):
            return None, job
        decoded = steps.read(job, taken)
        if isinstance(decoded, DecodedPhoto):
            job = decoded.request
            taken.update((path_identity(path), job.source) for path in job.outputs)
        return job, decoded

    def restore(
        item: tuple[DeblurRequest | None, DecodedPhoto | DeblurResult],
    ) -> tuple[DeblurRequest | None, RestoredPhoto | DeblurResult]:
        request, decoded = item
        _check(cancel)
        if isinstance(decoded, DeblurResult):
            return request, decoded
        model = engine()
        if started is not None:
            started(decoded.request)
        return request, steps.restore(decoded, model, progress=progress, cancel=cancel)

    def write(item: tuple[DeblurRequest | None, RestoredPhoto | DeblurResult]) -> None:
        request, restored = item
        output = restored.output if isinstance(restored, DeblurResult) and restored.output else None
        output = output or (request.output if request is not None else None)
        if request is not None and output is not None and output in written:
            error = PhotoError(
                f"{request.source}: {output} was just written for another photo",
                code="output_collision",
                hint="deblur them separately",
            )
            result = DeblurResult.failed(request.source, error, restored.seconds)
        else:
            result = steps.write(restored)
            if result.status == "ok" and result.output is not None:
                written.add(result.output)
        finished(result)

    pipeline(jobs, read, restore, write, weight=lambda item: _pixel_bytes(item[1]), max_weight=max_ahead)


def dry_run(jobs: Sequence[DeblurRequest | DeblurResult]) -> Iterator[DeblurResult]:
    """What `run_all` would do, as far as headers and names tell. No model is loaded and nothing is written.

    Args:
        jobs: what to do, as `plan_jobs` returns it.

    Yields:
        The result of each job, in their order. The status of a photo that would be restored is `planned`.
    """
    jobs = _named(jobs)
    taken = _taken(jobs)
    for job in jobs:
        result = steps.check(job, taken) if isinstance(job, DeblurRequest) else job
        if result.status == "planned" and result.output is not None:
            taken[path_identity(result.output)] = result.input
        yield result


def _named(jobs: Sequence[DeblurRequest | DeblurResult]) -> list[DeblurRequest | DeblurResult]:
    """The jobs with all results named."""
    return [with_output(job) if isinstance(job, DeblurRequest) else job for job in jobs]


def _taken(jobs: Sequence[DeblurRequest | DeblurResult]) -> dict[str, Path]:
    """By the identity of each file that the jobs write, the photo that it belongs to."""
    requests = [job for job in jobs if isinstance(job, DeblurRequest)]
    return {path_identity(path): request.source for request in requests for path in request.outputs}


class _WrittenFiles:
    """The files that a run has written: two names can stand for one file, as where case does not count."""

    def __init__(self) -> None:
        self._identities: set[tuple[int, int]] = set()

    def add(self, path: Path) -> None:
        self._identities.add(self._identity(path))

    def __contains__(self, path: Path) -> bool:
        return path.exists() and self._identity(path) in self._identities

    @staticmethod
    def _identity(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino


def _pixel_bytes(item: DecodedPhoto | DeblurResult) -> int:
    """Bytes of a photo's pixels and its mask; its result takes about as many again."""
    if isinstance(item, DeblurResult):
        return 0
    mask = item.selection.mask if item.selection is not None else None
    return item.photo.pixels.nbytes + (mask.nbytes if mask is not None else 0)


def _check(cancel: Cancel | None) -> None:
    if cancel is not None and cancel():
        raise Cancelled
