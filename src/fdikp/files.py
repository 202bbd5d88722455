"""Write files atomically: at every moment a name stands for the old file or for the complete new one."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; it replaces `path` when the block ends, and is removed if the block fails.

    The file is synced before it is renamed. A symbolic link stays a link: the file that it points to is replaced.
    """
    final = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(final), f".fdikp-{secrets.token_hex(8)}.part")  # noqa: PTH118, PTH120
    try:
        with open(temporary, "x+b") as file:  # noqa: PTH123
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
