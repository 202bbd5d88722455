import dataclasses
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fdikp.errors import TrainingError
from fdikp.network import PRESETS
from fdikp.training.options import parse_fields, split
from fdikp.training.recipe import PER_PHASE, Recipe
from fdikp.training.recipes import LITE, RECIPES, named


def parse_recipe(arguments: list[str]) -> Recipe:
    """As the command line does where tyro is not installed."""
    recipe, rest = split(arguments)
    recipe = parse_fields(recipe, rest, "fdikp train", "")
    recipe.check()
    return recipe


@pytest.mark.parametrize(
    ("name", "epochs", "crops", "batches"),
    [("paper-dpdd", (1400, 100), (384, 512), (4, 2)), ("paper-lfdof", (270, 30), (256, 512), (4, 2))],
)
def test_the_paper_s_training(name, epochs, crops, batches):
    """Its appendix A3, and eqs. 4 and 5."""
    recipe = RECIPES[name]
    phases = recipe.phases
    total = sum(phase.share for phase in phases)
    assert tuple(recipe.epochs * phase.share / total for phase in phases) == epochs
    assert tuple(phase.crop for phase in phases) == crops
    assert tuple(phase.batch for phase in phases) == batches
    assert phases[-1].averaging == "swa"
    assert (recipe.lr, recipe.schedule, recipe.config) == (1e-4, "steps", "fdikp-base")
    assert (recipe.alpha, recipe.beta, recipe.gamma, recipe.scales) == (1.0, 0.2, 0.2, (1.0, 0.2, 0.1))
    assert recipe.delta == recipe.blur == recipe.hint == 0.0
    assert recipe.optimizer == "adam"


def test_our_recipes_train_with_muon_and_the_paper_s_with_adam():
    ours = {"lite", "base", "fine-tune"}
    assert {name: recipe.optimizer for name, recipe in RECIPES.items()} == {
        name: "muon" if name in ours else "adam" for name in RECIPES
    }


def test_every_ablation_differs_from_the_paper_s_training_in_one_thing():
    paper = RECIPES["paper-dpdd"]
    ablations = {name.removeprefix("ablation/"): r for name, r in RECIPES.items() if name.startswith("ablation/")}
    assert "dsrm-dikp" in ablations and "loss-l2" in ablations
    for name, recipe in ablations.items():
        if name.startswith("loss-"):
            assert replace(recipe, out=paper.out, beta=0.2, gamma=0.2, scales=paper.scales) == paper
            assert recipe.scales == (1.0, 0.0, 0.0)
            assert (recipe.beta > 0, recipe.gamma > 0) == ("lpips" in name, "freq" in name)
        else:
            assert recipe.config == name
            assert replace(recipe, out=paper.out, config="fdikp-base") == paper
            assert PRESETS[name] != PRESETS["fdikp-base"]


def test_no_two_recipes_write_into_one_folder():
    assert len({recipe.out for recipe in RECIPES.values()}) == len(RECIPES)


def test_every_field_is_an_option():
    line = "--data a b --minutes 2.5 --crop 96 --lr 1e-3 --resume --validate v --scales 1 0 0 --precision fp32"
    recipe = parse_recipe(line.split())
    assert [str(p) for p in recipe.data] == ["a", "b"]
    assert (recipe.minutes, recipe.crop, recipe.lr, recipe.resume) == (2.5, (96,), 1e-3, True)
    assert recipe.validate == ("v",)
    assert recipe.start is None
    assert recipe.to_dict()["data"] == ["a", "b"]


def test_fields_of_a_named_recipe_can_be_set_for_each_phase_or_all():
    line = "paper-dpdd --data d --crop 128 --batch 8 4 --averaging ema none"
    recipe = parse_recipe(line.split())
    assert [(p.share, p.crop, p.batch, p.averaging) for p in recipe.phases] == [
        (1400, 128, 8, "ema"),
        (100, 128, 4, "none"),
    ]


def test_the_default_recipe_is_lite_or_with_weights_to_start_from_fine_tune():
    assert split(["--data", "d"]) == (LITE, ["--data", "d"])
    assert parse_recipe(["--from", "x.safetensors", "--data", "d"]) == replace(
        RECIPES["fine-tune"], start="x.safetensors", data=parse_recipe(["--data", "d", "--steps", "1"]).data
    )
    assert split(["--from=x"])[1] == ["--start=x"]


def test_an_unknown_recipe_is_met_with_the_nearest():
    with pytest.raises(TrainingError, match="did you mean 'paper-dpdd'"):
        named("paper-dpd")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--data a", "needs an end"),
        ("--minutes 1", "--data"),
        ("--data a --minutes 1 --crop 100", "--crop 100: must be a multiple of 16"),
        ("--data a --minutes 1 --crop 48", "--crop"),
        ("--data a --minutes 1 --config fdikp-huge", "no such network"),
        ("--data a --minutes 1 --batch 3 --devices 2", "cannot be shared by 2"),
        ("--data a --minutes 1 --crop 64 128 --batch 1 2 3", "one for each phase"),
        ("--data a --minutes 1 --batch 0", "--batch"),
        ("--data a --minutes 1 --lr 0", "--lr 0.0: must be above 0"),
        ("--data a --minutes 1 --share 0", "--share"),
        ("--data a --minutes 1 --precision fp8", "--precision"),
        ("--data a --minutes 1 --render max_radios=3", "--render: max_radios=3: no such setting"),
        ("--data a --minutes 1 --freeze-norm", "--freeze-norm: weights of chance"),
        ("--data a --minutes 1 --grow", "--grow: nothing to grow from"),
        ("leit --data a --minutes 1", "did you mean 'lite'"),
        ("--data a --minutes 1 --optimizer sgd", "--optimizer"),
        ("--data a --minutes 1 --adam-lr-scale 0", "--adam-lr-scale 0.0: must be above 0"),
        ("--data a --minutes 1 --schedule flat", "--schedule"),
        ("--data a --schedule linear", "needs an end"),
        ("--data a --schedule constant --crop 64 128", "phases are parts of a budget"),
        ("--data a --minutes 1 --decay-start 5", "--decay-start 5: is a step of --schedule linear"),
        ("--data a --minutes 1 --schedule linear --decay-start 5", "with a budget in --steps"),
        ("--data a --steps 5 --schedule linear --decay-start 5", "--decay-start 5: must be below --steps 5"),
        ("--data a --minutes 1 --ema-decay 0.9 1", "--ema-decay 0.9 1.0: must be at least 0 and below 1"),
        ("--data a --minutes 1 --ema-decay 0.9 0.9", "has a value twice"),
        ("--data a --minutes 1 --memory-format tiled", "--memory-format"),
    ],
)
def test_wrong_recipes_are_refused(line, said, capsys):
    try:
        parse_recipe(line.split())
    except TrainingError as error:
        told = str(error)
        assert "\n" not in told
    except SystemExit as stopped:
        assert stopped.code == 2
        told = capsys.readouterr().err
    assert said in told


def test_every_phase_field_is_a_field():
    assert set(PER_PHASE) <= {field.name for field in dataclasses.fields(Recipe)}


def test_options_and_recipes_need_nothing_heavy():
    code = "import sys; import fdikp.training.options; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "tyro", "PIL"} & set(loaded)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_its_json(name):
    recipe = replace(RECIPES[name], data=(Path("a"), Path("b")), validate=("held-out",), held_out=Path("list.txt"))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_recipe_of_another_version_is_not_taken():
    values = Recipe().to_dict()
    with pytest.raises(ValueError, match="narrow"):
        Recipe.from_dict({name: value for name, value in values.items() if name != "narrow"})
