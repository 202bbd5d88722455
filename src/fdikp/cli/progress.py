"""What moves on a terminal while photographs are worked on: one bar over files, one over the tiles of the current."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fdikp.cli.console import one_line


class Bars:
    """Progress on stderr if that is a terminal, else nothing. Use as a context.

    Args:
        files: how many there are.
        what: what they are.
        shown: False to show nothing in any case.
    """

    def __init__(self, files: int, what: str = "photographs", *, shown: bool = True) -> None:
        console = Console(stderr=True)
        self.shown = shown and console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            # A pipe on stdout is for results; rich would put them on its own console
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._files = self._progress.add_task(what, total=files, visible=files > 1)
        self._tiles = self._progress.add_task("", total=None, visible=False)

    def __enter__(self) -> "Bars":
        if self.shown:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave what is on the terminal as it is."""
        if self.shown:
            self._progress.update(self._tiles, visible=False)
            self._progress.stop()

    def begin(self, name: str) -> None:
        """A file's turn has come."""
        self._progress.reset(self._tiles, description=one_line(name), total=None, visible=True)

    def tile(self, done: int, total: int) -> None:
        """So many of its tiles are done."""
        self._progress.update(self._tiles, completed=done, total=total)

    def end(self, files: int = 1) -> None:
        """The file, or so many of them, are done with, one way or another."""
        self._progress.advance(self._files, files)

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
