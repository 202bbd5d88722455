"""Training on defocus rendered from sharp photographs: `python -m fdikp.training --help`."""

from fdikp.training.losses import frequency_loss, restoration_loss
from fdikp.training.recipe import Recipe, parse_recipe

__all__ = ["Recipe", "frequency_loss", "parse_recipe", "restoration_loss"]
