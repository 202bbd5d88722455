"""`fdikp train`: a recipe, and any field of it, on data of one's own."""

from collections.abc import Sequence

from fdikp.allocator import keep_freed_memory
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.stopping import stop_code
from fdikp.errors import TrainingError
from fdikp.training.options import ABOUT, parse_recipe, split
from fdikp.training.recipe import Recipe

EXAMPLES = """Examples:
fdikp train --data photographs/ --minutes 60       fdikp-lite on rendered defocus
fdikp train --from fdikp-lite --data my-pairs/     fine-tune on source/ and target/
fdikp train paper-dpdd --data DPDD/ --devices 2    the paper's training
fdikp train ablation/dsrm --data DPDD/             a row of its tables
fdikp train base --data photographs/ --minutes 600 --resume    goes on after a stop"""


def parse(args: Sequence[str], prog: str) -> Recipe:
    """The recipe that the arguments describe; with tyro, or where that is not installed with argparse.

    Raises:
        UsageError: there is no such recipe, or none that can be meant.
        SystemExit: help was asked for, or an argument is wrong; both are said.
    """
    try:
        import tyro
    except ImportError:
        return parse_recipe(args)
    from fdikp.cli import as_written

    try:
        recipe, rest = split(args)
        description = as_written(f"{ABOUT}\n\n{EXAMPLES}")
        recipe = tyro.cli(Recipe, prog=f"{prog} [RECIPE]", description=description, args=rest, default=recipe)
        recipe.check()
    except TrainingError as error:
        raise UsageError(str(error)) from None
    return recipe


def run(recipe: Recipe) -> int:
    """Train; returns the exit code, which tells if a signal stopped the run."""
    from fdikp.training.loop import train

    keep_freed_memory()
    outcome = train(recipe)
    if outcome.summary:  # processes that only help another have none
        console.result(outcome.summary)
    if outcome.signal is None or outcome.done >= 1.0:
        return 0
    if outcome.summary:
        console.problem(f"stopped at {outcome.done:.0%} of the budget; the same command with --resume goes on")
    return stop_code(outcome.signal)
