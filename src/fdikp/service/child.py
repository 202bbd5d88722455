"""Run a function in a child process with limits on its memory, its time and the files that it writes.

A photo from a stranger is decoded by large libraries in C. In a child the worst that a file can do is to end it. The
children are forked from a server process that has the codecs loaded, which takes a few milliseconds. POSIX only.
"""

import contextlib
import math
import multiprocessing
import multiprocessing.connection
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, ParamSpec, TypeVar, cast

from fdikp.errors import FdikpError, PhotoError, as_fdikp_error

PRELOADED = ("fdikp.imaging.reading", "fdikp.imaging.writing", "fdikp.jobs.steps", "fdikp.service.codec")
"""Modules that the server process imports once."""

OPEN_FILES = 128
"""The most files that a child may have open."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Limits:
    """What a child may take."""

    memory: int
    """Address space, in bytes."""
    seconds: float
    """From its start to its result."""
    file_bytes: int = 0
    """The largest file that it may write, in bytes; 0 if it writes none."""


def run_limited(
    limits: Limits, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Call a function in a child process.

    Args:
        limits: of the child.
        function: a function of a module.
        args, kwargs: its arguments, which can be pickled.

    Returns:
        What it returned. Arrays in it come through a pipe without a further copy.

    Raises:
        FdikpError: the function raised it; or the child exceeded a limit (`over_memory_budget`, `timed_out`) or died
            (`photo_damaged`). Any other exception of the function becomes one too.
    """
    deadline = time.monotonic() + limits.seconds
    ours, theirs = _context().Pipe()
    with ours:
        child = _context().Process(target=_child, args=(theirs, limits))
        child.start()
        theirs.close()
        try:
            _send(ours, (function, args, kwargs))
            succeeded, value = _receive(ours, deadline)
        except (EOFError, OSError):  # the child is gone
            child.join(max(0.0, deadline - time.monotonic()))
            raise _death(child.exitcode, limits) from None
        finally:
            if child.exitcode is None:
                child.join(0.2)
                child.kill()
            child.join()
            child.close()
    if not succeeded:
        raise cast(FdikpError, value)
    return cast(_Result, value)


@cache
def _context() -> ForkServerContext:
    """The server process that children are forked from; it starts with the first child."""
    context = multiprocessing.get_context("forkserver")
    # A child imports the main module of this process again, and with the console script the command line
    main = ("fdikp.cli",) if "fdikp.cli" in sys.modules else ()
    context.set_forkserver_preload([*PRELOADED, *main])
    return context


def _child(pipe: Connection, limits: Limits) -> None:
    """Set the limits, then call what comes through the pipe and send what came of it."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a service that is stopped finishes its job
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing too much is an OSError
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, math.ceil(limits.seconds) * 4),  # several threads may work
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    outcome: tuple[bool, Any]
    try:
        function, args, kwargs = _receive(pipe, math.inf)
        outcome = True, function(*args, **kwargs)
    except Exception as error:
        fault = as_fdikp_error(error)
        outcome = False, _over_memory(limits) if fault.code == "out_of_memory" else fault
    with contextlib.suppress(BrokenPipeError):
        try:
            _send(pipe, outcome)
        except MemoryError:
            _send(pipe, (False, _over_memory(limits)))


def _send(pipe: Connection, value: object) -> None:
    """Send an object; the memory of its arrays is not copied."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    pipe.send_bytes(pickle.dumps((head, [part.nbytes for part in raw])))
    for part in raw:
        pipe.send_bytes(part)


def _receive(pipe: Connection, deadline: float) -> Any:
    """Receive what `_send` sent; its arrays can be written.

    Raises:
        FdikpError: nothing came in time.
    """

    def wait() -> None:
        left = deadline - time.monotonic()
        if not pipe.poll(None if math.isinf(left) else max(0.0, left)):
            raise _timed_out()

    wait()
    head, sizes = pickle.loads(pipe.recv_bytes())
    buffers = []
    for size in sizes:
        buffer = bytearray(size)
        wait()
        if size:
            pipe.recv_bytes_into(buffer)
        else:
            pipe.recv_bytes()
        buffers.append(buffer)
    return pickle.loads(head, buffers=buffers)


def _death(exitcode: int | None, limits: Limits) -> FdikpError:
    """The error for a child that ended without a result."""
    if exitcode is None or exitcode == -signal.SIGXCPU:
        return _timed_out()
    if exitcode == -signal.SIGKILL:  # how the system ends a process when memory runs out, and a child beyond its time
        return _over_memory(limits)
    return PhotoError("the photo cannot be processed: its codec died", code="photo_damaged", hint="save it again")


def _timed_out() -> FdikpError:
    return PhotoError("decoding or encoding took too long", code="timed_out", hint="send a smaller photo")


def _over_memory(limits: Limits) -> FdikpError:
    return PhotoError(
        f"decoding or encoding takes more than the {limits.memory // 2**20} MiB of memory that are allowed",
        code="over_memory_budget",
        hint="send a smaller photo",
    )
