import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

COMMAND = [sys.executable, "-c", "import sys; from fdikp.cli import main; sys.exit(main())", "render"]
CLEAN = [
    "--p-sharp",
    "1",
    "--p-noise",
    "0",
    "--p-jpeg",
    "0",
    "--p-sharpened",
    "0",
    "--p-tone-curve",
    "0",
    "--p-luminance-noise",
    "0",
    "--no-keep-grain",
]
CLEAN += ["--p-oversharpened", "0", "--p-highlight-boost", "0"]


@pytest.fixture
def render(run):
    return lambda *args: run("render", *args, model=False)


@pytest.fixture
def sharp(picture):
    """A folder `sharp` with three photos of different sizes."""
    for name, size in (("a.png", (40, 60)), ("b.jpg", (48, 48)), ("deep/c.png", (64, 44))):
        picture(f"sharp/{name}", size)
    return "sharp"


def manifest(folder: str = "out/train_c") -> dict:
    return json.loads(Path(folder, "manifest.json").read_text())


def contents(folder: str = "out") -> dict[str, str]:
    """Digest of every image below a folder."""
    files = sorted(Path(folder).rglob("*.png"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_set_in_the_layout_of_dpdd(render, sharp, tree):
    done = render(sharp, "-o", "out", "--size", "32", "--radius-maps")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"out/train_c: 3 pairs rendered in [\d.]+ s\n", done.out)
    names = [f"{number:06}.png" for number in range(3)]
    assert tree("out/train_c") == [
        "manifest.json",
        *(f"{k}/{n}" for k in ("radius", "source", "target") for n in names),
    ]
    made = manifest()
    assert [row["file"] for row in made["pairs"]] == names
    assert {Path(row["photo"]).name for row in made["pairs"]} == {"a.png", "b.jpg", "c.png"}
    assert made["made_with"]["max_radius"] == 9.5
    assert {"fdikp", "seed", "size", "depth"} <= set(made["made_with"])
    for row in made["pairs"]:
        source, target = (Image.open(f"out/train_c/{kind}/{row['file']}") for kind in ("source", "target"))
        assert (source.mode, source.size, target.mode, target.size) == ("RGB", (32, 32), "RGB", (32, 32))
        radius = np.asarray(Image.open(f"out/train_c/radius/{row['file']}")) * made["radius_map_unit_pixels"]
        assert radius.shape == (32, 32)
        assert radius.mean() == pytest.approx(row["radius_mean"], abs=0.003)
        assert radius.max() == pytest.approx(row["radius_max"], abs=0.003)
        assert np.mean(radius < 0.498) <= row["in_focus"] + 1e-4 <= np.mean(radius < 0.502) + 2e-4


def test_a_sharp_target_is_the_tile_that_the_manifest_names(render, sharp):
    assert render(sharp, "-o", "out", "--size", "20", "--count", "7", *CLEAN).code == 0
    photos = []
    for row in manifest()["pairs"]:
        x, y, width, height = row["tile"]
        tile = np.asarray(Image.open(row["photo"]))[y : y + height, x : x + width]
        for kind in ("source", "target"):
            assert np.array_equal(np.asarray(Image.open(f"out/train_c/{kind}/{row['file']}")), tile)
        photos.append(row["photo"])
    assert len({*photos[:3]}) == len({*photos[3:6]}) == 3  # each once before any again


def test_whole_photos_and_other_splits(render, sharp):
    assert render(sharp, "-o", "out", "--size", "0", "--split", "test").code == 0
    sizes = {Image.open(file).size for file in Path("out/test_c/source").iterdir()}
    assert sizes == {(60, 40), (48, 48), (44, 64)}


def test_16_bits_in_and_out(render, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), np.uint16)
    (tmp_path / "sharp").mkdir()
    tifffile.imwrite(tmp_path / "sharp/a.tif", pixels)
    assert render("sharp", "-o", "out", "--size", "0", "--depth", "16", *CLEAN).code == 0
    from fdikp.imaging import read_photo

    target = read_photo("out/train_c/target/000000.png").pixels
    assert np.array_equal(target, pixels)
    assert (
        render(
            "sharp",
            "-o",
            "more",
            "--size",
            "0",
            "--depth",
            "16",
            "--p-uniform",
            "1",
            "--p-sharp",
            "0",
            "--p-jpeg",
            "0",
        ).code
        == 0
    )
    source = read_photo("more/train_c/source/000000.png").pixels
    assert source.dtype == np.uint16
    assert np.mean(source % 257 == 0) < 0.1  # not 8 bits in 16


def test_grey_photos_and_colour_profiles(render, tmp_path):
    (tmp_path / "sharp").mkdir()
    Image.fromarray(np.full((20, 20), 99, np.uint8)).save("sharp/grey.png")
    Image.new("RGB", (20, 20), (9, 99, 199)).save("sharp/rgb.png", icc_profile=(icc := profile()))
    assert render("sharp", "-o", "out", "--size", "16").code == 0
    for row in manifest()["pairs"]:
        target = Image.open(f"out/train_c/target/{row['file']}")
        assert target.mode == "RGB"
        assert target.info.get("icc_profile") == (icc if row["photo"].endswith("rgb.png") else None)


def profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_the_result_does_not_depend_on_workers(render, sharp):
    settings = ["--size", "24", "--count", "6", "--radius-maps", "--p-cats-eye", "1", "--p-mosaic", "1"]
    assert render(sharp, "-o", "one", *settings, "--workers", "1").code == 0
    assert render(sharp, "-o", "three", *settings, "--workers", "3").code == 0
    assert contents("one") == contents("three")
    assert manifest("one/train_c") == manifest("three/train_c")
    assert render(sharp, "-o", "other", *settings, "--seed", "1", "--count", "3").code == 0
    assert not {*contents("one").values()} & {*contents("other").values()}


def test_what_was_stopped_goes_on_to_the_same_set(render, sharp, tree, monkeypatch):
    from fdikp.synthesis.dataset import RenderedSet

    arguments = [sharp, "-o", "out", "--size", "24", "--count", "6", "--workers", "1"]
    make, calls = RenderedSet.render, []

    def interrupted(self, number):
        calls.append(number)
        if calls == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return make(self, number)

    monkeypatch.setattr(RenderedSet, "render", interrupted)
    done = render(*arguments)
    assert (done.code, done.out) == (130, "")
    assert done.err == "fdikp: stopped; 3 of 6 pairs rendered; repeat the command to continue\n"
    assert len(manifest()["pairs"]) == 3
    Path("out/train_c/source/000001.png").unlink()
    calls.clear()
    done = render(*arguments)
    assert (done.code, calls) == (0, [1, 3, 4, 5])
    assert "4 pairs rendered" in done.out and "2 existed already" in done.out
    assert render(sharp, "-o", "whole", *arguments[3:]).code == 0
    assert contents("out") == contents("whole")
    assert manifest("out/train_c") == manifest("whole/train_c")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_from_outside(sharp, tree, tmp_path, sent, code):
    arguments = [sharp, "-o", "out", "--size", "40", "--count", "5000", "--workers", "2", "--json"]
    process = subprocess.Popen(
        COMMAND + arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # As in a terminal: where tests run in the background, Ctrl-C is ignored by all that they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.stdout.readline()
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    stopped = re.fullmatch(r"fdikp: stopped; (\d+) of 5000 pairs rendered; repeat the command to continue\n", err)
    rows = manifest(tmp_path / "out/train_c")["pairs"]
    assert len(rows) == int(stopped[1]) >= 1
    for name in tree("out"):
        assert not Path(name).name.startswith(".")
        if name.endswith(".png"):
            Image.open(tmp_path / "out" / name).load()


def test_a_larger_count_adds_and_a_smaller_one_takes_nothing_away(render, sharp):
    assert render(sharp, "-o", "out", "--size", "24", "--count", "4").code == 0
    before = contents()
    done = render(sharp, "-o", "out", "--size", "24", "--count", "2")
    assert "0 pairs rendered" in done.out
    assert len(manifest()["pairs"]) == 4
    assert render(sharp, "-o", "out", "--size", "24", "--count", "6").code == 0
    assert before.items() < contents().items()


def test_a_set_made_otherwise_is_replaced_only_when_asked(render, sharp, tree):
    assert render(sharp, "-o", "out", "--size", "24", "--count", "4", "--radius-maps").code == 0
    before = contents()
    done = render(sharp, "-o", "out", "--size", "24", "--seed", "5", "--radius-maps")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)
    assert "seed 0, now 5" in done.err and "--overwrite" in done.err
    assert contents() == before
    assert render(sharp, "-o", "out", "--size", "20", "--count", "2", "--overwrite").code == 0
    assert tree("out/train_c") == [
        "manifest.json", *(f"{kind}/00000{n}.png" for kind in ("source", "target") for n in (0, 1))
    ]  # fmt: skip


def test_a_set_of_a_version_with_other_settings_is_rendered_again(render, sharp, tree):
    """Training reads such a set by its layout; only adding to it needs the settings."""
    from fdikp.data import find_pairs

    assert render(sharp, "-o", "out", "--size", "24", "--count", "2").code == 0
    file = Path("out/train_c/manifest.json")
    file.write_text(file.read_text().replace('"p_noise"', '"share_noisy"'))
    before = contents()
    done = render(sharp, "-o", "out", "--size", "24", "--count", "3")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)
    assert "out/train_c: holds pairs made by a version of fdikp with other settings; give --overwrite" in done.err
    assert contents() == before
    assert len(find_pairs(Path("out"), "train").pairs) == 2
    assert render(sharp, "-o", "out", "--size", "24", "--count", "3", "--overwrite").code == 0
    assert before.items() < contents().items()
    assert "p_noise" in manifest()["made_with"]


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_files_of_others_are_left_alone(render, sharp, picture, tree, more):
    picture("out/train_c/source/holiday.png")
    done = render(sharp, "-o", "out", "--size", "24", *more)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "out/train_c: holds files" in done.err
    assert tree("out") == ["train_c/source/holiday.png"]


