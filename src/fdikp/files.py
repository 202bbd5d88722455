"""Writing files so that a file of that name is at every moment either the earlier one or the whole new one."""

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
    """Open a hidden file beside `path` that takes its place once the block ends, or vanishes if the block fails.

    The file is synced before it is renamed. A symbolic link stays one: the file it stands for is replaced.
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
    """The one line that says which file, why, and what to do.

    >>> cannot_be_written("a.png", OSError(errno.ENOSPC, "No space left on device"))
    'a.png: cannot be written: No space left on device; free some space or write elsewhere'
    """
    advice = _ADVICE.get(error.errno or 0)
    return f"{os.fspath(name)}: cannot be written: {error.strerror or error}" + (f"; {advice}" if advice else "")
