"""The callbacks by which a caller follows an inference and stops it. Imports no torch."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called after each tile with the number of finished tiles and the number of all tiles. An exception that it raises
ends the inference and reaches the caller."""

Cancel = Callable[[], bool]
"""Asked before each tile whether to stop. The inference then raises `fdikp.errors.Cancelled`."""
