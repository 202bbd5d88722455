"""The worker: the one process that has the network. It takes job after job from the store.

For each job it has the photo decoded in a child, restores a small copy for a preview, restores the photo tile by tile,
has the results written in a child, and publishes them. Between two tiles it looks whether the job was cancelled, and
first serves clients that wait for a small photo with an open request.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fdikp.allocator import configure_malloc
from fdikp.errors import Cancelled, FdikpError, as_fdikp_error
from fdikp.imaging.formats import format_of_suffix
from fdikp.jobs import DecodedPhoto, Engine, RestoredPhoto, steps
from fdikp.models.descriptor import SHIPPED
from fdikp.service import codec
from fdikp.service.catalogue import catalogue
from fdikp.service.job import URGENT, Job, StorageFullError
from fdikp.service.parameters import media_type
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore

if sys.platform != "win32":
    import fcntl

PREVIEW_SIDE = 1024
"""Long side of previews, in pixels. Photos that are not larger get none."""

POLL_SECONDS = 0.02
"""How often an idle worker looks for a job."""

FULL_DISK_SECONDS = 1.0
"""How often a worker looks whether a full disk has space again."""

LOCK = "worker.lock"
"""Name of the file in the data folder that the working process locks."""

READY = "ready"
"""What a worker sends when it has loaded the default model; anything else that it sends is an error."""

LoadEngine = Callable[[ServiceSettings, str], Engine]
"""Loads a model by the name of a shipped one or the path of its weights."""

log = logging.getLogger(__name__)


def load_network(settings: ServiceSettings, model: str) -> Engine:
    """Load the network of a model."""
    from fdikp.inference.load import load_model  # loads torch

    return load_model(model, settings.device, tile=settings.tile)


class Worker:
    """Works on the jobs of a store, in this process.

    Args:
        settings: of the service.
        store: of the same folder.
        load_engine: loads a model.
        checkpoint: called at the points of a job after which a crash must do no harm, with their names.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        store: JobStore,
        load_engine: LoadEngine = load_network,
        checkpoint: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._load_engine = load_engine
        self._checkpoint = checkpoint
        self._models = catalogue(settings)
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._stopping = threading.Event()
        self._stop_at = float("inf")

    def run(self) -> None:
        """Work until `stop` is called. What a dead worker left is done first."""
        self._store.recover()
        while not self._stopping.is_set():
            try:
                job = self._store.claim()
                if job is None:
                    self._stopping.wait(POLL_SECONDS)
                else:
                    self.work(job)
            except StorageFullError as error:
                log.error("%s; the worker goes on when there is space again", error)
                self._wait_for_space()

    def _wait_for_space(self) -> None:
        """Wait until the states of jobs can be written again, and put back the jobs that were given up."""
        while not self._stopping.wait(FULL_DISK_SECONDS):
            with contextlib.suppress(StorageFullError):
                self._store.recover(died=False)
                return

    def stop(self, seconds: float) -> None:
        """Take no further job, and put the running one back unless it ends within so many seconds."""
        self._stop_at = time.monotonic() + seconds
        self._stopping.set()

    def work(self, job: Job) -> None:
        """Do a job that was claimed: it ends, or it goes back into the queue if the worker is to stop.

        Raises:
            StorageFullError: the state of the job could not be written.
        """
        folder = self._store.folder(job.id)
        self._checkpoint("claimed")
        try:
            ended = self._store.publish(job, self._restored(job, folder))
        except StorageFullError:
            raise
        except Cancelled:
            ended = self._store.release(job)
        except Exception as error:
            fault = codec.job_error(as_fdikp_error(error), folder)
            if fault.code == "internal_error":
                log.error("job %s: %s", job.id, fault, exc_info=error)
            ended = self._store.fail(job, fault)
        if not ended:  # it was cancelled
            self._store.delete_files(job.id)
        self._checkpoint("ended")

    def load(self, name: str | None = None) -> Engine:
        """The engine of a model, the default one if None is named; those that were used last stay in memory.

        Raises:
            FdikpError: it cannot be loaded, or the service does not offer it.
        """
        name = name or next(iter(self._models))
        if name not in self._models:
            raise FdikpError(
                f"{name}: the service has no such model",
                code="model_unknown",
                hint=f"choose one of {', '.join(self._models)}",
            )
        if name not in self._engines:
            while len(self._engines) >= self._settings.loaded_models:
                self._engines.popitem(last=False)
            model = name if name in SHIPPED else str(self._models[name].path)
            self._engines[name] = self._load_engine(self._settings, model)
        self._engines.move_to_end(name)
        return self._engines[name]

    def _restored(self, job: Job, folder: Path) -> dict[str, Any]:
        """Restore a photo and write all files of its job; what is known of the result.

        Raises:
            Cancelled: the job was cancelled, or the worker is to stop.
            FdikpError: the photo cannot be restored.
        """
        engine = self.load(job.parameters.model)
        maps = job.parameters.maps and self._models[job.parameters.model].blur_calibration is not None
        decoded = codec.decode(folder, job.parameters, self._settings, mask=job.has_mask, maps=maps)
        self._checkpoint("decoded")
        if self._needs_preview(job, decoded, folder):
            self._write_preview(job, decoded, engine)
        self._store.begin_tiles(job)
        restored = steps.restore(
            decoded,
            engine,
            progress=lambda done, total: self._tile_done(job, done, total),
            cancel=lambda: self._cancelled(job),
        )
        self._checkpoint("restored")
        if not isinstance(restored, RestoredPhoto):
            error = codec.error_of(restored)
            raise StorageFullError(str(error)) if error.code == StorageFullError.default_code else error
        if self._cancelled(job):
            raise Cancelled
        result = codec.write_result(restored, decoded.photo if job.parameters.display else None, self._settings)
        self._checkpoint("written")
        assert result.output is not None
        format = format_of_suffix(result.output)
        assert format is not None
        return {
            "files": codec.files_of(result, folder),
            "media_type": media_type(format),
            "width": result.width,
            "height": result.height,
            "tiles": result.tiles,
            "seconds": result.seconds,
            "notes": [codec.in_client_words(note, folder) for note in result.notes],
            "model": result.model,
            "weights_sha256": result.weights_sha256,
        }

    @staticmethod
    def _needs_preview(job: Job, decoded: DecodedPhoto, folder: Path) -> bool:
        large = max(decoded.photo.width, decoded.photo.height) > PREVIEW_SIDE
        return job.parameters.preview and large and not (folder / codec.PREVIEW).exists()  # from an attempt before

    def _write_preview(self, job: Job, decoded: DecodedPhoto, engine: Engine) -> None:
        from fdikp.imaging.resize import shrunk  # loads libvips

        scale = PREVIEW_SIDE / max(decoded.photo.width, decoded.photo.height)
        small = engine.restore(
            shrunk(decoded.photo, PREVIEW_SIDE),
            strength=decoded.request.strength,
            selection=decoded.selection.scaled(scale) if decoded.selection is not None else None,
            blur_map=False,
            progress=None,
            cancel=lambda: self._cancelled(job),
        )
        codec.write_preview(small.photo, self._store.folder(job.id), self._settings)
        self._checkpoint("previewed")

    def _tile_done(self, job: Job, done: int, total: int) -> None:
        self._store.progress(job, done, total)
        while job.priority < URGENT and not self._stopping.is_set():
            urgent = self._store.claim(least_priority=URGENT)
            if urgent is None:
                break
            self.work(urgent)

    def _cancelled(self, job: Job) -> bool:
        """Whether to leave a job: it was cancelled, or the worker is to stop now."""
        return time.monotonic() > self._stop_at or not self._store.holds(job)


def run_worker(settings: ServiceSettings, pipe: Connection, load_engine: LoadEngine = load_network) -> None:
    """Be the worker process of a service: `Supervisor` starts it.

    It sends `READY`, or an error in one line before it ends. When it receives a number of seconds it stops within them.
    When the other end of the pipe closes, because its process died, it ends at once: its job is then done again.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group; the supervisor says when to stop
        signal.signal(number, signal.SIG_IGN)
    configure_malloc()
    store = JobStore.of(settings)
    worker = Worker(settings, store, load_engine)

    def watch() -> None:
        try:
            while True:
                worker.stop(pipe.recv())
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        with locked(settings.data / LOCK):
            worker.load()
            pipe.send(READY)
            worker.run()
    except FdikpError as error:
        with contextlib.suppress(OSError):
            pipe.send(str(error))
        sys.exit(1)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, which the system releases when the process ends, however it ends.

    Raises:
        BlockingIOError: another process holds it, and `wait` is false.
    """
    with path.open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
