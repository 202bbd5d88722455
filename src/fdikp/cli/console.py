"""How every verb talks: results go to stdout, everything else to stderr, one line a message."""

import logging
import os
import sys
import traceback

from fdikp.errors import ArgumentError, FdikpError

# What the library logs is in the results that verbs report; a program without a handler would print it twice
logging.getLogger("fdikp").addHandler(logging.NullHandler())


class UsageError(FdikpError):
    """The command line asks for what cannot be; exit code 2."""


def one_line(text: object) -> str:
    r"""Text with control characters escaped: file names may hold newlines and terminal codes.

    >>> one_line("a\nb.jpg")
    'a\\x0ab.jpg'
    """
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def result(text: object) -> None:
    """Print one line of results, at once: a reader in a pipe waits for it."""
    line = one_line(text)
    # Names that are not valid in the terminal's encoding must not stop the run
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def problem(text: object) -> None:
    """Print one line to stderr."""
    print(f"fdikp: {one_line(text)}", file=sys.stderr, flush=True)


def explain(error: BaseException) -> str:
    """One line for an error. Our own say all; for those of the system, what a user can do is added.

    With FDIKP_DEBUG=1 in the environment an error that nobody foresaw prints its traceback too.
    """
    if isinstance(error, ArgumentError):
        flag = error.argument.replace("_", "-")
        return "; ".join(filter(None, (f"--{flag} {error.value}: {error.reason}", error.hint)))
    if isinstance(error, FdikpError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory; close other programs or choose a smaller --tile"
    if isinstance(error, OSError):
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        return f"{error.filename}: {reason}" if error.filename else reason
    if os.environ.get("FDIKP_DEBUG"):
        traceback.print_exception(error)
        return f"unexpected {type(error).__name__}: {error}"
    return f"unexpected {type(error).__name__}: {error} (FDIKP_DEBUG=1 shows where)"


def close_stdout() -> None:
    """Leave quietly after the reader of our output has gone: Python would complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
