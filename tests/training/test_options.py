"""A recipe from the command line."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fdikp.errors import TrainingError
from fdikp.training.options import choose_recipe, flag_of, parse_options, with_flags
from fdikp.training.recipe import GROUP_OF, Recipe
from fdikp.training.recipes import LITE, RECIPES


def parse(line: str) -> Recipe:
    recipe, flags = choose_recipe(shlex.split(line))
    recipe = parse_options(recipe, flags, "fdikp train", "")
    recipe.check()
    return recipe


def test_options_reach_their_fields():
    recipe = parse(
        "--data a b --minutes 2.5 --crop 96 --lr 1e-3 --resume --validate v --scales 1 0 0 --precision float32 "
        "-o runs/x --workers -1 --no-half"
    )
    assert recipe.data.paths == (Path("a"), Path("b"))
    assert (recipe.budget.minutes, recipe.budget.crop, recipe.optim.lr) == (2.5, (96,), 1e-3)
    assert (recipe.runtime.resume, recipe.runtime.output, recipe.runtime.workers) == (True, Path("runs/x"), -1)
    assert (recipe.data.validate, recipe.loss.scales, recipe.network.start) == (("v",), (1.0, 0.0, 0.0), None)


@pytest.mark.parametrize(("short", "full"), [("bf16", "bfloat16"), ("fp32", "float32")])
def test_short_names_of_precisions_are_read_and_full_ones_kept(short, full):
    recipe = parse(f"--data a --minutes 1 --precision {short}")
    assert recipe == parse(f"--data a --minutes 1 --precision {full}")
    assert recipe.runtime.precision == full
    assert Recipe().override(precision=short).runtime.precision == full
    older = recipe.to_dict()
    older["runtime"]["precision"] = short
    assert Recipe.from_dict(older) == recipe


def test_options_of_phases_take_one_value_or_one_per_phase():
    recipe = parse("paper-dpdd --data d --crop 128 --batch 8 4 --averaging ema none")
    assert [(p.length, p.crop, p.batch, p.averaging) for p in recipe.budget.phases] == [
        (1400, 128, 8, "ema"),
        (100, 128, 4, "none"),
    ]


def test_the_default_recipe_is_lite_or_with_weights_to_start_from_fine_tune():
    assert choose_recipe(["--data", "d"]) == (LITE, ["--data", "d"])
    fine_tune = RECIPES["fine-tune"].override(start="x.safetensors", paths=(Path("d"),))
    assert parse("--from x.safetensors --data d") == parse("--from=x.safetensors --data d") == fine_tune


def test_the_help_has_every_option_in_a_titled_group_and_the_defaults_of_the_recipe(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_options(RECIPES["paper-dpdd"], ["--help"], "fdikp train", "What it does.")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    titles = re.findall(r"^([A-Z][a-z, ]+):$", text, flags=re.MULTILINE)
    assert titles == [
        "Network and the weights it starts from",
        "Training and validation data",
        "Budget and phases",
        "Optimiser and learning rate",
        "Loss",
        "Output, devices and speed",
    ]
    flags = set(re.findall(r"--[a-z0-9-]+", text))
    assert {flag_of(name) for name in GROUP_OF} <= flags
    words = " ".join(text.split())
    assert "Default: 384 512." in words and "Default: runs/paper-dpdd." in words
    assert "None" not in words and "Default: ." not in words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--data a", "the run has no end; give --steps, --minutes or --epochs, or --schedule constant"),
        ("--minutes 1", "no training data; give --data"),
        ("--data a --minutes 1 --crop 100", "--crop 100: must be a multiple of 16 and at least 64"),
        ("--data a --minutes 1 --crop 48", "--crop 48: must be"),
        ("--data a --minutes 1 --config fdikp-huge", "--config fdikp-huge: no such network; choose from"),
        ("--data a --minutes 1 --width-divisor 7", "--width-divisor 7: cannot divide the channel counts"),
        ("--data a --minutes 1 --batch 3 --devices 2", "--batch 3: cannot be split over 2 devices"),
        ("--data a --minutes 1 --crop 64 128 --batch 1 2 3", "--averaging: give one value, or one per phase"),
        ("--data a --minutes 1 --batch 0", "--batch 0: must be at least 1"),
        ("--data a --minutes 1 --lr 0", "--lr 0: must be above 0"),
        ("--data a --minutes 1 --beta -1", "--beta -1: must be at least 0"),
        ("--data a --minutes 1 --scales 1 0 -1", "--scales 1.0 0.0 -1.0: must be at least 0"),
        ("--data a --minutes 1 --phase-lengths 0", "--phase-lengths 0.0: must be above 0"),
        ("--data a --minutes 1 --precision fp8", "--precision: invalid choice: 'fp8'"),
        ("--data a --minutes 1 --render max_radios=3", "--render: max_radios=3: no such setting"),
        (
            "--data a --minutes 1 --freeze-bn",
            "--freeze-bn: a random initialisation has no statistics to keep; give --from",
        ),
        ("--data a --minutes 1 --expand", "--expand: needs weights to expand; give --from"),
        ("leit --data a --minutes 1", "did you mean 'lite'"),
        ("--data a --minutes 1 --optimizer sgd", "--optimizer: invalid choice: 'sgd'"),
        ("--data a --minutes 1 --out b", "unknown argument --out; did you mean --output?"),
        ("--data a --minutes one", "--minutes: invalid float value: 'one'"),
        ("--data a --minutes 1 --adam-lr-scale 0", "--adam-lr-scale 0: must be above 0"),
        ("--data a --minutes 1 --schedule flat", "--schedule: invalid choice"),
        ("--data a --schedule linear", "the run has no end"),
        ("--data a --schedule constant --crop 64 128", "phases divide a budget; give --steps, --minutes or --epochs"),
        ("--data a --minutes 1 --decay-start 5", "--decay-start 5: needs --schedule linear and a budget in --steps"),
        ("--data a --minutes 1 --schedule linear --decay-start 5", "needs --schedule linear and a budget in --steps"),
        ("--data a --steps 5 --schedule linear --decay-start 5", "--decay-start 5: must be below --steps 5"),
        ("--data a --minutes 1 --ema-decay 0.9 1", "--ema-decay 0.9 1.0: must be at least 0 and below 1"),
        ("--data a --minutes 1 --ema-decay 0.9 0.9", "--ema-decay 0.9 0.9: contains a value twice"),
        ("--data a --minutes 1 --memory-format tiled", "--memory-format: invalid choice"),
    ],
)
def test_wrong_options_are_refused_in_one_line_that_names_the_flag(line, message):
    with pytest.raises(TrainingError) as error:
        parse(line)
    text = with_flags(str(error.value))
    assert message in text and "\n" not in text


def test_errors_name_arguments_for_callers_and_flags_on_the_command_line():
    with pytest.raises(TrainingError, match=r"^crop=100: must be"):
        RECIPES["lite"].override(paths=(Path("a"),), crop=(100,), minutes=1.0).check()
    assert with_flags("a/b=c: give another output= (resume=True)") == "a/b=c: give another --output (--resume)"
    assert with_flags("sets/crop=64/x: is damaged") == "sets/crop=64/x: is damaged"


def test_parsing_needs_nothing_heavy():
    code = "import sys; import fdikp.training.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "tyro", "PIL", "fdikp.cli"} & set(loaded)
