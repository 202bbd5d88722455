"""Training: `fdikp train RECIPE`, or `python -m fdikp.training RECIPE` on machines with few packages.

`recipe` and `option_groups` define the options of a run, `recipes` names some sets of them, `options` and `command`
read them from a command line. `inputs` reads what a run needs, `session` builds it and `loop` trains. `data` and
`prefetch` supply pairs, `objective` and `losses` compute the loss, `optimizers`, `schedule` and `average` update the
weights, `stop`, `state` and `checkpoint` make interruptions exact, and `log`, `validate`, `summary` and `status`
report.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from fdikp._lazy import attach
from fdikp.training.recipe import Recipe
from fdikp.training.recipes import RECIPES

_LAZY = {
    "frequency_loss": "fdikp.training.losses",
    "restoration_loss": "fdikp.training.losses",
    "train": "fdikp.training.loop",
}

__all__ = ["RECIPES", "Recipe", "frequency_loss", "restoration_loss", "train"]

if TYPE_CHECKING:
    from fdikp.training.loop import train
    from fdikp.training.losses import frequency_loss, restoration_loss

__getattr__, __dir__ = attach(__name__, _LAZY, __all__)
