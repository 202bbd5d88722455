"""`fdikp train`: a recipe, and any field of it, on data of one's own; `cooldown` and `status` of a run."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.allocator import configure_malloc
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.stopping import stop_code
from fdikp.errors import TrainingError
from fdikp.training.cooldown import Cooldown, plan_cooldown
from fdikp.training.options import ABOUT, parse_fields, split
from fdikp.training.recipe import Recipe

EXAMPLES = """Examples:
fdikp train --data photographs/ --minutes 60       fdikp-lite on rendered defocus
fdikp train --from fdikp-lite --data my-pairs/     fine-tune on source/ and target/
fdikp train paper-dpdd --data DPDD/ --devices 2    the paper's training
fdikp train ablation/dsrm --data DPDD/             a row of its tables
fdikp train base --data photographs/ --minutes 600 --resume    goes on after a stop
fdikp train lite --data photographs/ --schedule constant --validate held-out    for weeks
fdikp train status runs/lite                       how it does
fdikp train cooldown runs/lite                     what ships: its rate falls to zero"""

COOLDOWN = """Cool down a run: its rate falls linearly to zero, in a folder of its own.

Begins with the newest checkpoint of RUN, which may go on meanwhile. Options are
those of fdikp train; they begin as RUN has them. --steps is the length of the
cool-down, a tenth of the steps so far unless given. --out is RUN-cooldown unless
given; --resume goes on with a cool-down that was stopped."""


@dataclass(frozen=True)
class StatusOptions:
    """What `fdikp train status` was asked for."""

    run: Path
    hours: int


def parse(args: Sequence[str], prog: str) -> Recipe | Cooldown | StatusOptions:
    """What the arguments ask for: a run, a cool-down, or the status of a run.

    Raises:
        UsageError: there is no such recipe, or none that can be meant.
        SystemExit: help was asked for, or an argument is wrong; both are said.
    """
    try:
        if args[:1] == ["status"]:
            return _parse_status(args[1:], f"{prog} status")
        if args[:1] == ["cooldown"]:
            return _parse_cooldown(args[1:], f"{prog} cooldown RUN")
        recipe, rest = split(args)
        recipe = _parse_recipe(recipe, rest, f"{prog} [RECIPE]", f"{ABOUT}\n\n{EXAMPLES}")
        recipe.check()
    except TrainingError as error:
        raise UsageError(str(error)) from None
    return recipe


def _parse_recipe(recipe: Recipe, args: Sequence[str], prog: str, description: str) -> Recipe:
    """A recipe with the fields that the arguments change; with tyro, or where that is not installed with argparse."""
    try:
        import tyro
    except ImportError:
        return parse_fields(recipe, args, prog, description)
    from fdikp.cli import as_written

    return tyro.cli(Recipe, prog=prog, description=as_written(description), args=list(args), default=recipe)


def _parse_cooldown(args: Sequence[str], prog: str) -> Cooldown:
    if not args or args[0].startswith("-"):
        if {"-h", "--help"} & set(args):
            _parse_recipe(Recipe(), ["--help"], prog, COOLDOWN)
        raise UsageError("give the folder of a run: fdikp train cooldown RUN")
    run, *rest = args
    return plan_cooldown(Path(run), lambda recipe: _parse_recipe(recipe, rest, prog, COOLDOWN))


def _parse_status(args: Sequence[str], prog: str) -> StatusOptions:
    parser = argparse.ArgumentParser(prog=prog, description="Steps, crops, rate, losses and validations of a run.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, which may be going on")
    parser.add_argument("--hours", type=int, default=6, metavar="N", help="hours of work to show (default: 6)")
    found = parser.parse_args(list(args))
    if found.hours < 1:
        raise UsageError(f"--hours {found.hours}: must be at least 1")
    return StatusOptions(found.run, found.hours)


def run(options: Recipe | Cooldown | StatusOptions) -> int:
    """Do what was asked for; returns the exit code, which tells if a signal stopped a run."""
    if isinstance(options, StatusOptions):
        from fdikp.training.status import describe, read_status

        for line in describe(read_status(options.run, options.hours)).splitlines():
            console.result(line)
        return 0
    configure_malloc()
    recipe = options if isinstance(options, Recipe) else options.begin()
    from fdikp.training.loop import train

    outcome = train(recipe)
    if outcome.summary:  # processes that only help another have none
        console.result(outcome.summary)
    if outcome.signal is None or outcome.done >= 1.0:
        return 0
    if outcome.summary:
        reached = f"{outcome.done:.0%} of the budget" if recipe.has_budget else f"step {outcome.step}"
        console.problem(f"stopped at {reached}; the same command with --resume goes on")
    return stop_code(outcome.signal)
