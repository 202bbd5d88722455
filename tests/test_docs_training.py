"""Runs the commands of docs/training.md in order, in one folder, with a run that ends."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image
from skimage import data

DOCUMENT = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, flags=re.DOTALL) for line in block.splitlines()]

SHORT = ["--steps", "2", "--width-divisor", "4", "--crop", "64", "--batch", "1", "--device", "cpu", "--beta", "0"]
"""Added to the training run, which would not end: a few cheap steps."""


def test_the_commands_work_in_order(tmp_path: Path) -> None:
    (tmp_path / "sharp").mkdir()
    for name in ("coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()[:200, :220]).save(tmp_path / "sharp" / f"{name}.png")
    (tmp_path / "held-out.txt").write_text("chelsea.png\n")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    outputs = []
    for command in COMMANDS:
        words = shlex.split(command) + (SHORT if " lite " in command else [])
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        outputs.append(done.stdout)
    assert len(outputs) == 3
    assert "step 2, 2 crops" in outputs[1] and "held-out" in outputs[1]
    assert "runs/lite-cooldown/weights.safetensors: 3 steps" in outputs[2]
