"""What each option of `fdikp deblur` does. The network is untrained and returns what it is given."""

import json
import re

import numpy as np
import pytest
from PIL import Image

UNCHANGED = "The result hardly differs from the photo, which is probably in focus."


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_beside_the_photograph_by_default(deblur, picture, tree, tmp_path):
    picture("a.png")
    done = deblur("a.png")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("a.png -> a_deblurred.png (")
    assert len(done.out.splitlines()) == 1
    assert tree() == ["a.png", "a_deblurred.png"]
    np.testing.assert_array_equal(pixels(tmp_path / "a_deblurred.png"), pixels(tmp_path / "a.png"))


def test_a_second_run_does_not_deblur_results(deblur, picture, tree):
    picture("x/a.png")
    assert deblur("x").code == 0
    done = deblur("x", "--skip-existing")
    assert (done.code, done.out) == (0, "x/a.png: skipped, x/a_deblurred.png exists\n")
    assert tree() == ["x/a.png", "x/a_deblurred.png"]


def test_an_output_folder_inside_the_input_is_no_input(deblur, picture, tree):
    picture("x/a.png"), picture("x/y/b.jpg")
    assert deblur("x", "-o", "x/fixed").code == 0
    assert deblur("x", "-o", "x/fixed", "--overwrite").code == 0
    assert tree("x") == ["a.png", "fixed/a.png", "fixed/y/b.jpg", "y/b.jpg"]


def test_output_names_the_only_result(deblur, picture, tree):
    picture("a.png")
    assert deblur("a.png", "-o", "new/sharp.jpg").code == 0
    assert tree() == ["a.png", "new/sharp.jpg"]
    assert Image.open("new/sharp.jpg").format == "JPEG"


@pytest.mark.parametrize("output", ["out", "out/", "out.d/"])
def test_output_names_a_folder(deblur, picture, tree, output):
    picture("a.png")
    assert deblur("a.png", "-o", output).code == 0
    assert tree(output) == ["a.png"]


def test_suffix(deblur, picture, tree):
    picture("a.png")
    assert deblur("a.png", "--suffix", " (sharp)").code == 0
    assert deblur("a.png", "--suffix", "-2", "-o", "out").code == 0
    assert tree() == ["a (sharp).png", "a.png", "out/a-2.png"]


@pytest.mark.parametrize(
    ("format", "suffix", "pillow"),
    [("jpeg", ".jpg", "JPEG"), ("png", ".png", "PNG"), ("tiff", ".tif", "TIFF"), ("webp", ".webp", "WEBP")],
)
def test_format(deblur, picture, format, suffix, pillow):
    picture("a.png")
    assert deblur("a.png", "--format", format, "-o", "out").code == 0
    assert Image.open(f"out/a{suffix}").format == pillow


def test_format_avif(deblur, picture, tree):
    picture("a.png")
    assert deblur("a.png", "--format", "avif").code == 0
    assert "a_deblurred.avif" in tree()


def test_the_extension_stays_as_it_was_written(deblur, picture, tree):
    picture("a.JPEG", format="JPEG")
    assert deblur("a.JPEG").code == 0
    assert deblur("a.JPEG", "--format", "jpeg", "--suffix", "_x").code == 0
    assert tree() == ["a.JPEG", "a_deblurred.JPEG", "a_x.JPEG"]


def test_quality(deblur, picture, tmp_path):
    picture("a.jpg", (200, 300))
    for quality in (20, 95):
        assert deblur("a.jpg", "--quality", quality, "--suffix", quality).code == 0
    assert (tmp_path / "a20.jpg").stat().st_size < (tmp_path / "a95.jpg").stat().st_size


