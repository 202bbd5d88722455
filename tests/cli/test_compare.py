import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.evaluation.results import Evaluation

LPIPS = Path(__file__).parents[3] / "shared" / "data" / "lpips" / "lpips-v0.1-alex.safetensors"


@pytest.fixture
def compare(run, monkeypatch, tmp_path):
    """Run `fdikp compare ...`; LPIPS weights of whoever runs the tests are not seen."""
    monkeypatch.delenv("FDIKP_LPIPS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *args: run("compare", *args, model=False)


@pytest.fixture
def folders(tmp_path):
    """Six targets, their blurred sources, and two methods: `good` is nearer to the targets but for p3."""
    random = np.random.default_rng(0)
    for n in range(6):
        target = random.uniform(60, 196, (40, 48, 3))
        error = random.normal(size=(40, 48, 3))
        amounts = {"target": 0.0, "source": 9.0, "good": 3.0 if n != 3 else 8.0, "poor": 6.0}
        for folder, amount in amounts.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            name = f"p{n}_poor.png" if folder == "poor" else f"p{n}.png"
            pixels = np.rint(target + amount * error).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / name)
    return "good", "poor", "--target", "target"


def test_a_ranking_and_what_it_rests_on(compare, folders):
    done = compare(*folders, "--source", "source")
    assert done.code == 0
    assert "LPIPS is left out, because there are no weights; give --lpips FILE or set FDIKP_LPIPS" in done.err
    lines = done.out.splitlines()
    assert lines[0] == "**Ranking by PSNR**"
    assert lines[2] == "| method | PSNR | SSIM | MAE | gain | worst gain | images | scored |"
    assert lines[4].startswith("| 1. good | ") and lines[4].endswith(" (p3) | 6 | 48×40 |")
    assert lines[5].startswith("| 2. poor | ")
    assert lines[6].startswith("| input | ")
    assert any(line.startswith("| good − poor | +") and " to +" in line for line in lines)
    assert any(line.startswith("| good − poor | 5 | 0 | 1 | +") and line.endswith("(p3) |") for line in lines)
    about = [line for line in lines if line.startswith("- ")]
    for part in ("protocol: defocus", "versions: fdikp", "target: target", "LPIPS: left out", "bootstrap (BCa)"):
        assert any(part in line for line in about)


def test_scores_of_each_picture_as_files(compare, folders):
    done = compare(*folders, "--source", "source", "--json", "all.json", "--csv", "all.csv", "--data", "mine")
    assert done.code == 0
    found = Evaluation.from_json(Path("all.json").read_text())
    assert [model.name for model in found.models] == ["good", "poor"]
    assert {result.data for result in found.images} == {"mine"}
    assert "LPIPS" in found.about
    rows = list(csv.DictReader(Path("all.csv").read_text().splitlines()))
    assert len(rows) == len(found.images) == 12
    for row, result in zip(rows, found.images, strict=True):
        assert (row["image"], row["model"], row["width"]) == (result.image, result.model, "48")
        assert float(row["psnr_after"]) == result.after["psnr"]
        assert float(row["psnr_before"]) == result.before["psnr"]
    truth, shown = (np.asarray(Image.open(f"{kind}/p0.png"), float) / 255 for kind in ("target", "good"))
    assert float(rows[0]["psnr_after"]) == pytest.approx(-10 * np.log10(((truth - shown) ** 2).mean()), abs=1e-4)


def test_without_sources_nothing_is_gained(compare, folders):
    done = compare(*folders)
    assert done.code == 0
    assert "gain" not in done.out and "input" not in done.out


@pytest.mark.parametrize("width", [160, 50])
def test_a_terminal_gets_tables_with_every_value(compare, folders, shown, width):
    piped = compare(*folders, "--source", "source")
    text = shown(width, lambda: compare(*folders, "--source", "source"))
    assert "Ranking by PSNR" in text and "|" not in text and "…" not in text
    table = "\n".join(line for line in piped.out.splitlines() if line.startswith("|"))
    values = re.findall(r"[+−]?\d[\d.×]*", table)
    assert len(values) > 30 and all(value in text for value in values)
    assert shown(width, lambda: compare(*folders, "--source", "source", "--markdown")) == piped.out


def test_another_protocol_and_metric(compare, folders):
    done = compare(*folders, "--protocol", "iniknet", "--metric", "mae")
    assert done.code == 0
    assert "Ranking by MAE" in done.out and "| 6 | 32×32 |" in done.out
    assert "| good − poor | 5 | 0 | 1 | −0.0" in done.out


@pytest.mark.skipif(not LPIPS.is_file(), reason="no LPIPS weights beside the checkout")
def test_with_lpips(compare, folders):
    done = compare(*folders, "--lpips", LPIPS, "--metric", "lpips", "--json", "all.json")
    assert (done.code, done.err) == (0, "")
    assert "Ranking by LPIPS" in done.out
    assert json.loads(Path("all.json").read_text())["about"]["LPIPS"].startswith("v0.1, alex, weights sha256 ")


