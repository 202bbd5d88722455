"""Collecting the faults of many files, so that all of them are reported at once, before any work begins."""

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from PIL import Image

from fdikp.errors import DataError

MAX_SHOWN = 5
"""Faults that a message lists; it counts the others."""

DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on files that are not images, or that are damaged."""

T = TypeVar("T")
R = TypeVar("R")


def try_map(function: Callable[[T], R], items: Sequence[T]) -> list[R | DataError]:
    """Apply a function to each item, in threads.

    Returns:
        The results in the order of the items; where the function raised a DataError, that error.
    """

    def attempt(item: T) -> R | DataError:
        try:
            return function(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        return list(pool.map(attempt, items))


def map_all(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply a function to each item, in threads; results in the order of the items.

    Raises:
        DataError: the function raised a DataError for some items. One message lists them.
    """
    results = try_map(function, items)
    raise_faults([str(result) for result in results if isinstance(result, DataError)])
    return [result for result in results if not isinstance(result, DataError)]


def raise_faults(faults: Sequence[str]) -> None:
    """Raise one DataError for all faults, with every fault in its `faults`; do nothing if there are none."""
    if faults:
        more = f"; and {len(faults) - MAX_SHOWN} more such faults" if len(faults) > MAX_SHOWN else ""
        raise DataError("; ".join(faults[:MAX_SHOWN]) + more, faults)


def unreadable(file: Path, error: BaseException) -> DataError:
    """The DataError for a file whose reading failed with one of `DECODE_ERRORS`."""
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
    if "cannot identify" in reason:
        reason = "not an image"
    return DataError(f"{file}: cannot be read: {reason}; copy it again or remove it")
