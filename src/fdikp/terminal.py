"""Markdown documents drawn on a terminal by rich: tables in columns that fit its width, and no value cut off."""

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

GAP = 2
"""Columns of the terminal between two columns of a table."""


def draw(text: str) -> None:
    """Draw headings, tables, lists and sentences in Markdown on stdout, as wide as the terminal.

    A table whose words do not fit beside each other is drawn as a list of its rows. The terminal itself wraps other
    lines. Nothing is shortened.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    with console.capture() as drawn:
        for part in _parts(text, console):
            console.print(part, soft_wrap=not isinstance(part, Table))
    # What the terminal's encoding lacks must not stop the program
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(drawn.get().encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)


def cells(line: str) -> list[str]:
    r"""The cells of a row of a Markdown table.

    >>> cells(r"| a | x\|y | |")
    ['a', 'x|y', '']
    """
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def column_widths(rows: Sequence[Sequence[str]], available: int) -> list[int] | None:
    """Widths with which columns fit beside each other and no word is broken; None if there are none.

    The widest columns become narrower first.

    >>> column_widths([["name", "a long text"], ["x", "1,234"]], 12)
    [4, 6]
    >>> column_widths([["name", "a long text"], ["x", "1,234"]], 10) is None
    True
    """
    from rich.cells import cell_len

    columns = list(zip(*rows, strict=True))
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    widths = [max(map(cell_len, column)) for column in columns]
    available -= GAP * (len(columns) - 1)
    if sum(least) > available:
        return None
    while sum(widths) > available:
        wrapped = [n for n, width in enumerate(widths) if width > least[n]]
        widths[max(wrapped, key=widths.__getitem__)] -= 1
    return widths


def _parts(text: str, console: "Console") -> "Iterator[RenderableType]":
    from rich.text import Text

    for is_table, lines in groupby(text.rstrip("\n").split("\n"), lambda line: line.startswith("|")):
        if is_table:
            head, _, *rows = map(cells, lines)
            yield from _table(head, rows, console.width)
            continue
        for line in lines:
            if line.startswith("#") or re.fullmatch(r"\*\*.+\*\*", line):
                yield Text(line.strip("#* "), style="bold")
            elif line.startswith("- "):
                yield Text(line.removeprefix("- "), style="dim")
            else:
                yield Text(line)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> "Iterator[RenderableType]":
    """The table in columns, or else a list of head and value for each row."""
    from rich.table import Table
    from rich.text import Text

    everything = [head, *rows]
    widths = column_widths(everything, width)
    if widths is not None:
        wraps = widths != column_widths(everything, sys.maxsize)
        grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        for n, name in enumerate(head):
            numbers = all(re.match(r"[+−×-]?\d|–$|$", row[n]) for row in rows)
            grid.add_column(Text(name), width=widths[n], justify="right" if n and numbers else "left", overflow="fold")
        for n, row in enumerate(rows):
            if n and wraps:
                grid.add_row()
            grid.add_row(*map(Text, row))
        yield grid
        return
    widest = min(max(map(len, head)), width // 2 - GAP)
    for n, row in enumerate(rows):
        grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        grid.add_column(style="bold", width=widest, overflow="fold")
        grid.add_column(overflow="fold")
        for name, cell in zip(head, row, strict=True):
            if cell:
                grid.add_row(Text(name), Text(cell))
        yield grid
        if n < len(rows) - 1:
            yield ""
