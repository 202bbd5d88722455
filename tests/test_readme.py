"""Every command and every example of the README and of the pages that a reader follows, run as a reader would."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from fdikp.cli import main
from fdikp.training import loop

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/index.md", "docs/guide.md", "docs/measuring.md", "docs/recipes.md", "docs/reproducing.md")
"""docs/training.md has a test of its own, whose commands depend on each other."""

SHORT = ["--steps", "4", "--crop", "64", "--batch", "2"]
"""Added to training runs, which would take an hour."""


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page, also those within lists, without their indentation."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


COMMANDS = {
    page: [line.split("  #")[0].strip() for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
    for page in PAGES
}
ALL = list(dict.fromkeys(command for commands in COMMANDS.values() for command in commands))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's folder: the names that the pages use, with small photos in them."""
    photo = Image.fromarray(data.coffee()[100:196, 200:312])
    pairs = ("my-pairs/source/a.png", "my-pairs/target/a.png", "method-a/a.png", "method-b/a.png", "sharp/a.png")
    for name in ("photo.jpg", "holiday/beach/a.jpg", "holiday/b.jpg", "scans/box 1/scan.tif", *pairs):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / name)
    mask = Image.new("L", photo.size, 255)
    for name in ("face.png", "masks/beach/a.png", "masks/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        mask.save(tmp_path / name)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_pages_have_commands_and_examples() -> None:
    assert {page for page in PAGES if COMMANDS[page]} == set(PAGES)
    assert len([command for command in COMMANDS["README.md"] if command.startswith("fdikp ")]) == 5
    assert blocks("README.md", "python") and blocks("docs/guide.md", "python")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("command", [command for command in ALL if command.startswith("fdikp ")])
def test_command(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program, *words = shlex.split(command)
    assert program == "fdikp"
    trains = words[0] == "train" and "--help" not in words
    before = {p for p in folder.rglob("*") if p.is_file()}
    monkeypatch.chdir(folder)
    monkeypatch.setattr(loop, "STATISTICS_BATCHES", 2)
    code = main(words + SHORT * trains)
    output = capfd.readouterr()
    assert code == 0, output.err
    if trains or (words[0] in ("deblur", "analyse", "render") and "--dry-run" not in words):
        assert {p for p in folder.rglob("*") if p.is_file()} > before
    else:
        assert output.out


def test_the_installed_program(folder: Path) -> None:
    """The other commands run in this process, which spares each of them an import of torch."""
    run(shlex.split(blocks("README.md", "sh")[0].split("  #")[0]), folder)
    assert (folder / "photo_deblurred.jpg").is_file()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_examples_of_a_page_run_in_turn(page: str, folder: Path) -> None:
    examples = "\n".join(blocks(page, "python"))
    run([sys.executable, "-c", examples], folder)
    for name in re.findall(r'\.save\("(.+)"\)', examples):
        assert (folder / name).is_file()


def test_make_demo(tmp_path: Path) -> None:
    """The demonstration with this environment, whose set-up is done."""
    venv = Path(sys.prefix)
    run(["make", "-C", str(ROOT), "demo", f"VENV={venv}", f"DEMO={tmp_path}", "-o", f"{venv}/.demo"], tmp_path)
    names = {p.name for p in tmp_path.rglob("*")}
    assert {"cat.png", "cat_compare.jpg", "overview.png", "kernels.png"} <= names
    assert {"cat_blurmap_figure.png", "cat_blurmap.png", "cat_confidence.png", "keep_bokeh.jpg"} <= names


@pytest.mark.parametrize("command", [command for command in ALL if not command.startswith("fdikp ")])
def test_other_commands_name_what_there_is(command: str) -> None:
    words = shlex.split(command)
    assert words[:2] == ["pip", "install"]
    extra = re.search(r"\[(\w+)\]", words[2])
    assert extra is None or f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()
