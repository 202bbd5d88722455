"""What a run reports while it trains: lines of JSON, TensorBoard, a progress bar on a terminal."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from fdikp.extras import install_hint
from fdikp.files import atomic_write

LOG_FILE = "log.jsonl"


class Log:
    """The log of a run, a context manager.

    Each event is a line of JSON in log.jsonl, and on stdout unless a progress bar is shown. Numbers and images go to
    TensorBoard too, where it is installed. On a terminal, a progress bar on stderr shows the remaining time. A full
    disk does not stop the run: the log reports it once, and lines are lost.

    Args:
        folder: of the run.
        step: where the run continues; lines of later steps, from before an interruption, are removed.
        active: False in all but the first of several processes: nothing is written or printed.
        printed: False to write files only, where the caller reports progress itself.
        ends: False for a run without a budget, whose progress bar has no end.
    """

    def __init__(self, folder: Path, step: int, active: bool = True, printed: bool = True, ends: bool = True) -> None:
        self.active, self.printed = active, printed
        self._disk_full = False
        self._bar: _Bar | None = None
        self._board: Any = None
        if not active:
            return
        self._path = folder / LOG_FILE
        kept = [line for line in read_log(self._path) if line.get("step", 0) <= step] if step else []
        with atomic_write(self._path) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)
        self._bar = _Bar(ends) if printed and sys.stderr.isatty() else None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.say(f"no TensorBoard log: tensorboard is not installed; {install_hint('train')}")
        else:
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if self._board:
            self._guarded(self._board.close)

    def say(self, message: str) -> None:
        """Print one line on stderr."""
        if self._bar:
            self._bar.print(message)
        elif self.active and self.printed:
            print(f"fdikp: {message}", file=sys.stderr, flush=True)

    def write(self, step: int, **facts: Any) -> None:
        """Log an event: numbers by name, or nested groups of them. The time is added, in Unix seconds."""
        if not self.active:
            return
        line = json.dumps(
            {"step": step} | {name: _rounded(value) for name, value in facts.items()} | {"time": round(time.time(), 1)}
        )
        if self.printed and not self._bar:
            print(line, flush=True)

        def append() -> None:
            with self._path.open("a") as file:
                file.write(line + "\n")

        def chart() -> None:
            for tag, number in _flat(facts):
                if isinstance(number, int | float):
                    self._board.add_scalar(tag, number, step)

        self._guarded(append)
        if self._board:
            self._guarded(chart)

    def image(self, step: int, name: str, image: Tensor) -> None:
        """Add an image [3, H, W] in 0..1 to TensorBoard."""
        if self._board:
            self._guarded(lambda: self._board.add_image(name, image, step))

    def advance(self, done: float, text: str) -> None:
        """Move the progress bar to `done`, 0..1."""
        if self._bar:
            self._bar.update(done, text)

    def _guarded(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except OSError as error:
            if not self._disk_full:
                self.say(f"{self._path.parent}: the log cannot be written: {error.strerror or error}; free some space")
            self._disk_full = True


class _Bar:
    """A progress bar with the remaining time, on stderr."""

    def __init__(self, ends: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("training", total=1.0 if ends else None)
        self._progress.start()
        self.stop = self._progress.stop

    def update(self, done: float, text: str) -> None:
        self._progress.update(self._task, completed=done, description=text)

    def print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested groups, named by its path."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a log, without a line that a kill cut off."""
    lines: list[dict[str, Any]] = []
    if file.exists():
        for line in file.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                lines.append(json.loads(line))
    return lines


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
