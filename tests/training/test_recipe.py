"""A recipe as data."""

import json
from pathlib import Path

import pytest

from fdikp.training.option_groups import PER_PHASE, BudgetGroup, Phase
from fdikp.training.recipe import GROUP_OF, GROUPS, Recipe
from fdikp.training.recipes import RECIPES


def test_every_option_belongs_to_one_group():
    """The command line has no groups, and `override` takes names without them."""
    names = [name for group in GROUPS.values() for name in group.__dataclass_fields__]
    assert len(names) == len(set(names)) == len(GROUP_OF)


def test_override_changes_options_in_their_groups_and_nothing_else():
    recipe = Recipe().override(lr=1.0, crop=(64,))
    assert (recipe.optim.lr, recipe.budget.crop) == (1.0, (64,))
    changed = {name for name, value in recipe.options().items() if value != Recipe().options()[name]}
    assert changed == {"lr", "crop"}
    with pytest.raises(TypeError, match="has no option 'rate'"):
        recipe.override(rate=1.0)


def test_phases_have_the_options_of_the_budget():
    assert set(PER_PHASE) <= set(BudgetGroup.__dataclass_fields__)
    assert len(PER_PHASE) == len(Phase.__dataclass_fields__)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_its_json(name):
    paths = (Path("a"), Path("b"))
    recipe = RECIPES[name].override(paths=paths, validate=("held-out",), held_out=Path("list.txt"))
    values = json.loads(json.dumps(recipe.to_dict()))
    assert values["data"]["paths"] == ["a", "b"]
    assert Recipe.from_dict(values) == recipe


def test_a_recipe_of_another_version_is_not_read():
    values = Recipe().to_dict()
    del values["network"]["width_divisor"]
    with pytest.raises(ValueError, match=r"network\.width_divisor"):
        Recipe.from_dict(values)
    values = Recipe().to_dict()
    values["optim"]["patience"] = values["runtime"].pop("patience")
    with pytest.raises(ValueError, match=r"optim\.patience, runtime\.patience"):
        Recipe.from_dict(values)
    with pytest.raises(ValueError, match=r"\.\.\."):
        Recipe.from_dict({"config": "fdikp-lite", "lr": 1e-3})
