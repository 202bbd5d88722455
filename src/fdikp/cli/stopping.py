"""Ctrl-C and SIGTERM end a subcommand by an exception: temporary files are removed and what is done is reported."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: handled like Ctrl-C, apart from the exit code."""


def stop_code(stop: KeyboardInterrupt | int) -> int:
    """The exit code that shells expect of a program that was stopped by a signal, or by the exception it raised."""
    if isinstance(stop, int):
        return 128 + stop
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within this context SIGTERM raises `Terminated`, and no interruption is lost.

    libvips calls Python for every line of its log. An exception that a signal raises there cannot pass through C code:
    Python reports it as unraisable and drops it. The signal is then sent again a moment later.
    """
    former_handler, former_hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook

    def terminate(signum: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    def send_again(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            former_hook(unraisable)
            return
        signum = signal.SIGTERM if issubclass(unraisable.exc_type, Terminated) else signal.SIGINT
        timer = threading.Timer(0.02, signal.raise_signal, (signum,))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = send_again
    if former_handler is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        sys.unraisablehook = former_hook
        if former_handler is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, former_handler)
