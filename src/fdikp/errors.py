"""Errors a user can cause. Each message is one line that says what went wrong, where, and what to do."""


class FdikpError(Exception):
    """Base of every error that fdikp raises on purpose; the command line prints it as one line."""


class PhotoError(FdikpError):
    """A photograph cannot be read or written. The message names the file and the reason."""


class WeightsError(FdikpError):
    """A model's weights are unknown, damaged, or of another shape than the network."""
