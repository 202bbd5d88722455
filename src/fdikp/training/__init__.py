"""Training: `fdikp train RECIPE`, or on machines with little installed `python -m fdikp.training RECIPE`.

`recipe` says what a run is made of, `recipes` names some, `options` reads them from a command line. `setup` finds all
that a run needs and `loop` trains. `data` feeds it, `objective` and `losses` judge, `average` and `schedule` steer,
`stop` and `checkpoint` make it exact over interruptions, `log`, `validate` and `summary` tell.

Importing this module is cheap: torch is loaded when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'fdikp.training' has no attribute {name!r}")
