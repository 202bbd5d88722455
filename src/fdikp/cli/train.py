"""`fdikp train`: training, `cooldown` and `status` of a run. Its options are in `fdikp.training`."""

from collections.abc import Sequence

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.errors import FdikpError, TrainingError
from fdikp.training import command
from fdikp.training.command import StatusRequest
from fdikp.training.cooldown import Cooldown
from fdikp.training.options import with_flags
from fdikp.training.recipe import Recipe


def parse(args: Sequence[str], prog: str) -> Recipe | Cooldown | StatusRequest:
    """What the arguments ask for.

    Raises:
        UsageError: options are invalid or conflict.
        SystemExit: help was asked for, and is printed.
    """
    try:
        return command.parse(args, prog)
    except TrainingError as error:
        raise UsageError(with_flags(str(error))) from None


def run(options: Recipe | Cooldown | StatusRequest) -> int:
    """Carry out the command; returns the exit code, which tells whether a signal stopped a run."""
    try:
        result = command.run(options)
    except FdikpError as error:
        raise FdikpError(with_flags(str(error)), code=error.code) from error
    if result.text:
        console.document(result.text)
    if result.note:
        console.problem(result.note)
    return result.exit_code
