"""Which process trains in a folder. Two would overwrite each other's checkpoints."""

import contextlib
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from fdikp.errors import TrainingError
from fdikp.files import cannot_be_written

if sys.platform != "win32":  # which is without this protection
    import fcntl

NAME = "run.lock"


class RunLock(AbstractContextManager["RunLock"]):
    """Held by the process that trains in a folder; the system releases it when that process ends, however it does.

    Raises:
        TrainingError: on entering, if another process holds it, or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def __enter__(self) -> "RunLock":
        if sys.platform == "win32":
            return self
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / NAME).open("a+")
        except OSError as error:
            raise TrainingError(cannot_be_written(self._folder, error)) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = holder(self._folder)
            raise TrainingError(
                f"{self._folder}: process {other} trains here; wait for it, stop it, or give another --out"
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
    """The process that trains in a folder, or None if there is none, or none can be told."""
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError, ValueError), (folder / NAME).open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read())
    return None