def test_strip(deblur, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert deblur("a.jpg", "-o", "kept").code == 0
    assert deblur("a.jpg", "-o", "stripped", "--strip").code == 0
    assert Image.open("kept/a.jpg").getexif()[0x010F] == "Camera"
    assert 0x010F not in Image.open("stripped/a.jpg").getexif()


def test_strength_tile_and_max_pixels_reach_the_library(deblur, picture, monkeypatch):
    from fdikp.inference.deblurrer import Deblurrer

    picture("a.png", (150, 100))
    seen = []
    restore = Deblurrer.restore

    def spy(self, photo, **options):
        seen.append((options["strength"], self.tile))
        return restore(self, photo, **options)

    monkeypatch.setattr(Deblurrer, "restore", spy)
    done = deblur("a.png", "--strength", "0.5", "--tile", "64", "--json")
    assert seen == [(0.5, 64)]
    assert json.loads(done.out)["tiles"] > 1
    assert deblur("a.png", "--tile", "0", "--overwrite").code == 0
    assert seen[1:] == [(1.0, 0)]
    done = deblur("a.png", "--max-pixels", "1000", "--overwrite")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "--max-pixels" in done.err


def test_memory_chooses_the_tile_and_refuses_large_photos(deblur, picture):
    picture("a.png", (150, 100)), picture("b.png", (2000, 2000))
    done = deblur("a.png", "--memory", "2G", "--json")
    assert json.loads(done.out)["tiles"] == 1
    done = deblur("a.png", "--memory", "300M", "--overwrite")
    assert (done.code, done.out, len(done.errors)) == (2, "", 1)
    too_small = re.match(
        r"fdikp: tiny: needs at least (\d+) MiB.* and may take 300 MiB; give a larger --memory", done.err
    )
    assert too_small
    done = deblur("a.png", "b.png", "--memory", f"{too_small[1]}M", "--overwrite", "--json")
    assert done.code == 1
    small, large = map(json.loads, done.out.splitlines())
    assert small["tiles"] > 1
    assert large["code"] == "over_memory_budget"
    lacking = re.match(
        r"b.png: the photo and its result need \d+ MiB of memory, (\d+) MiB more .* --tile 64", large["error"]
    )
    assert lacking
    enough = int(too_small[1]) + int(lacking[1])
    refused = deblur("b.png", "--memory", f"{enough - 2}M", "--tile", "64")  # what `enough` does would take a minute
    assert refused.code == 1 and re.search(r", [12] MiB more than is left", refused.err)


def test_the_default_tile_is_the_librarys():
    from fdikp.cli.model_options import ModelOptions
    from fdikp.models.descriptor import DEFAULT_TILE

    assert ModelOptions().tile == DEFAULT_TILE


def test_an_existing_result_is_refused_skipped_or_replaced(deblur, picture, tmp_path):
    picture("a.png")
    result = tmp_path / "a_deblurred.png"
    result.write_text("mine")
    done = deblur("a.png")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)
    assert "a_deblurred.png exists" in done.err
    assert deblur("a.png", "--skip-existing").code == 0
    assert result.read_text() == "mine"
    assert deblur("a.png", "--overwrite").code == 0
    assert Image.open(result).size == (30, 20)


@pytest.mark.parametrize(
    "args", [["--suffix", ""], ["-o", "."], ["-o", "./a.png"], ["--suffix", "", "--skip-existing"]]
)
def test_a_photograph_is_replaced_only_when_asked(deblur, picture, tree, args):
    before = picture("a.png").read_bytes()
    done = deblur("a.png", *args)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "a.png: would be replaced by its result" in done.err
    assert (tree(), picture("a.png").read_bytes()) == (["a.png"], before)


def test_overwrite_in_place(deblur, picture, tree):
    picture("a.png"), picture("x/b.jpg")
    assert deblur(".", "-o", ".", "--overwrite").code == 0
    assert tree() == ["a.png", "x/b.jpg"]


def test_a_folder_in_the_place_of_a_result(deblur, picture, tree, tmp_path):
    picture("a.png")
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    done = deblur("a.png", "-o", "out", "--overwrite")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "is a folder" in done.err
    assert tree() == ["a.png"]


