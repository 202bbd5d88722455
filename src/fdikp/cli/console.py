"""How every subcommand prints: results to stdout, everything else to stderr, one line a message."""

import contextlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from fdikp.errors import ArgumentError, MissingKernelsWarning, RequestError, as_fdikp_error
from fdikp.terminal import draw

DEBUG = "FDIKP_DEBUG"
"""The environment variable that makes unexpected errors print their tracebacks."""

FLAG_HINTS: dict[str, str] = {
    "out_of_memory": "close other programs or give a smaller --tile",
    "over_memory_budget": "give a larger --memory, with --tile 64 so that photos get all of it",
    "too_many_pixels": "raise the limit with --max-pixels if you trust the file",
    "output_exists": "give --overwrite, --skip-existing or another --output",
    "output_is_input": "give another --output or --suffix, or --overwrite",
    "output_collision": "give another --suffix, --format or --output, or deblur them separately",
    "output_unwritable": "give another --output or --suffix",
}
"""By the code of an error, the flags that help against it: they replace the hint of the library."""


class UsageError(RequestError):
    """The command line is wrong; exit code 2."""


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


def document(text: str, *, as_markdown: bool = False) -> None:
    """Print a document in Markdown, such as tables: drawn on a terminal, else as it is."""
    lines = [one_line(line) for line in text.rstrip("\n").split("\n")]
    if sys.stdout.isatty() and not as_markdown:
        draw("\n".join(lines))
    else:
        for line in lines:
            result(line)


def problem(text: object) -> None:
    """Print one line about the run to stderr."""
    status(f"fdikp: {text}")


def status(text: object) -> None:
    """Print one line to stderr as it is."""
    print(one_line(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def notes(*, shown: bool) -> Iterator[None]:
    """Within this context the warning about missing kernels is one line on stderr, or nothing if not `shown`."""
    with warnings.catch_warnings():
        if not shown:
            warnings.simplefilter("ignore", MissingKernelsWarning)
        show = warnings.showwarning

        def show_note(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, MissingKernelsWarning):
                problem(f"note: {message}")
            else:
                show(message, category, *where, **options)

        warnings.showwarning = show_note
        yield


def explain(error: Exception) -> str:
    """One line for an error, with the flags that help against it.

    With FDIKP_DEBUG=1 in the environment the traceback of an unexpected error is printed too.
    """
    fault = as_fdikp_error(error)
    if fault.code == "internal_error" and os.environ.get(DEBUG):
        traceback.print_exception(error)
    line = str(fault)
    if isinstance(fault, ArgumentError):
        flag = fault.argument.replace("_", "-")
        line = line.replace(f"{fault.argument}={fault.value!r}", f"--{flag} {fault.value}", 1)
    return with_flags(line, fault.code, fault.hint or None)[0]


@contextlib.contextmanager
def logged_tracebacks() -> Iterator[None]:
    """Within this context, and with FDIKP_DEBUG=1, errors that the library logs are printed with their tracebacks."""
    if not os.environ.get(DEBUG):
        yield
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    logger = logging.getLogger("fdikp")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def with_flags(line: str, code: str | None, hint: str | None) -> tuple[str, str | None]:
    """A line about an error, and its hint at the end, in terms of flags where there are any that help."""
    flags = FLAG_HINTS.get(code or "")
    if code == "internal_error" and not os.environ.get(DEBUG):
        line, hint, flags = f"{line}; ", "", f"set {DEBUG}=1 to see the traceback"
    if hint is None or flags is None:
        return line, hint
    return line.removesuffix(hint) + flags, flags


def close_stdout() -> None:
    """Leave quietly after the reader of our output has gone: Python would complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