def test_methods_of_one_name_are_told_apart(compare, folders):
    for run_name, folder in (("one", "good"), ("two", "poor")):
        Path(run_name).mkdir()
        Path(folder).rename(Path(run_name, "out"))
    done = compare("one/out", "two/out/", "--target", "target")
    assert "| 1. one/out |" in done.out and "| 2. two/out |" in done.out


def test_pictures_that_deblur_writes_beside_its_results_are_no_results(compare, folders):
    for name in ("p0_blurmap.png", "p1_compare.png", ".hidden.png"):
        Image.new("RGB", (3, 3)).save(Path("good", name))
    Path("good", "log.txt").write_text("")
    assert compare(*folders).code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--target"),
        (("--target", "target"), "give at least one folder of results"),
        (("good", "good/", "--target", "target"), "good: given more than once"),
        (("good", "--target", ""), "is empty"),
        (("good", "--target", "target", "--protocol", "mine"), "--protocol mine: no such protocol"),
        (("good", "--target", "target", "--metric", "lpips"), "--metric lpips: there are no weights"),
        (("good", "--target", "target", "--json", "all.csv"), "--json all.csv: must end with .json"),
        (("good", "--target", "target", "--csv", "all.json"), "--csv all.json: must end with .csv"),
    ],
)
def test_a_wrong_command_line(compare, folders, args, said, tree):
    before = tree()
    done = compare(*args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert tree() == before


def test_every_fault_has_its_line_and_nothing_is_written(compare, folders, tree):
    Path("good/p0.png").unlink()
    Image.new("RGB", (20, 20)).save("good/stray.png")
    Path("poor/p1_poor.png").rename("poor/p1other2.png")
    before = tree()
    done = compare(*folders, "--json", "all.json")
    assert (done.code, done.out, len(done.errors)) == (1, "", 4)
    for part in ("good: no image for target/p0.png", "good/stray.png", "poor: no image for target/p1", "p1other2.png"):
        assert part in done.err
    assert all(line.endswith("; add or remove it, or give --common") for line in done.errors)
    assert tree() == before


def test_the_images_that_all_folders_have(compare, folders):
    whole = compare(*folders, "--json", "whole.json")
    assert "- images: 6\n" in whole.out
    Path("good/p0.png").unlink()
    Path("good/p1.png").rename("good/p1_net.png")
    Path("poor/p2_poor.png").rename("poor/p2.png")
    Image.new("RGB", (20, 20)).save("good/stray.png")
    done = compare(*folders, "--common", "--json", "some.json")
    assert done.code == 0
    assert done.errors[:2] == [
        "fdikp: missing in good: 1 of 6 images: p0",
        "fdikp: further files of good: 1 without an image of that name: stray.png",
    ]
    assert "- images: 5 of 6, which all folders have\n- missing in good: 1 of 6 images: p0\n" in done.out
    kept = Evaluation.from_json(Path("some.json").read_text()).images
    assert kept == tuple(r for r in Evaluation.from_json(Path("whole.json").read_text()).images if r.image != "p0")


def test_a_result_that_equals_its_target_is_in_no_mean(compare, folders):
    shutil.copy("target/p1.png", "good/p1.png")
    done = compare(*folders, "--json", "all.json")
    assert "| method | PSNR | SSIM | MAE | images | identical | scored |" in done.out
    assert "- identical: left out of all means, because PSNR is infinite. target: result of good equals target: p1" in (
        done.out
    )
    found = json.loads(Path("all.json").read_text(), parse_constant=pytest.fail)
    assert found["identical"][0]["left_out"] == ["p1"]
    for name in ("good/p1.png", "poor/p1_poor.png", "target/p1.png"):
        Path(name).unlink()
    rest = compare(*folders).out.splitlines()
    for line, other in zip(done.out.splitlines()[4:6], rest[4:6], strict=True):
        assert line.replace(" | 5 | 1 | ", " | 5 | ") == other
    assert done.out.splitlines()[8:17] == rest[8:17]  # differences and counts


def test_folders_that_are_not_there_are_told_together(compare, folders):
    Path("empty").mkdir()
    done = compare("good", "gone", "empty", "--target", "nowhere")
    assert (done.code, len(done.errors)) == (1, 3)
    for part in ("gone: no such file or folder", "empty: no photo in it", "nowhere: no such file or folder"):
        assert part in done.err


def test_damaged_pictures_are_told_and_nothing_is_written(compare, folders, tree):
    Image.new("RGB", (48, 41)).save("good/p1.png")
    Path("poor/p2_poor.png").write_bytes(Path("poor/p2_poor.png").read_bytes()[:300])
    before = tree()
    done = compare(*folders, "--json", "all.json")
    assert (done.code, done.out) == (1, "")
    assert "good/p1.png is 48x41 but its target p1.png 48x40" in done.err
    assert "poor/p2_poor.png: cannot be read" in done.err
    assert tree() == before


def test_a_file_that_cannot_be_written(compare, folders):
    done = compare(*folders, "--csv", "nowhere/all.csv")
    assert done.code == 1
    assert "nowhere/all.csv: cannot be written" in done.errors[-1]