def test_collisions_are_reported_before_any_work(deblur, picture, tree, monkeypatch):
    picture("a.jpg"), picture("a.png")
    monkeypatch.setattr("fdikp.inference.load.load_model", None)  # calling it would show
    done = deblur("a.jpg", "a.png", "--format", "png", "-o", "out")
    assert (done.code, done.out) == (1, "")
    assert len(done.errors) == 3
    assert "a.jpg: out/a.png would also be the result of a.png" in done.errors[0]
    assert tree() == ["a.jpg", "a.png"]


def test_two_names_for_one_result_lose_nothing(deblur, picture, tmp_path):
    """As where case does not count; here by a folder that is a link to another."""
    picture("x/a.png"), picture("y/a.png", (8, 8))
    (tmp_path / "out/x").mkdir(parents=True)
    (tmp_path / "out/y").symlink_to("x")
    done = deblur("x", "y", "-o", "out", "--overwrite")
    assert (done.code, len(done.errors)) == (1, 2)
    assert "was just written for another photo" in done.err
    assert Image.open("out/x/a.png").size == (30, 20)


def test_side_images(deblur, picture, tree):
    picture("x/a.jpg", (40, 60))
    sides = ("--blur-map", "--blur-map-figure", "--confidence-map", "--compare")
    done = deblur("x", "-o", "out", *sides, "--json")
    assert (done.code, done.err) == (0, "")
    assert tree("out") == ["a.jpg", "a_blurmap.png", "a_blurmap_figure.png", "a_compare.jpg", "a_confidence.png"]
    blur_map, confidence = (Image.open(f"out/a_{name}.png") for name in ("blurmap", "confidence"))
    assert (blur_map.mode, blur_map.size, blur_map.text["Unit"]) == ("I;16", (60, 40), "1/256 pixel")
    assert (confidence.mode, confidence.size) == ("L", (60, 40))
    assert Image.open("out/a_blurmap_figure.png").width == 900
    both = Image.open("out/a_compare.jpg")
    assert both.size == (121, 40)
    line = np.asarray(both.convert("L"))[:, 60]
    assert line.min() > 200
    outcome = json.loads(done.out)
    assert (outcome["blur_map"], outcome["compare"]) == ("out/a_blurmap.png", "out/a_compare.jpg")
    figure, certain = outcome["blur_map_figure"], outcome["confidence_map"]
    assert (figure, certain) == ("out/a_blurmap_figure.png", "out/a_confidence.png")


def test_side_images_of_a_skipped_photo_are_reported_missing(deblur, picture):
    picture("a.png")
    assert deblur("a.png", "--blur-map").code == 0
    done = deblur("a.png", "--blur-map", "--compare", "--skip-existing")
    assert done.code == 0
    assert "skipped, a_deblurred.png exists; a_compare.jpg would be written only together with" in done.out


def test_photos_with_a_result_are_counted_apart(deblur, picture, tmp_path):
    picture("x/a.png"), picture("x/b.png")
    assert deblur("x", "-o", "out").code == 0
    (tmp_path / "x/c.jpg").write_text("text")
    done = deblur("x", "-o", "out")
    assert done.code == 1
    assert done.errors[:2] == ["fdikp: x/a.png: out/a.png exists", "fdikp: x/b.png: out/b.png exists"]
    assert done.errors[3] == (
        "fdikp: 2 photos have a result already; give --overwrite, --skip-existing or another --output"
    )
    assert done.errors[4].startswith("fdikp: 0 done, 0 skipped, 3 failed in ")


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_compare_takes_every_kind(deblur, tmp_path, mode):
    Image.new(mode, (50, 20)).save(tmp_path / "a.png")
    assert deblur("a.png", "--compare").code == 0
    assert Image.open("a_compare.jpg").size == (101, 20)


