"""`fdikp evaluate`: tables, folders of results, and refusals."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    for kind in ("source", "target"):
        (folder / kind).mkdir(parents=True)
        for name in ("a", "b", "c"):
            Image.effect_noise((64, 48), 60).convert("RGB").save(folder / kind / f"{name}.png")
    return folder


def evaluate(run, weights_file, *args):
    return run("evaluate", weights_file, *args, "--device", "cpu", model=False)


def test_a_table_with_all_it_depends_on(run, weights_file, pairs):
    result = evaluate(run, weights_file, "--data", f"mine={pairs}")
    assert result.code == 0, result.err
    for word in ("mine", "tiny", "PSNR", "defocus", "64×48", "float32", "512", "torch"):
        assert word in result.out
    assert "LPIPS is left out" in result.err


def test_a_folder_of_results_that_goes_on(run, weights_file, pairs, tmp_path):
    first = evaluate(run, weights_file, "--data", f"mine={pairs}", "--output", "out", "--limit", "2", "--save-images")
    assert first.code == 0, first.err
    out = tmp_path / "out"
    assert {"results.json", "images.csv", "table.md", "table.tex", "images.jsonl", "images"} == {
        file.name for file in out.iterdir()
    }
    assert Image.open(out / "images" / "tiny" / "mine" / "a.png").size == (64, 48)
    assert "only the first 2 images" in (out / "table.md").read_text()
    again = evaluate(run, weights_file, "--data", f"mine={pairs}", "--output", "out")
    assert again.code == 1 and "--resume" in again.err
    shutil.rmtree(out / "images")
    whole = evaluate(run, weights_file, "--data", f"mine={pairs}", "--output", "out", "--resume", "--save-images")
    assert whole.code == 0, whole.err
    assert [file.name for file in (out / "images" / "tiny" / "mine").iterdir()] == ["c.png"]  # only what was not known
    assert [r["image"] for r in json.loads((out / "results.json").read_text())["images"]] == ["a", "b", "c"]
    other = evaluate(run, weights_file, "--data", f"mine={pairs}", "--output", "out", "--resume", "--strength", "0.5")
    assert other.code == 1 and "strength" in other.err


def test_markdown_and_latex(run, weights_file, pairs):
    assert "| mine |" in evaluate(run, weights_file, "--data", f"mine={pairs}", "--markdown", "--quiet").out
    assert r"\toprule" in evaluate(run, weights_file, "--data", f"mine={pairs}", "--latex", "--quiet").out


def test_a_terminal_gets_tables_with_every_value(run, weights_file, pairs, shown):
    command = ("--data", f"mine={pairs}", "--output")
    text = shown(70, lambda: evaluate(run, weights_file, *command, "out"))
    assert "|" not in text and "…" not in text and "protocol: defocus" in text
    head, _, row = (pairs.parent / "out" / "table.md").read_text().splitlines()[:3]
    for word in f"{head} {row}".replace("|", "").split():
        assert word in text, word
    again = shown(70, lambda: evaluate(run, weights_file, *command, "out", "--resume", "--markdown"))
    assert again.rstrip() == (pairs.parent / "out" / "table.md").read_text().rstrip()


def test_sources_that_equal_their_targets_are_named_and_in_no_mean(run, weights_file, pairs, tmp_path):
    shutil.copy(pairs / "target" / "b.png", pairs / "source" / "b.png")
    result = evaluate(run, weights_file, "--data", f"mine={pairs}", "--output", "out", "--report", "page")
    assert result.code == 0, result.err
    head, _, row = (line.split(" | ") for line in result.out.splitlines()[:3])
    cells = dict(zip(head, row, strict=True))
    assert (cells["images"], cells["identical"]) == ("2", "1")
    assert "- identical: left out of all means, because PSNR is infinite. mine: source equals target: b; " in result.out
    found = json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=pytest.fail)
    assert found["identical"][0]["sources"] == ["b"]
    kept = [image["after"]["psnr"] for image in found["images"] if image["image"] != "b"]
    assert cells["PSNR"].endswith(f" → {sum(kept) / 2:.2f}")
    assert "source equals target: b" in (tmp_path / "page" / "report.html").read_text()
    for file in ("source/a.png", "source/c.png"):
        shutil.copy(pairs / "target" / Path(file).name, pairs / file)
    none = evaluate(run, weights_file, "--data", f"mine={pairs}")
    head, _, row = (line.split(" | ") for line in none.out.splitlines()[:3])
    cells = dict(zip(head, row, strict=True))
    assert (none.code, cells["images"], cells["identical"]) == (0, "0", "3")
    assert (cells["PSNR"], cells["SSIM"], cells["MAE"]) == ("–", "–", "–")


def test_every_fault_of_every_set_is_said_before_anything_is_measured(run, weights_file, pairs, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pairs, other)
    (pairs / "target" / "a.png").unlink()
    (other / "source" / "b.png").write_bytes(b"no picture")
    Image.new("RGB", (10, 10)).save(other / "target" / "c.png")
    result = evaluate(
        run, weights_file, "--data", f"x={pairs}", f"y={other}", f"z={tmp_path / 'none'}", "--output", "out"
    )
    assert result.code == 1 and result.out == ""
    for name in ("a.png", "b.png", "c.png", "none"):
        assert any(name in line for line in result.errors)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "--data"),
        (["--data", "pairs"], "NAME=PATH"),
        (["--data", "a=x", "a=y"], "more than once"),
        (["--data", "a=x", "--protocol", "none"], "no such protocol"),
        (["--data", "a=x", "--limit", "0"], "--limit"),
        (["--data", "a=x", "--tile", "100"], "--tile"),
        (["--data", "a=x", "--resume"], "--output"),
        (["--data", "a=x", "--markdown", "--latex"], "both"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, weights_file, args, says):
    result = evaluate(run, weights_file, *args)
    assert result.code == 2 and says in result.err and len(result.errors) == 1


def test_an_unknown_model_is_said_before_anything_is_measured(run, pairs):
    result = run("evaluate", "no-such-model", "--data", f"mine={pairs}", model=False)
    assert result.code == 2 and "no-such-model" in result.err


def test_a_report_shows_the_restored_pictures(run, weights_file, pairs, tmp_path):
    result = evaluate(run, weights_file, "--data", f"mine={pairs}", "--report", "page", "--markdown")
    assert result.code == 0, result.err
    page = (tmp_path / "page" / "report.html").read_text()
    assert page.count("data:image/") >= 3 * 3
    assert "page/report.html" in result.err and "report.html" not in result.out
