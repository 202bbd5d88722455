"""Write files atomically: at every moment a name stands for the old file or for the complete new one."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

_ADVICE = {
    errno.ENOSPC: "free some space or write elsewhere",
    errno.EDQUOT: "free some space or write elsewhere",
    errno.EFBIG: "write to another disk",
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "write elsewhere",
    errno.EISDIR: "give the name of a file",
    errno.EACCES: "write elsewhere",
    errno.EPERM: "write elsewhere",
    errno.EROFS: "write elsewhere",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@dataclass(frozen=True)
class FileAttributes:
    """What a file system keeps of a file besides its content."""

    permissions: int
    """Who may read, write and run it, as the nine bits of POSIX."""

    accessed_ns: int
    """When it was last read, in nanoseconds since 1970."""

    modified_ns: int
    """When it was last written, in nanoseconds since 1970."""


def attributes_of(path: str | os.PathLike[str]) -> FileAttributes | None:
    """The attributes of a file; None if it cannot be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 (a name may hold what no Path can)
    except (OSError, ValueError):
        return None
    return FileAttributes(status.st_mode & 0o777, status.st_atime_ns, status.st_mtime_ns)


def set_permissions(path: str | os.PathLike[str], permissions: int) -> None:
    """Set the permissions of a file where the file system has any; never set-user-ID, set-group-ID and sticky bits."""
    if os.name == "posix":
        with suppress(OSError):
            os.chmod(path, permissions & 0o777)  # noqa: PTH101


@contextmanager
def atomic_write(path: str | os.PathLike[str], permissions: int | None = None) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; it replaces `path` when the block ends, and is removed if the block fails.

    The file is synced before it is renamed. A symbolic link stays a link: the file that it points to is replaced.

    Args:
        path: the file.
        permissions: of the file, from the moment it exists, whatever the umask is. None: as the umask says.
    """
    final = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(final), f".fdikp-{secrets.token_hex(8)}.part")  # noqa: PTH118, PTH120
    try:
        with open(temporary, "x+b") as file:  # noqa: PTH123
            if permissions is not None:
                set_permissions(temporary, permissions)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, final)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def cannot_be_written(name: str | os.PathLike[str], error: OSError) -> str:
    """The line of an error for a file that cannot be written: which file, why, and what to do.

    >>> cannot_be_written("a.png", OSError(errno.ENOSPC, "No space left on device"))
    'a.png: cannot be written: No space left on device; free some space or write elsewhere'
    """
    advice = _ADVICE.get(error.errno or 0)
    return f"{os.fspath(name)}: cannot be written: {error.strerror or error}" + (f"; {advice}" if advice else "")
