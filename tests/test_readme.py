"""Every command and every example of the README, run as a reader would."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.strip()
]
EXAMPLES = [block for language, block in BLOCKS if language == "python"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's folder: the names that the README uses, with small photographs in them."""
    picture = Image.fromarray(data.coffee()[100:196, 200:312])
    pairs = ("my-pairs/source/a.png", "my-pairs/target/a.png", "method-a/a.png", "method-b/a.png", "sharp/a.png")
    for name in ("photo.jpg", "holiday/beach/a.jpg", "holiday/b.jpg", "scans/box 1/scan.tif", *pairs):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / name)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_readme_has_commands_and_examples() -> None:
    assert len(COMMANDS) > 8 and len(EXAMPLES) >= 2


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("fdikp ")])
def test_command(command: str, folder: Path) -> None:
    before = {p for p in folder.rglob("*") if p.is_file()}
    out = run(shlex.split(command), folder)
    if command.startswith(("fdikp deblur", "fdikp analyse", "fdikp train")) and "--help" not in command:
        assert {p for p in folder.rglob("*") if p.is_file()} > before
    else:
        assert out


def test_the_examples_run_in_turn(folder: Path) -> None:
    run([sys.executable, "-c", "\n".join(EXAMPLES)], folder)
    assert (folder / "sharp.jpg").is_file()


def test_make_demo(tmp_path: Path) -> None:
    """The demonstration with this environment, whose set-up is done."""
    venv = Path(sys.prefix)
    run(["make", "-C", str(ROOT), "demo", f"VENV={venv}", f"DEMO={tmp_path}", "-o", f"{venv}/.demo"], tmp_path)
    names = {p.name for p in tmp_path.rglob("*")}
    assert {"cat.png", "cat_compare.jpg", "cat_blurmap.png", "overview.png", "kernels.png"} <= names


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("fdikp ")])
def test_other_commands_name_what_there_is(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    elif words[:2] == ["pip", "install"]:
        extra = re.search(r"\[(\w+)\]", words[2])
        assert extra is None or f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()
    else:
        assert words[0] == "python" and (ROOT / words[1]).is_file()
