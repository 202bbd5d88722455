"""Errors a user can cause. Each message is one line that says what went wrong, where, and what to do."""

from collections.abc import Sequence


class FdikpError(Exception):
    """Base of every error that fdikp raises on purpose; the command line prints it as one line."""


class PhotoError(FdikpError):
    """A photograph cannot be read or written. The message names the file and the reason."""


class WeightsError(FdikpError):
    """A model's weights are unknown, damaged, or of another shape than the network."""


class DataError(FdikpError):
    """Pictures or pairs to train or to measure on are missing, damaged or do not fit.

    The message is one line, which may leave faults out where there are many; `faults` has a line for each.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class TrainingError(FdikpError):
    """A run cannot begin or go on: a recipe that cannot be meant, a full disk, a loss that is not finite."""
