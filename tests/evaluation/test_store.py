"""The folder of an evaluation: nothing that was measured is lost, and nothing is mixed."""

import csv
import json
from pathlib import Path

import pytest

from fdikp.errors import DataError
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.store import IMAGES_FILE, Store

ABOUT = {"protocol": "defocus", "tile": "512"}


def result(image: str, model: str = "m") -> ImageResult:
    return ImageResult(model, "d", image, None, 9, 8, {"psnr": 20.0}, {"psnr": 21.5}, 0.25)


def filled(folder: Path, *images: str) -> None:
    store = Store(folder, ABOUT, resume=False)
    for image in images:
        store.add(result(image), 100.0)
    store.close()


def test_what_was_measured_is_known_again(tmp_path: Path) -> None:
    filled(tmp_path / "a" / "b", "one", 'two, "quoted" ä')
    store = Store(tmp_path / "a" / "b", ABOUT, resume=True)
    assert list(store.results.values()) == [result("one"), result('two, "quoted" ä')]
    assert store.with_peak(ModelInfo("m", None, None, None, None)).peak_mib == 100.0
    store.add(result("three"), 300.0)
    store.close()
    assert len(Store(tmp_path / "a" / "b", ABOUT, resume=True).results) == 3


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_a_killed_run_left_unfinished_is_measured_again(tmp_path: Path, cut: int) -> None:
    filled(tmp_path, "one", "two")
    file = tmp_path / IMAGES_FILE
    file.write_bytes(file.read_bytes()[:-cut])
    store = Store(tmp_path, ABOUT, resume=True)
    assert [r.image for r in store.results.values()] == ["one"]
    store.add(result("two"), None)
    store.close()
    assert [r.image for r in Store(tmp_path, ABOUT, resume=True).results.values()] == ["one", "two"]


def test_an_empty_file_begins_anew(tmp_path: Path) -> None:
    (tmp_path / IMAGES_FILE).touch()
    Store(tmp_path, ABOUT, resume=True).close()
    assert json.loads((tmp_path / IMAGES_FILE).read_text()) == ABOUT


@pytest.mark.parametrize(
    ("about", "resume", "says"),
    [
        (ABOUT, False, "already holds an evaluation"),
        (ABOUT | {"tile": "256"}, True, r"other settings \(tile\)"),
        (ABOUT | {"weights": "x"}, True, r"other settings \(weights\)"),
        ({"protocol": "defocus"}, True, "more"),
    ],
)
def test_evaluations_are_not_mixed(tmp_path: Path, about: dict[str, str], resume: bool, says: str) -> None:
    filled(tmp_path, "one")
    before = (tmp_path / IMAGES_FILE).read_bytes()
    with pytest.raises(DataError, match=says):
        Store(tmp_path, about, resume=resume)
    assert (tmp_path / IMAGES_FILE).read_bytes() == before


@pytest.mark.parametrize("text", ["nonsense\n", '{"protocol": "defocus", "tile": "512"}\n{"model": 1}\n', "null\n"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / IMAGES_FILE).write_text(text)
    with pytest.raises(DataError) as caught:
        Store(tmp_path, ABOUT, resume=True)
    assert IMAGES_FILE in str(caught.value) or "other settings" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        Store(tmp_path / "file" / "folder", ABOUT, resume=False)


def test_the_documents_hold_what_was_measured(tmp_path: Path) -> None:
    store = Store(tmp_path, ABOUT, resume=False)
    images = (result("one"), result("two"))
    store.finish(Evaluation("defocus", ABOUT, (ModelInfo("m", "0" * 64, 7, 1.0, 9.0),), images))
    store.close()
    assert Evaluation.from_json((tmp_path / "results.json").read_text()).images == images
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["one", "two"]
    assert "21.5" in rows[0].values()
    assert "21.50" in (tmp_path / "table.md").read_text() and "21.50" in (tmp_path / "table.tex").read_text()