def test_photos_that_cannot_be_used_are_named_once_and_the_others_are(render, sharp, tmp_path):
    (tmp_path / "sharp/bad.png").write_bytes((tmp_path / "sharp/a.png").read_bytes()[:200])
    Image.new("RGB", (90, 10)).save(tmp_path / "sharp/small.png")
    done = render(sharp, "-o", "out", "--size", "24", "--count", "10")
    assert done.code == 1
    assert len(done.errors) == 3
    assert sum("sharp/bad.png: " in line for line in done.errors) == 1
    assert (
        sum(
            "sharp/small.png: 90×10 pixels, smaller" in line and "choose a size up to 10" in line
            for line in done.errors
        )
        == 1
    )
    assert done.errors[-1] == "fdikp: 4 of 10 pairs were not rendered: 2 photos cannot be used"
    assert len(manifest()["pairs"]) == 6


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], 2, "give sharp photos"),
        (["-o", "out"], 2, "give sharp photos"),
        (["sharp"], 2, "give -o DIR"),
        (["sharp", "-o", ""], 2, "empty"),
        (["nowhere", "-o", "out"], 1, "nowhere: no such file"),
        (["empty", "-o", "out"], 2, "empty: no photo in it"),
        (["*.jpg", "-o", "out"], 2, "no photo matches"),
        (["sharp", "-o", "sharp/a.png"], 2, "sharp/a.png: is a file"),
        (["sharp", "-o", "sharp/a.png/out"], 1, "sharp/a.png/out"),
        (["sharp/deep", "-o", "sharp"], 2, "lies in the folder for the pairs"),
        (["sharp", "-o", "out", "--count", "0"], 2, "--count"),
        (["sharp", "-o", "out", "--size", "-1"], 2, "--size"),
        (["sharp", "-o", "out", "--size", "15"], 2, "--size"),
        (["sharp", "-o", "out", "--workers", "0"], 2, "--workers"),
        (["sharp", "-o", "out", "--max-pixels", "0"], 2, "--max-pixels"),
        (["sharp", "--gallery", "sheet.jpg"], 2, "--gallery"),
        (["sharp", "--gallery", ""], 2, "--gallery"),
        (["sharp", "-o", "out", "--gallery", "sheet.png"], 2, "not both"),
    ],
)
def test_what_goes_wrong_is_one_line(render, sharp, tree, tmp_path, args, code, said):
    (tmp_path / "empty").mkdir()
    before = tree()
    done = render(*args)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1)
    assert said in done.err
    assert tree() == before


@pytest.mark.parametrize("args", [["--p-sharp", "2"], ["--max-radius", "0"], ["--depth", "12"], ["--splitt", "x"]])
def test_what_cannot_be_parsed_is_refused(render, sharp, tree, args):
    before = tree()
    done = render(sharp, "-o", "out", *args)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert tree() == before


def test_a_full_disk_ends_the_run_in_one_line(render, sharp, tree, monkeypatch):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if 6 <= len(calls) <= 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    done = render(sharp, "-o", "out", "--size", "24", "--count", "50", "--workers", "1")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)
    assert "no space left" in done.err.lower()
    assert len([name for name in tree("out") if "source" in name]) <= 4
    assert not [name for name in tree("out") if ".part" in name]


def test_an_output_folder_inside_an_input_is_no_input(render, sharp):
    for _ in range(2):
        assert render(sharp, "-o", "sharp/pairs", "--size", "24").code == 0
        assert len(manifest("sharp/pairs/train_c")["pairs"]) == 3


def test_json_rows_are_those_of_the_manifest(render, sharp):
    done = render(sharp, "-o", "out", "--size", "24", "--json", "--workers", "3")
    assert [json.loads(line) for line in done.out.splitlines()] == manifest()["pairs"]
    assert render(sharp, "-o", "quiet", "--size", "24", "--quiet").out == ""


def test_gallery(render, picture, tree, monkeypatch):
    monkeypatch.setattr("fdikp.plots.gallery.LONGEST", 120)  # the sheet's own size stays
    done = render("--gallery", "sheet.png")
    assert (done.code, done.out, done.err) == (0, "sheet.png\n", "")
    chart = Image.open("sheet.png")
    assert chart.width == 1600
    done = render("--gallery", "sheet.png")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "sheet.png exists" in done.err
    picture("a.jpg", (700, 50))
    assert render("a.jpg", "--gallery", "sheet.png", "--overwrite", "--max-radius", "12").code == 0
    assert not np.array_equal(np.asarray(Image.open("sheet.png").resize((9, 9))), np.asarray(chart.resize((9, 9))))
    assert tree() == ["a.jpg", "sheet.png"]
