"""The named recipes."""

import pytest

from fdikp.errors import TrainingError
from fdikp.network import PRESETS
from fdikp.training.recipes import RECIPES, named


@pytest.mark.parametrize(
    ("name", "epochs", "crops", "batches"),
    [("paper-dpdd", (1400, 100), (384, 512), (4, 2)), ("paper-lfdof", (270, 30), (256, 512), (4, 2))],
)
def test_the_paper_s_training(name, epochs, crops, batches):
    """Its appendix A3, and eqs. 4 and 5."""
    recipe = RECIPES[name]
    phases = recipe.budget.phases
    total = sum(phase.length for phase in phases)
    assert tuple(recipe.budget.epochs * phase.length / total for phase in phases) == epochs
    assert tuple(phase.crop for phase in phases) == crops
    assert tuple(phase.batch for phase in phases) == batches
    assert phases[-1].averaging == "swa"
    assert (recipe.optim.lr, recipe.optim.schedule, recipe.network.config) == (1e-4, "steps", "fdikp-base")
    loss = recipe.loss
    assert (loss.alpha, loss.beta, loss.gamma, loss.scales) == (1.0, 0.2, 0.2, (1.0, 0.2, 0.1))
    assert loss.guard_weight == loss.blur == loss.radius_hint == 0.0
    assert recipe.optim.optimizer == "adam"


def test_our_recipes_train_with_muon_and_the_paper_s_with_adam():
    ours = {"lite", "base", "fine-tune"}
    assert {name: recipe.optim.optimizer for name, recipe in RECIPES.items()} == {
        name: "muon" if name in ours else "adam" for name in RECIPES
    }


def test_every_ablation_differs_from_the_paper_s_training_in_one_thing():
    paper = RECIPES["paper-dpdd"]
    ablations = {name.removeprefix("ablation/"): r for name, r in RECIPES.items() if name.startswith("ablation/")}
    assert "dsrm-dikp" in ablations and "loss-l2" in ablations
    for name, recipe in ablations.items():
        if name.startswith("loss-"):
            assert recipe.override(output=paper.runtime.output, beta=0.2, gamma=0.2, scales=paper.loss.scales) == paper
            assert recipe.loss.scales == (1.0, 0.0, 0.0)
            assert (recipe.loss.beta > 0, recipe.loss.gamma > 0) == ("lpips" in name, "freq" in name)
        else:
            assert recipe.network.config == name
            assert recipe.override(output=paper.runtime.output, config="fdikp-base") == paper
            assert PRESETS[name] != PRESETS["fdikp-base"]


def test_no_two_recipes_write_into_one_folder():
    assert len({recipe.runtime.output for recipe in RECIPES.values()}) == len(RECIPES)


def test_an_unknown_recipe_is_met_with_the_nearest():
    with pytest.raises(TrainingError, match="did you mean 'paper-dpdd'"):
        named("paper-dpd")
