"""Nothing vanishes silently: what a run did not take, its summary, and the plan of a dry run."""

import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image


@pytest.fixture
def bare(monkeypatch):
    """An installation without the packages that read RAW."""
    from fdikp.imaging import formats
    from fdikp.jobs import skipped

    for module in (formats, skipped):
        monkeypatch.setattr(module, "readable", lambda name: name != "raw")


def summary(done) -> str:
    """The last line, without the time."""
    return re.sub(r" in [\d.]+ s", "", done.errors[-1])


def test_photos_that_are_not_taken_are_reported_by_kind(bare, deblur, picture, tmp_path):
    picture("x/a.png"), picture("x/b.jpg"), picture("x/b_deblurred.jpg")
    for name in ("c.NEF", "d.cr3", "e.psd", "notes.txt"):
        (tmp_path / "x" / name).write_bytes(b"")
    done = deblur("x", "-o", "out")
    assert done.code == 0
    assert len(done.out.splitlines()) == 2
    raw, psd, results, _ = done.errors
    assert raw.startswith("fdikp: 2 RAW files skipped: install the raw extra")
    assert psd == "fdikp: 1 file skipped that fdikp does not read: 1 PSD"
    assert results == "fdikp: 1 earlier result left out"
    assert summary(done) == "fdikp: 2 done, 3 skipped, 0 failed; results in out"


def test_one_photo_among_others_that_are_not_taken_has_a_summary_too(bare, deblur, picture, tmp_path):
    picture("x/a.png")
    (tmp_path / "x/b.dng").write_bytes(b"")
    done = deblur("x")
    assert (done.code, len(done.errors)) == (0, 2)
    assert summary(done) == "fdikp: 1 done, 1 skipped, 0 failed; results in x"


def test_the_summary_as_json(bare, deblur, picture, tmp_path):
    picture("x/a.png"), picture("x/b.png")
    (tmp_path / "x/c.dng").write_bytes(b"")
    done = deblur("x", "-o", "out", "--json")
    assert [json.loads(line)["status"] for line in done.out.splitlines()] == ["ok", "ok"]
    (line,) = done.errors
    values = json.loads(line)
    assert (values["done"], values["skipped"], values["failed"], values["destination"]) == (2, 1, 0, "out")
    (kind,) = values["not_taken"]
    assert (kind["kind"], kind["files"]) == ("RAW", 1) and "raw extra" in kind["hint"]


