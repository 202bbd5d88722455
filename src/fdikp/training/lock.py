"""A lock on a run's folder: two processes would overwrite each other's checkpoints."""

import contextlib
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from fdikp.errors import TrainingError
from fdikp.files import cannot_be_written

if sys.platform != "win32":  # Windows has no such lock
    import fcntl

LOCK_FILE = "run.lock"


class RunLock(AbstractContextManager["RunLock"]):
    """Held by the process that trains in a folder. The system releases it when the process ends, however it ends.

    Raises:
        TrainingError: on entering, if another process holds the lock or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def __enter__(self) -> "RunLock":
        if sys.platform == "win32":
            return self
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / LOCK_FILE).open("a+")
        except OSError as error:
            raise TrainingError(cannot_be_written(self._folder, error)) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise TrainingError(
                f"{self._folder}: process {holder(self._folder)} is training here; wait for it, stop it, or give "
                "another output="
            ) from None
        except OSError:  # a file system without locks
            return self
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file:
            self._file.close()


def holder(folder: Path) -> int | None:
    """The ID of the process that trains in a folder; None if there is none, or if the system cannot tell."""
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError, ValueError), (folder / LOCK_FILE).open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read())
    return None
