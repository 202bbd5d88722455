"""Ending a run when a signal asks for it, between two steps."""

import signal
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any


class Stop(AbstractContextManager["Stop"]):
    """Turns the first SIGINT or SIGTERM into a request to end after this step; the second interrupts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
