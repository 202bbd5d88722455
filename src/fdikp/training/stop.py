"""Ends a run on a signal, between two steps."""

import signal
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any


class Stop(AbstractContextManager["Stop"]):
    """Turns the first SIGINT or SIGTERM into a request to stop after this step; a second one interrupts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
