"""File names in messages."""

from __future__ import annotations

import os


def printable_name(path: str | os.PathLike[str]) -> str:
    """Return a file name that fits on one line: escaped if it holds line breaks or other control characters."""
    name = os.fspath(path)
    return name if name.isprintable() else ascii(name)
