"""Progress bars on a terminal: one over files, one over the tiles of the current file."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fdikp.cli.console import one_line


class Bars:
    """Shows progress on stderr if that is a terminal, else nothing. Use it as a context manager.

    Args:
        files: how many files there are.
        what: what to call them.
        shown: False shows nothing in any case.
    """

    def __init__(self, files: int, what: str = "photos", *, shown: bool = True) -> None:
        console = Console(stderr=True)
        self.shown = shown and console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            # Results go to stdout, which may be a pipe; rich would move them to its own console
            redirect_stdout=False,
            redirect_stderr=True,  # a note appears above the bars
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
        """Stop drawing; the bars stay as they are."""
        if self.shown:
            self._progress.update(self._tiles, visible=False)
            self._progress.stop()

    def begin(self, name: str) -> None:
        """Show the tiles of this file from now on."""
        self._progress.reset(self._tiles, description=one_line(name), total=None, visible=True)

    def tile(self, done: int, total: int) -> None:
        """Show how many tiles of the file are done."""
        self._progress.update(self._tiles, completed=done, total=total)

    def end(self, files: int = 1) -> None:
        """Count files as done, whether they failed or not."""
        self._progress.advance(self._files, files)

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
