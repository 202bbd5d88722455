"""What a run says at its end: the files that it did not take, by kind, and its figures."""

import json
from pathlib import Path

import pytest

from fdikp.imaging.formats import FORMATS
from fdikp.jobs import DeblurResult, RunSummary
from fdikp.jobs import skipped as module
from fdikp.jobs import summary as summary_module
from fdikp.jobs.skipped import SkippedFile, describe_skipped, skipped_file


@pytest.fixture
def bare(monkeypatch):
    """An installation without the optional readers."""
    monkeypatch.setattr(module, "readable", lambda name: FORMATS[name].extra is None)
    for user in (module, summary_module):
        monkeypatch.setattr(user, "install_hint", lambda extra: f"install the {extra} extra")


def files(*names: str) -> list[SkippedFile]:
    return [one for name in names if (one := skipped_file(Path(name)))]


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ([], []),
        (["a.txt", "b.jpg.aae", "c"], []),
        (["a.NEF"], ["1 RAW file skipped: install the raw extra"]),
        (["a.nef", "b.cr3"], ["2 RAW files skipped: install the raw extra"]),
        (
            ["a.heic", "b.HEIF", "c.jxl"],
            ["2 HEIC files skipped: install the heic extra", "1 JPEG XL file skipped: install the jxl extra"],
        ),
        (["a.psd"], ["1 file skipped that fdikp does not read: 1 PSD"]),
        (["a.psd", "b.mov", "c.mp4"], ["3 files skipped that fdikp does not read: 1 PSD, 2 video"]),
        (
            ["a.dng", "a.xcf"],
            ["1 RAW file skipped: install the raw extra", "1 file skipped that fdikp does not read: 1 XCF"],
        ),
    ],
)
def test_a_line_for_each_kind(bare, names, lines):
    assert describe_skipped(files(*names)) == lines


def test_earlier_results_and_hidden_files_are_counted():
    results = [skipped_file(Path(f"{name}_deblurred.jpg"), earlier_result=True) for name in "ab"]
    hidden = [skipped_file(Path(".a.jpg"), hidden=True)]
    assert describe_skipped(results + hidden) == ["2 earlier results left out", "1 hidden file left out"]


def test_an_installed_reader_is_not_said_to_be_missing():
    """A caller may leave out photos that fdikp reads."""
    (one,) = files("a.jpg")
    assert (one.reason, one.extra) == ("not_read", None)


def result(name: str, status: str = "ok", folder: str = "out") -> DeblurResult:
    return DeblurResult(Path(name), Path(folder, name) if status != "failed" else None, status)


MIXED = [result("a.jpg"), result("b.jpg"), result("c.jpg", "skipped"), result("d.jpg", "failed")]


def test_the_last_line_has_the_figures(bare):
    summary = RunSummary(MIXED, files("e.nef", "f.psd"), 83.4)
    assert summary.lines()[-1] == "2 done, 3 skipped, 1 failed in 1 min 23 s; results in out"
    assert len(summary.lines()) == 3


def test_json_has_the_same_figures(bare):
    values = json.loads(RunSummary(MIXED, files("e.nef", "f.cr2", "g.psd"), 1.23456).to_json())
    assert values == {
        "done": 2,
        "planned": 0,
        "skipped": 4,
        "failed": 1,
        "destination": "out",
        "seconds": 1.235,
        "not_taken": [
            {"reason": "extra_missing", "kind": "RAW", "files": 2, "hint": "install the raw extra"},
            {"reason": "not_read", "kind": "PSD", "files": 1, "hint": None},
        ],
    }


@pytest.mark.parametrize(
    ("folders", "destination"),
    [
        ([], None),
        (["out"], "out"),
        (["out/a", "out/b/c"], "out"),
        (["x", "y"], "."),
        (["/tmp/x", "y"], None),
        (["/tmp/x", "/tmp/x/y"], "/tmp/x"),
    ],
)
def test_the_destination_is_the_folder_of_all_results(folders, destination):
    summary = RunSummary([result("a.jpg", folder=folder) for folder in folders], [], 1.0)
    assert summary.destination == (Path(destination) if destination else None)
    assert ("results in" in summary.lines()[-1]) == (destination is not None)
