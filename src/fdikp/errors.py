"""The errors that fdikp raises on purpose, and its warning. Each is one line: what failed, where, and what to do.

Programs tell errors apart by `code`, which stays the same when a message is reworded.
"""

import copy
from collections.abc import Sequence
from typing import Literal, TypeVar

ErrorCode = Literal[
    "failed",  # none of the codes below
    "internal_error",  # a bug in fdikp or in a library that it uses
    "request_invalid",  # an option or a field has a value that is not allowed
    "cancelled",
    "out_of_memory",
    "over_memory_budget",  # does not fit into the memory that the caller allows
    "no_photo_found",  # a folder or a glob without a photo
    "photo_not_found",
    "photo_unreadable",  # the file is there and cannot be read: permissions, a pipe, a broken link
    "photo_unsupported",  # not a photo, or in a format that this installation cannot decode
    "photo_damaged",
    "too_many_pixels",
    "mask_unusable",  # a photo's mask is missing or ambiguous, cannot be read, or does not fit the photo
    "output_exists",
    "output_is_input",  # the result would replace the photo that it is made from, or another one
    "output_collision",  # two photos would become the same file
    "output_unwritable",
    "model_unknown",
    "model_damaged",
    "device_unusable",
    "storage_full",  # a service has too little disk space left for another job
    "queue_full",  # a service has as many unfinished jobs as it accepts
    "client_limit",  # a client of a service has as many unfinished jobs as it may have
    "job_unknown",  # a service has no such job, or its secret is another one
    "timed_out",  # decoding or encoding took longer than a service allows
]
"""What `FdikpError.code` may be. Codes are only ever added."""

_Error = TypeVar("_Error", bound="FdikpError")


class FdikpError(Exception):
    """Base of every error that fdikp raises on purpose.

    Args:
        message: what failed and where, in one line.
        code: what kind of fault it is; by default the one of the class.
        hint: what to do about it, in words that fit every caller. It ends the line, after a semicolon.
    """

    default_code: ErrorCode = "failed"

    def __init__(self, message: str, *, code: ErrorCode | None = None, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.code: ErrorCode = code or self.default_code
        self.hint = hint

    def located(self: _Error, where: str) -> _Error:
        """The same error with the place in front, unless the line has `where:` already.

        >>> PhotoError("is empty", code="photo_damaged").located("a.jpg")
        PhotoError('a.jpg: is empty')
        """
        if f"{where}: " in str(self):
            return self
        error = copy.copy(self)
        error.args = (f"{where}: {self}",)
        return error


class RequestError(FdikpError):
    """A request has a value that is not allowed, or names nothing to work on."""

    default_code = "request_invalid"


class ArgumentError(RequestError, ValueError):
    """An argument of a function has a value that is not allowed, or that cannot be used on this machine.

    Args:
        reason: why not. The message is `argument=value: reason; hint`. A program whose options have other names, such
            as the command line, writes its own message from the attributes.
        argument: its name.
        value: what was given.
        code: as for `FdikpError`.
        hint: as for `FdikpError`.
    """

    def __init__(
        self, reason: str, *, argument: str = "", value: object = None, code: ErrorCode | None = None, hint: str = ""
    ) -> None:
        # Without an argument the reason is a whole message: so `pickle` makes the error again
        super().__init__(f"{argument}={value!r}: {reason}" if argument else reason, code=code, hint=hint)
        self.argument = argument
        self.value = value
        self.reason = reason


class Cancelled(FdikpError):  # noqa: N818 (as in asyncio and concurrent.futures: not a fault)
    """The caller cancelled the work; nothing was written."""

    default_code = "cancelled"

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class PhotoError(FdikpError):
    """A photo cannot be read or written. The message names the file and the reason."""


class TooManyPixelsError(PhotoError):
    """A photo declares more pixels than the caller allows."""

    default_code = "too_many_pixels"
    pixels = 0
    """How many it declares."""


class PhotoNotFoundError(PhotoError, FileNotFoundError):
    """There is no photo at this path."""

    default_code = "photo_not_found"


class WeightsError(FdikpError):
    """A model's weights are unknown, damaged, or of another shape than the network."""

    default_code: ErrorCode = "model_damaged"


class WeightsNotFoundError(WeightsError, FileNotFoundError):
    """There is no shipped model of this name, and no weights file at this path."""

    default_code = "model_unknown"


class DataError(FdikpError):
    """Images or pairs to train or to measure on are missing or damaged, or do not fit together.

    The message is one line, which may leave out faults where there are many; `faults` has a line for each.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class TrainingError(FdikpError):
    """A run cannot start or continue: an invalid recipe, a full disk, a loss that is not finite."""


class MissingKernelsWarning(UserWarning):
    """The native kernels are missing: the CPU restores with torch's operations, slower.

    It is emitted once per process. `warnings.simplefilter("ignore", MissingKernelsWarning)` silences it.
    """


def as_fdikp_error(error: Exception) -> FdikpError:
    """Any exception as a typed one-line error; those of fdikp are returned as they are.

    >>> as_fdikp_error(OSError(28, "No space left on device", "a.jpg"))
    FdikpError('a.jpg: no space left on device')
    >>> as_fdikp_error(ZeroDivisionError("division by zero")).code
    'internal_error'
    """
    if isinstance(error, FdikpError):
        return error
    if isinstance(error, MemoryError):
        return FdikpError(
            "not enough memory", code="out_of_memory", hint="close other programs or choose a smaller tile"
        )
    if isinstance(error, OSError):
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        return FdikpError(f"{error.filename}: {reason}" if error.filename else reason)
    return FdikpError(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}", code="internal_error")
