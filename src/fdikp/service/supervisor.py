"""Start the worker of a service, start it again whenever it dies, and delete old jobs."""

import contextlib
import logging
import multiprocessing
import sqlite3
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from fdikp.errors import FdikpError
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.worker import READY, LoadEngine, load_network, locked, run_worker

LOCK = "service.lock"
"""Name of the file in the data folder that a service locks."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
"""A worker that dies is started again after so many seconds: twice as many after each start that did not succeed."""

EXPIRE_SECONDS = 60.0
"""How often old jobs are deleted."""

GRACE_SECONDS = 5.0
"""How much longer than `drain_seconds` a worker may take to stop before it is killed."""

log = logging.getLogger(__name__)


class Supervisor:
    """The worker of a service, as its web process sees it.

    Args:
        settings: of the service.
        store: of the same folder.
        load_engine: a function of a module, which the worker loads its models with.
    """

    def __init__(self, settings: ServiceSettings, store: JobStore, load_engine: LoadEngine = load_network) -> None:
        self._settings = settings
        self._store = store
        self._load_engine = load_engine
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._held = contextlib.ExitStack()
        self._thread: threading.Thread | None = None
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self.restarts = 0
        """How often a worker died and was started again."""
        self.error: str | None = None
        """Why the last worker could not start, in one line; None if it could."""

    def start(self) -> None:
        """Delete what a crash has left, and start the worker; it is ready a few seconds later.

        Raises:
            FdikpError: another service uses the same folder.
        """
        try:
            self._held.enter_context(locked(self._settings.data / LOCK, wait=False))
        except BlockingIOError:
            raise FdikpError(
                f"{self._settings.data}: another service uses this folder",
                hint="stop it, or choose another data folder",
            ) from None
        self._store.sweep()
        self._start_worker()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether a worker runs and has loaded the default model."""
        return self._ready.is_set()

    @property
    def worker_pid(self) -> int | None:
        """The process ID of the worker; None if there is none now."""
        return self._process.pid if self._process is not None else None

    def wait_ready(self, seconds: float | None = None) -> bool:
        """Wait until the worker is ready; False if it is not after so many seconds."""
        return self._ready.wait(seconds)

    def stop(self) -> None:
        """End the worker: its running job may end within `drain_seconds`, and is else left for the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        process, pipe = self._process, self._pipe
        if process is not None and pipe is not None:
            with contextlib.suppress(OSError):
                pipe.send(self._settings.drain_seconds)
            process.join(self._settings.drain_seconds + GRACE_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
            pipe.close()
        self._process = None
        self._ready.clear()
        self._held.close()

    def _start_worker(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_worker, args=(self._settings, theirs, self._load_engine), name="fdikp worker"
        )
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours

    def _start_again(self) -> None:
        try:
            self._start_worker()
        except OSError as error:  # the system has no memory or process left
            log.error("the worker cannot be started: %s", error)
        else:
            self.restarts += 1

    def _watch(self) -> None:
        """Until the service stops: listen to the worker, start it again when it has died, and delete old jobs."""
        pause = FIRST_PAUSE
        expired = time.monotonic()
        while not self._stopping.is_set() and self._process is not None and self._pipe is not None:
            try:
                message = self._pipe.recv() if self._pipe.poll(0.1) else None
            except (EOFError, OSError):  # it has died
                self._ready.clear()
                self._pipe.close()
                self._process.join()
                log.error("the worker ended with code %s; it is started again", self._process.exitcode)
                self._process = None
                while self._process is None and not self._stopping.wait(pause):
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self._start_again()
                continue
            if message == READY:
                self.error, pause = None, FIRST_PAUSE
                self._ready.set()
            elif message is not None:
                self.error = message
                log.error("the worker cannot start: %s", message)
            if time.monotonic() > expired + EXPIRE_SECONDS:
                expired = time.monotonic()
                try:
                    self._store.expire(self._settings.keep)
                except (FdikpError, sqlite3.Error, OSError) as error:
                    log.error("old jobs cannot be deleted: %s", error)
        self._store.close()