def test_json_lines(deblur, picture, tmp_path):
    picture("x/a.png"), picture("x/b.jpg"), picture("out/b.jpg")
    (tmp_path / "x/c.jpg").write_text("text")
    done = deblur("x", "-o", "out", "--skip-existing", "--json")
    assert done.code == 1
    ok, skipped, failed = map(json.loads, done.out.splitlines())
    assert ok["seconds"] >= 0 and len(ok["weights_sha256"]) == 64
    assert {**ok, "seconds": 0, "weights_sha256": ""} == {
        "input": "x/a.png",
        "output": "out/a.png",
        "status": "ok",
        "error": None,
        "code": None,
        "hint": None,
        "width": 30,
        "height": 20,
        "seconds": 0,
        "tiles": 1,
        "notes": [UNCHANGED],
        "blur_map": None,
        "blur_map_figure": None,
        "confidence_map": None,
        "compare": None,
        "model": "tiny",
        "weights_sha256": "",
    }
    assert (skipped["status"], skipped["output"]) == ("skipped", "out/b.jpg")
    assert (failed["status"], failed["output"], failed["code"]) == ("failed", None, "photo_unsupported")
    error, summary = done.errors
    assert error == f"fdikp: {failed['error']}"
    assert json.loads(summary) == {
        "done": 1,
        "planned": 0,
        "skipped": 1,
        "failed": 1,
        "destination": "out",
        "seconds": json.loads(summary)["seconds"],
        "not_taken": [],
    }


def test_quiet(deblur, picture):
    picture("a.png")
    done = deblur("a.png", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    done = deblur("a.png", "--quiet")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)


def test_notes_are_told(deblur, picture, monkeypatch):
    from dataclasses import replace

    from fdikp.inference.deblurrer import Deblurrer

    restore = Deblurrer.restore

    def halved(self, photo, **options):
        return replace(restore(self, photo, **options), notes=("out of memory: tile 512 halved to 256",))

    monkeypatch.setattr(Deblurrer, "restore", halved)
    picture("a.png")
    done = deblur("a.png")
    assert done.out.endswith(f"; out of memory: tile 512 halved to 256; {UNCHANGED.removesuffix('.')}\n")
    assert done.err == ""
    assert json.loads(deblur("a.png", "--json", "--overwrite").out)["notes"] == [
        "out of memory: tile 512 halved to 256",
        UNCHANGED,
    ]
    assert json.loads(deblur("a.png", "--json", "--overwrite", "--strength", "0").out)["notes"] == [
        "out of memory: tile 512 halved to 256"
    ]


def test_the_model_is_loaded_once_and_only_when_needed(deblur, picture, monkeypatch):
    from fdikp import load_model

    calls = []

    def counting(*args, **options):
        calls.append(args)
        return load_model(*args, **options)

    monkeypatch.setattr("fdikp.inference.load.load_model", counting)
    picture("a.png"), picture("b.png")
    assert deblur("a.png", "b.png").code == 0
    assert len(calls) == 1
    assert deblur("a.png", "b.png", "--skip-existing").code == 0
    assert deblur("nothing.png").code == 1
    assert len(calls) == 1


def test_bars_are_shown_on_a_terminal(deblur, picture, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    picture("a.png"), picture("b.png")
    done = deblur("a.png", "b.png")
    assert done.code == 0
    assert "photos" in done.err and "2/2" in done.err and "b.png" in done.err
    assert len(done.out.splitlines()) == 2  # stdout is no terminal here: it gets its lines
    assert "photos" not in deblur("a.png", "b.png", "--quiet", "--overwrite").err


def test_ensemble_is_the_mean_of_eight_positions(run, picture, tmp_path, tiny_weights):
    from fdikp import load_model

    picture("a.png")
    how = ("--model", tiny_weights, "--device", "cpu", "--precision", "float32")
    assert run("deblur", "a.png", *how, "--ensemble", model=False).code == 0
    expected = load_model(tiny_weights, "cpu", "float32", ensemble=True)(pixels(tmp_path / "a.png"))
    np.testing.assert_array_equal(pixels(tmp_path / "a_deblurred.png"), expected)
    assert not np.array_equal(expected, load_model(tiny_weights, "cpu", "float32")(pixels(tmp_path / "a.png")))
