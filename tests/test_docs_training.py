"""Runs the commands of docs/training.md in order, in one folder, with a run that ends."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from fdikp.cli import main
from fdikp.training import held_out, loop

DOCUMENT = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, flags=re.DOTALL) for line in block.splitlines()]

SHORT = ["--steps", "2", "--width-divisor", "4", "--crop", "64", "--batch", "1", "--device", "cpu", "--beta", "0"]
"""Added to the training run, which would not end: a few cheap steps."""


def test_the_commands_work_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(held_out, "PAIRS", 8)  # the pairs are validated eight times, which would take most of a minute
    monkeypatch.setattr(held_out, "BATCH", 8)
    monkeypatch.setattr(loop, "STATISTICS_BATCHES", 2)
    (tmp_path / "sharp").mkdir()
    for name in ("coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()[:200, :220]).save(tmp_path / "sharp" / f"{name}.png")
    (tmp_path / "held-out.txt").write_text("chelsea.png\n")
    outputs = []
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "fdikp"
        assert main(words + (SHORT if " lite " in command else [])) == 0, capsys.readouterr().err
        outputs.append(capsys.readouterr().out)
    assert len(outputs) == 3
    assert "step 2, 2 crops" in outputs[1] and "held-out" in outputs[1]
    assert "runs/lite-cooldown/weights.safetensors: 3 steps" in outputs[2]
