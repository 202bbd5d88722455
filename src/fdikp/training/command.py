"""The command `fdikp train`, which is also `python -m fdikp.training`: a run, a cool-down, or the status of a run.

It needs no more than training itself does, and prints nothing: the caller prints what `run` returns.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.allocator import configure_malloc
from fdikp.errors import TrainingError
from fdikp.training.cooldown import Cooldown, plan_cooldown
from fdikp.training.options import Parser, choose_recipe, parse_options
from fdikp.training.recipe import Recipe
from fdikp.training.recipes import RECIPES

EXAMPLES = """Examples:
  fdikp train --data photos/ --minutes 60
      trains fdikp-lite on defocus rendered from sharp photos
  fdikp train --from fdikp-lite --data my-pairs/
      fine-tunes on pairs in my-pairs/source/ and my-pairs/target/
  fdikp train paper-dpdd --data DPDD/ --devices 2
      runs the paper's training
  fdikp train ablation/dsrm --data DPDD/
      trains one row of its tables
  fdikp train base --data photos/ --minutes 600 --resume
      continues after an interruption
  fdikp train lite --data photos/ --schedule constant --validate held-out
      trains for weeks
  fdikp train status runs/lite
      reports the progress of a run
  fdikp train cooldown runs/lite
      ends a run at a learning rate of zero, for weights to use"""

TRAIN = f"""Train FDIKP on real pairs, or on defocus rendered from sharp photos.

RECIPE names a set of options; flags change single options of it. The default
recipe is lite, or fine-tune with --from.

Recipes:
{textwrap.indent(textwrap.fill(", ".join(RECIPES), 76, break_on_hyphens=False), "  ")}

{EXAMPLES}"""

COOLDOWN = """Cool down a run: the learning rate falls linearly to zero, in a new folder.

A cool-down starts from the newest checkpoint of RUN; RUN itself is not changed
and may continue. The options are those of fdikp train, and their defaults are
the options of RUN, except: --steps is the length of the cool-down, by default a
tenth of the steps so far; --output is by default RUN-cooldown. --resume
continues an interrupted cool-down."""


@dataclass(frozen=True)
class StatusRequest:
    """What `fdikp train status` reports."""

    run: Path
    hours: int


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    text: str
    """For stdout, in Markdown, any number of lines."""
    note: str
    """For stderr, one line, or empty."""
    exit_code: int


def parse(arguments: Sequence[str], program: str) -> Recipe | Cooldown | StatusRequest:
    """What the arguments ask for. `program`: how the command is called, for its help.

    Raises:
        TrainingError: there is no such recipe, or options are invalid or conflict.
        SystemExit: help was asked for, and is printed.
    """
    if arguments[:1] == ["status"]:
        return _parse_status(arguments[1:], program)
    if arguments[:1] == ["cooldown"]:
        return _parse_cooldown(arguments[1:], f"{program} cooldown RUN [options]")
    recipe, flags = choose_recipe(arguments)
    recipe = parse_options(recipe, flags, f"{program} [RECIPE] [options]", TRAIN)
    recipe.check()
    return recipe


def _parse_cooldown(arguments: Sequence[str], usage: str) -> Cooldown:
    if not arguments or arguments[0].startswith("-"):
        if {"-h", "--help"} & set(arguments):
            parse_options(Recipe(), ["--help"], usage, COOLDOWN)
        raise TrainingError("give the folder of a run: fdikp train cooldown RUN")
    run, *flags = arguments
    return plan_cooldown(Path(run), lambda recipe: parse_options(recipe, flags, usage, COOLDOWN))


def _parse_status(arguments: Sequence[str], program: str) -> StatusRequest:
    parser = Parser(
        prog=f"{program} status", description="Report steps, crops, learning rate, losses and validations of a run."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="Folder of a run, running or not.")
    parser.add_argument("--hours", type=int, default=6, metavar="N", help="Hours of work to report. Default: 6.")
    options = parser.parse_args(arguments)
    if options.hours < 1:
        raise TrainingError(f"--hours {options.hours}: must be at least 1")
    return StatusRequest(options.run, options.hours)


def run(request: Recipe | Cooldown | StatusRequest) -> CommandResult:
    """Carry out a command. The exit code of a run that a signal stopped is 128 + the signal.

    Raises:
        FdikpError: the run cannot start, continue or be read.
    """
    if isinstance(request, StatusRequest):
        from fdikp.training.status import describe, read_status

        return CommandResult(describe(read_status(request.run, request.hours)), "", 0)
    configure_malloc()
    recipe = request if isinstance(request, Recipe) else request.begin()
    from fdikp.training.loop import train

    outcome = train(recipe)
    if outcome.signal is None or outcome.done >= 1.0:
        return CommandResult(outcome.summary, "", 0)
    note = ""
    if outcome.summary:  # only the first of several processes has one
        reached = f"{outcome.done:.0%} of the budget" if recipe.budget.is_limited else f"step {outcome.step}"
        note = f"stopped at {reached}; run the same command with --resume to continue"
    return CommandResult(outcome.summary, note, 128 + outcome.signal)
