"""`fdikp reproduce`: tables and figures of the paper, the real thing and the proxy."""

import csv
import re
from pathlib import Path

import pytest
from PIL import Image

from fdikp.paper import ablations
from fdikp.paper.ablations import Variant

FULL, PLAIN = Variant("full", "paper-dpdd", 26.42), Variant("plain", "ablation/dsrm-dikp", 26.28)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    from skimage import data

    folder = tmp_path / "pairs"
    for kind in ("source", "target"):
        (folder / kind).mkdir(parents=True)
    for n, name in enumerate(("astronaut", "coffee")):
        picture = Image.fromarray(getattr(data, name)()[80:208, 100:228])
        picture.save(folder / "target" / f"{n}.png")
        picture.reduce(2).resize(picture.size).save(folder / "source" / f"{n}.png")
    return folder


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    from skimage import data

    folder = tmp_path / "sharp"
    folder.mkdir()
    Image.fromarray(data.chelsea()[:120, :120]).save(folder / "cat.png")
    return folder


def test_a_proxy_is_trained_scored_and_labelled_and_goes_on(run, pairs, sharp, tmp_path, monkeypatch, shown):
    monkeypatch.setitem(ablations.ABLATIONS, "table2", (PLAIN, FULL))
    command = ["reproduce", "table2", "--sharp", sharp, "--data", f"mine={pairs}", "--output", "out", "--seeds", "2"]
    command += ["--steps", "2", "--crop", "64", "--batch", "1", "--width-divisor", "4", "--device", "cpu"]
    done = run(*command, model=False)
    assert done.code == 0, done.err
    assert "proxy: 2 steps of 1 crops of 64×64" in done.out and "agrees" in done.out
    assert done.out.strip() == (tmp_path / "out" / "table2.md").read_text().strip()
    with (tmp_path / "out" / "table2.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows] == [
        ("plain", "0"), ("full", "0"), ("plain", "1"), ("full", "1")
    ]  # fmt: skip
    assert all(row["kind"].startswith("proxy") and float(row["psnr_after"]) > 10 for row in rows)
    trained = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "runs").rglob("weights.safetensors")}
    assert len(trained) == 4
    results = []
    drawn = shown(70, lambda: results.append(run(*command, model=False)))
    assert results[0].code == 0 and "training" not in results[0].err
    assert "|" not in drawn and "#" not in drawn
    table = [line for line in done.out.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(table) > 5 and all(value in drawn for value in re.findall(r"\d[\d.,]*", " ".join(table)))
    assert {file: file.stat().st_mtime_ns for file in trained} == trained


def test_models_stand_among_the_papers_methods(run, weights_file, pairs, tmp_path):
    done = run("reproduce", "table1", "--data", f"RTF={pairs}", "--model", weights_file, "--output", "out", model=False)
    assert done.code == 1 and "not laid out as RTF" in done.err
    done = run(
        "reproduce", "table1", "--data", f"mine={pairs}", "--model", weights_file, "--output", "out", model=False
    )
    assert done.code == 0, done.err
    assert "proxy: Table 1 does not have this set" in done.out and "tiny" in done.out
    assert (tmp_path / "out" / "table1.json").exists()


@pytest.mark.parametrize("name", ["fig1", "fig4", "fig5", "fig6", "fig13"])
def test_figures_of_pictures(run, tiny_weights, pairs, tmp_path, name):
    done = run("reproduce", name, "--data", f"mine={pairs}", "--model", tiny_weights, "--output", "out", model=False)
    assert done.code == 0, done.err
    width, height = Image.open(tmp_path / "out" / f"{name}.png").size
    assert width == 900 and height > 200


def test_figures_of_named_pictures(run, tiny_weights, pairs, tmp_path):
    command = ["reproduce", "fig4", "--data", f"mine={pairs}", "--model", tiny_weights, "--output", "out"]
    heights = []
    for names in (["1"], ["0", "1"]):
        assert run(*command, "--image", *names, model=False).code == 0
        heights.append(Image.open(tmp_path / "out" / "fig4.png").size[1])
    assert heights[1] > 1.5 * heights[0]
    done = run(*command, "--image", "none", model=False)
    assert done.code == 1 and "no image of that name" in done.err


def test_a_figure_that_needs_a_target_says_so(run, tiny_weights, pairs):
    done = run("reproduce", "fig1", "--data", f"cuhk={pairs / 'source'}", "--model", tiny_weights, model=False)
    assert done.code == 1 and "has no target" in done.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "name what"),
        (["table9", "--data", "a=b"], "table9"),
        (["table1"], "--data"),
        (["table2", "--data", "a=b"], "--sharp"),
        (["table2", "--data", "dpdd=b", "--seeds", "0"], "--seeds"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, args, says):
    done = run("reproduce", *args, model=False)
    assert done.code == 2 and says in done.err and len(done.errors) == 1


def test_a_folder_that_cannot_be_made_is_named(run, tiny_weights, pairs, tmp_path):
    (tmp_path / "file").touch()
    command = ["reproduce", "fig5", "--data", f"mine={pairs}", "--model", tiny_weights, "--output", "file/folder"]
    done = run(*command, model=False)
    assert done.code == 1 and "file/folder: cannot be written" in done.err and len(done.errors) == 1
