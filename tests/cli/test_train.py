"""`fdikp train` as a user meets it; what a run does is tested in tests/training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from skimage import data

from fdikp.training import RECIPES, summary

NOT_BARE = ("fdikp.cli", "tyro", "pyvips", "matplotlib", "tensorboard", "skimage", "rawpy")
"""Modules that training must work without."""


@pytest.fixture(autouse=True)
def _no_plot(monkeypatch):
    monkeypatch.setattr(summary, "_plot", lambda *_: None)


@pytest.fixture
def pairs(tmp_path):
    """my-pairs/ with source/ and target/, of 96x80 pixels."""
    from PIL import Image

    for n, top in enumerate((0, 100, 200)):
        sharp = Image.fromarray(data.coffee()[top : top + 80, 100:196])
        for kind, image in (("target", sharp), ("source", sharp.reduce(2).resize(sharp.size))):
            folder = tmp_path / "my-pairs" / kind
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{n}.png")
    return tmp_path / "my-pairs"


@pytest.fixture
def train(run):
    return lambda *args: run("train", *args, "--device", "cpu", model=False)


def test_fine_tuning_on_pairs_of_one_s_own(train, pairs, weights_file, tmp_path):
    arguments = ["--from", weights_file, "--data", pairs, "--steps", 2, "--crop", 64, "--batch", 2]
    done = train(*arguments, "--log-every", 1)
    assert done.code == 0
    *lines, last = done.out.splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 2]
    assert "runs/fine-tune/weights.safetensors: 2 steps" in last
    assert "LPIPS" not in done.err  # the term is off
    result = tmp_path / "runs" / "fine-tune" / "weights.safetensors"
    (pairs / "source" / "0.png").rename(tmp_path / "photo.png")
    from fdikp.cli import main

    assert main(["deblur", str(tmp_path / "photo.png"), "--model", str(result), "--device", "cpu"]) == 0
    again = train(*arguments)
    assert (again.code, len(again.errors)) == (1, 1)
    assert "--resume" in again.err


def test_help_lists_every_recipe_and_shows_the_defaults_of_the_one_that_is_named(run):
    done = run("train", "--help", model=False)
    assert done.code == 0 and set(RECIPES) <= set(done.out.replace(",", " ").split())
    named = run("train", "paper-dpdd", "--help", model=False)
    shown = [" ".join(text.split()) for text in (named.out, done.out)]
    assert "Default: 384 512." in shown[0] and "Default: 384 512." not in shown[1]
    cooldown = run("train", "cooldown", "--help", model=False)
    assert cooldown.code == 0 and "usage: fdikp train cooldown RUN [options]" in cooldown.out


def test_the_examples_of_the_help_are_valid():
    from fdikp.training.command import EXAMPLES, StatusRequest, parse

    lines = [line.split()[2:] for line in EXAMPLES.splitlines() if line.startswith("  fdikp train ")]
    assert len(lines) == 8
    assert all(parse(line, "fdikp train").data.paths for line in lines[:6])
    assert isinstance(parse(lines[6], "fdikp train"), StatusRequest)
    assert lines[7] == ["cooldown", "runs/lite"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["paper-dpd", "--data", "x"], 2, "did you mean 'paper-dpdd'"),
        (["--data", "x"], 2, "give --steps, --minutes or --epochs"),
        (["--steps", 1], 2, "give --data"),
        (["--steps", 1, "--data", "gone"], 1, "gone: no such folder"),
        (["paper-dpdd", "--data", "gone"], 1, "gone: no such folder"),
        (["--from", "gone.safetensors", "--data", "x"], 1, "x: no such folder"),
        (["--steps", 1, "--data", "my-pairs", "--crop", 96], 1, "smaller than the crop of 96"),
        (["--steps", 1, "--data", "my-pairs", "my-pairs"], 1, "real pairs come from one folder"),
        (
            ["--steps", 1, "--data", "my-pairs", "--crop", 64, "--beta", 0.2, "--lpips", "gone"],
            1,
            "gone: no such file of LPIPS",
        ),
    ],
)
def test_errors_are_one_line(train, pairs, args, code, message):
    done = train(*args)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1), done.err
    assert done.err.startswith("fdikp: ") and message in done.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["status", "gone"], 1, "gone: no recipe.json; give the folder of a run"),
        (["status"], 2, "the following arguments are required: RUN"),
        (["status", "gone", "--hours", 0], 2, "--hours 0: must be at least 1"),
        (["cooldown"], 2, "give the folder of a run: fdikp train cooldown RUN"),
        (["cooldown", "gone"], 2, "gone: no recipe.json; give the folder of a run"),
    ],
)
def test_what_runs_there_are_is_said_in_one_line(run, args, code, message):
    done = run("train", *args, model=False)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1), done.err
    assert done.err.startswith("fdikp: ") and message in done.err


def test_a_run_its_status_and_its_cool_down(run, train, pairs, weights_file, shown):
    command = ["--from", weights_file, "--data", pairs, "--crop", 64, "--batch", 1, "-o", "r", "--beta", 0]
    assert train(*command, "--steps", 3, "--schedule", "constant", "--ema-decay", 0.9, 0.99).code == 0
    status = run("train", "status", "r", model=False)
    assert status.code == 0
    assert "not running" in status.out and "step 3, 3 crops" in status.out and "| crops/s |" in status.out
    drawn = shown(120, lambda: run("train", "status", "r", model=False))
    assert "step 3, 3 crops" in drawn and "crops/s" in drawn and "|" not in drawn
    cooled = run("train", "cooldown", "r", "--steps", 2, "--device", "cpu", model=False)
    assert cooled.code == 0 and "r-cooldown/weights.safetensors: 5 steps" in cooled.out
    assert not Path("r-cooldown/weights-ema-0.99.safetensors").exists()
    assert Path("r/weights-ema-0.99.safetensors").exists()
    again = run("train", "cooldown", "r", "--device", "cpu", model=False)
    assert again.code == 2 and "--resume" in again.err and len(again.errors) == 1


def test_every_damaged_file_is_reported(train, pairs):
    (pairs / "source" / "0.png").write_bytes((pairs / "source" / "0.png").read_bytes()[:500])
    (pairs / "target" / "1.png").write_text("no image")
    done = train("--steps", 1, "--data", pairs, "--crop", 64)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "0.png" in done.err and "1.png" in done.err


def shell(arguments: list, folder: Path, before: str = "") -> subprocess.Popen:
    """Start `python -m fdikp.training` in a process, after the given lines of code."""
    code = f"import runpy, sys; sys.argv[:] = ['x', *{list(map(str, arguments))!r}]\n{before}\n"
    code += "runpy.run_module('fdikp.training', run_name='__main__')"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, **streams
    )


def test_python_m_trains_with_few_packages_and_stops_on_a_signal(pairs, weights_file, tmp_path):
    """Both in one process, because importing torch takes longest."""
    blocked = f"for name in {NOT_BARE!r}: sys.modules[name] = None"
    options = ["--from", weights_file, "--data", pairs, "--crop", 64, "--batch", 1, "--device", "cpu", "--log-every", 1]
    process = shell(["lite", *options, "--minutes", 60, "--output", "out"], tmp_path, blocked)
    log = tmp_path / "out" / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "tensorboard is not installed" in err and "matplotlib is not installed" in err
    assert "run the same command with --resume to continue" in err
    assert "weights.safetensors" in out.splitlines()[-1]
    assert {"checkpoint.pt", "weights.safetensors", "summary.json", "summary.md"} <= {
        p.name for p in log.parent.iterdir()
    }


def test_without_fabric_the_error_is_one_line(pairs, tmp_path):
    process = shell(["--data", pairs, "--steps", 1], tmp_path, "sys.modules['lightning_fabric'] = None")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, len(err.splitlines())) == (1, "", 1)
    assert 'install the train extra: pip install "lightning-fabric>=' in err


def test_lpips_weights_that_are_not_there_are_said(train, pairs, weights_file):
    command = ["--from", weights_file, "--data", pairs, "--steps", 1, "--crop", 64, "--batch", 1, "-o"]
    done = train(*command, "a", "--beta", 0.2)
    assert done.code == 0 and "the LPIPS term is off: no weights" in done.err
    done = train(*command, "b", "--lpips", "anything")
    assert done.code == 1 and "anything: no such file of LPIPS weights" in done.err