def test_quiet_leaves_the_summary_out(bare, deblur, picture, tmp_path):
    picture("x/a.png"), picture("x/b.png")
    (tmp_path / "x/c.dng").write_bytes(b"")
    done = deblur("x", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    done = deblur("x", "--quiet")
    assert (done.code, len(done.errors)) == (1, 2)
    assert all(line.endswith("give --overwrite, --skip-existing or another --output") for line in done.errors)


def test_the_summary_is_shown_on_a_terminal(deblur, picture, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    picture("x/a.png"), picture("x/b.png")
    assert re.search(r"fdikp: 2 done, 0 skipped, 0 failed in [\d.]+ s; results in x\n$", deblur("x").err)


def test_skipped_photos_are_in_the_summary(deblur, picture):
    picture("x/a.png"), picture("x/b.png"), picture("out/a.png")
    assert summary(deblur("x", "-o", "out", "--skip-existing")) == "fdikp: 1 done, 1 skipped, 0 failed; results in out"


NOTHING_READ = {
    "a missing file": (["gone.jpg"], "gone.jpg: no such file or folder"),
    "an empty folder": (["empty"], "empty: no photo in it"),
    "a glob without match": (["*.gif"], "*.gif: no photo matches"),
    "a glob in no folder": (["nowhere/*"], "nowhere/*: no photo matches"),
    "a folder of text": (["texts"], "texts: no photo in it"),
    "kinds that are not read": (
        ["raws"],
        "raws: no photo that can be read; 2 RAW files skipped: install the raw extra",
    ),
    "a broken link": (["link.jpg"], "link.jpg: a link to nothing"),
}


@pytest.fixture
def nothing(bare, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("texts/a.txt", "raws/a.dng", "raws/b.nef"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link.jpg").symlink_to("gone")


@pytest.mark.parametrize("kind", NOTHING_READ)
@pytest.mark.parametrize("mode", [[], ["--json"], ["--quiet"], ["--dry-run"], ["-o", "out"], ["-o", "out.png"]])
def test_a_run_in_which_nothing_could_be_read_fails(nothing, deblur, tree, kind, mode):
    inputs, error = NOTHING_READ[kind]
    before = tree()
    done = deblur(*inputs, *mode)
    assert (done.code, len(done.errors)) == (1, 1)
    assert done.err.startswith(f"fdikp: {error}")
    assert tree() == before


@pytest.mark.parametrize("kind", NOTHING_READ)
def test_it_fails_alone(nothing, deblur, picture, tree, kind):
    inputs, error = NOTHING_READ[kind]
    picture("good.png")
    done = deblur(*inputs, "good.png", "-o", "out")
    assert tree("out") == ["good.png"]
    if kind == "kinds that are not read":
        assert (done.code, summary(done)) == (0, "fdikp: 1 done, 2 skipped, 0 failed; results in out")
    else:
        assert (done.code, done.errors[0]) == (1, f"fdikp: {error}")
        assert summary(done) == "fdikp: 1 done, 0 skipped, 1 failed; results in out"


class TestDryRun:
    def test_the_plan_is_printed_and_nothing_written(self, bare, deblur, picture, tree, tmp_path):
        picture("x/a.png"), picture("x/b.jpg"), picture("x/c.jpg", format="PNG"), picture("out/b.jpg")
        (tmp_path / "x/d.jpg").write_text("text")
        (tmp_path / "x/e.dng").write_bytes(b"")
        before = tree()
        done = deblur("x", "gone.jpg", "-o", "out", "--skip-existing", "--compare", "--dry-run")
        assert done.code == 1
        assert done.out.splitlines() == [
            "x/a.png -> out/x/a.png, out/x/a_compare.jpg (30 × 20)",
            "x/b.jpg -> out/x/b.jpg, out/x/b_compare.jpg (30 × 20)",
            "x/c.jpg -> out/x/c.png, out/x/c_compare.jpg (30 × 20); The content is PNG, so the result is named c.png",
        ]
        text, gone, raw, last = done.errors
        assert text.startswith("fdikp: x/d.jpg: ") and gone == "fdikp: gone.jpg: no such file or folder"
        assert raw.startswith("fdikp: 1 RAW file skipped")
        assert last == "fdikp: 3 to do, 1 to skip, 2 would fail; results would be in out/x; nothing was written"
        assert tree() == before

    @pytest.mark.parametrize(
        ("args", "code", "out", "err"),
        [
            ([], 1, "", "out/a.png exists"),
            (["--skip-existing"], 0, "a.png: skipped, out/a.png exists\n", ""),
            (["--overwrite"], 0, "a.png -> out/a.png (30 × 20); replaces the existing a.png\n", ""),
            (["--suffix", "2"], 0, "a.png -> out/a2.png (30 × 20)\n", ""),
            (["--overwrite", "--max-pixels", "99"], 1, "", "--max-pixels"),
            (["--overwrite", "--memory", "1000G", "--quiet"], 0, "", ""),
            (["--model", "nothing"], 2, "", "nothing"),
            (["--tile", "7"], 2, "", "--tile"),
        ],
    )
    def test_the_exit_code_is_that_of_the_run(self, deblur, picture, tree, args, code, out, err):
        picture("a.png"), picture("out/a.png")
        before = tree()
        done = deblur("a.png", "-o", "out", "--dry-run", *args)
        assert (done.code, done.out) == (code, out)
        assert err in done.err if err else done.err == ""
        assert tree() == before
        assert deblur("a.png", "-o", "out", *args).code == code

    def test_as_json(self, deblur, picture):
        picture("x/a.png"), picture("x/b.png"), picture("out/a.png")
        done = deblur("x", "-o", "out", "--blur-map", "--json", "--dry-run")
        failed, planned = map(json.loads, done.out.splitlines())
        assert (failed["status"], failed["code"]) == ("failed", "output_exists")
        assert planned["status"] == "planned"
        assert (planned["output"], planned["blur_map"]) == ("out/b.png", "out/b_blurmap.png")
        assert (planned["width"], planned["height"], planned["model"]) == (30, 20, None)
        values = json.loads(done.errors[-1])
        assert (values["planned"], values["failed"], values["done"]) == (1, 1, 0)

    def test_torch_is_not_imported(self, picture, tree, tmp_path):
        picture("a.png")
        program = (
            "import sys; from fdikp.cli import main; code = main(); sys.exit(9 if 'torch' in sys.modules else code)"
        )
        command = [sys.executable, "-B", "-c", program, "deblur", "a.png", "--dry-run", "--memory", "4G"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "a.png -> a_deblurred.png (30 × 20)\n", "")
        assert tree() == ["a.png"]


@pytest.mark.parametrize("flag", [[], ["--keep-dates"]])
def test_dates(deblur, picture, tmp_path, flag):
    source = picture("a.png")
    os.utime(source, (1_000_000, 2_000_000))
    assert deblur("a.png", "-o", "out", *flag).code == 0
    assert ((tmp_path / "out/a.png").stat().st_mtime == 2_000_000) == bool(flag)


def test_dates_that_cannot_be_set_are_told(deblur, picture, tmp_path, monkeypatch):
    def refused(*args, **options):
        raise PermissionError(1, "Operation not permitted")

    picture("a.png")
    monkeypatch.setattr(os, "utime", refused)
    done = deblur("a.png", "-o", "out", "--keep-dates")
    assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert "The dates of the photo's file could not be kept: Operation not permitted" in done.out


@pytest.mark.parametrize("flag", [[], ["--strip"]])
def test_the_edit_is_recorded(deblur, picture, tmp_path, flag):
    picture("a.jpg")
    assert deblur("a.jpg", "-o", "out", "--strength", "0.5", *flag).code == 0
    packet = Image.open(tmp_path / "out/a.jpg").info.get("xmp", b"")
    assert (b'fdikp:Strength="0.5"' in packet) == (not flag)
    assert (b'fdikp:Model="tiny"' in packet) == (not flag)
