"""`fdikp calibrate`: what it writes and prints, and that it fails in one line before it writes anything."""

import json
import re
import shutil

import pytest
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from fdikp import models
from fdikp.models import descriptor
from fdikp.models.checksums import read_checksums, write_checksums

QUICK = ("--pairs", 3, "--crop", 64, "--renderings", 1)


@pytest.fixture
def photos(tmp_path, monkeypatch, weights_file):
    """Folders of sharp photos, and the tiny network."""
    from fdikp.training import calibration

    monkeypatch.setattr(calibration, "ITERATIONS", 5)
    for folder, image in (("sharp", data.coffee()), ("other", data.astronaut())):
        (tmp_path / folder).mkdir()
        for number in range(2):
            part = image[100 * number : 100 * number + 100, 50:170]
            Image.fromarray(part).save(tmp_path / folder / f"{number}.png")
    shutil.copy(weights_file, tmp_path / "tiny.safetensors")
    return tmp_path


def calibrate(run, *args):
    return run("calibrate", *args, model=False)


def test_a_file_is_calibrated_in_place(run, photos):
    before = load_file(photos / "tiny.safetensors")
    done = calibrate(run, "tiny.safetensors", "--data", "sharp", "--test", "other", *QUICK)
    assert (done.code, done.err) == (0, "")
    described = models.describe(photos / "tiny.safetensors")
    assert described.blur_calibration is not None and described.blur_calibration.pairs == 3
    after = load_file(photos / "tiny.safetensors")
    assert all(after[key].equal(value) for key, value in before.items())
    assert done.out.endswith(f"tiny.safetensors -> tiny.safetensors, sha256 {described.sha256}\n")
    assert "rendered from 2 images with seed 0. Test: 2 other images (other), 1 renderings of each" in done.out
    for title in ("By radius", "By texture", "Reliability"):
        assert title in done.out
    shares = re.findall(r"\| ([\d.]+) % \|", done.out.partition("Reliability")[2])
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.3)


def test_the_result_depends_on_the_seed_alone(run, photos):
    printed = {}
    before = models.digest(photos / "tiny.safetensors")
    for name, seed in (("a", 0), ("b", 0), ("c", 7)):
        done = calibrate(
            run, "tiny.safetensors", "--data", "sharp", "--test", "other", *QUICK, "--seed", seed,
            "-o", f"deep/{name}.safetensors",
        )  # fmt: skip
        assert (done.code, done.err) == (0, "")
        printed[name] = done.out.partition("\n\n")[2].rpartition("\n\n")[0]
    files = {name: (photos / "deep" / f"{name}.safetensors").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    assert printed["a"] == printed["b"] != printed["c"]
    assert models.digest(photos / "tiny.safetensors") == before


def test_without_a_test_folder_some_photos_are_held_out(run, photos):
    for number in range(2, 11):
        shutil.copy(photos / "sharp/0.png", photos / "sharp" / f"{number}.png")
    folders = ("sharp", "sharp/../sharp")  # the same photos, which are neither fitted to twice nor tested on too
    done = calibrate(run, "tiny.safetensors", "--data", *folders, *QUICK)
    assert done.code == 0
    assert "rendered from 10 images with seed 0. Test: 1 other images (of the same folders)" in done.out


def test_the_model_card(run, photos):
    card = photos / "CARD.md"
    digest = models.describe(photos / "tiny.safetensors").sha256
    blocks = "".join(
        f"<!-- calibration:{name} -->\nold\n<!-- end of calibration:{name} -->\n" for name in ("a", "tiny")
    )
    card.write_text(f"# Card\nsha256 {digest[:12]}… of it\n{blocks}last line\n")
    args = ("tiny.safetensors", "--data", "sharp", "--test", "other", *QUICK, "--model-card", card, "--quiet")
    for _ in range(2):  # the second replaces what the first wrote
        done = calibrate(run, *args)
        assert (done.code, done.out, done.err) == (0, "", "")
    text = card.read_text()
    new = models.describe(photos / "tiny.safetensors").sha256
    assert text.startswith(
        f"# Card\nsha256 {new[:12]}… of it\n<!-- calibration:a -->\nold\n<!-- end of calibration:a -->\n"
    )
    assert text.endswith("<!-- end of calibration:tiny -->\nlast line\n")
    assert text.count("By radius") == 1 and text.count("old") == 1


def test_a_shipped_model_and_its_sha256(run, photos, monkeypatch):
    """In a checkout, here a made one."""
    folder = photos / "src/fdikp/models/files"
    folder.mkdir(parents=True)
    (photos / "tiny.safetensors").rename(folder / "tiny.safetensors")
    monkeypatch.setattr(descriptor, "FOLDER", folder)
    digests = {"other": "0" * 64, "tiny": models.digest(folder / "tiny.safetensors")}
    write_checksums(folder, digests)
    for name in ("tiny", "other"):
        monkeypatch.setitem(descriptor.SHIPPED, name, digests[name])
    args = ("tiny", "--data", "sharp", "--test", "other", *QUICK)
    done = calibrate(run, *args)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "is only replaced in a source checkout; give --output" in done.err
    assert read_checksums(folder) == digests
    (photos / "pyproject.toml").touch()
    assert calibrate(run, *args).code == 0
    new = models.digest(folder / "tiny.safetensors")
    assert read_checksums(folder)["tiny"] == new != digests["tiny"]
    assert read_checksums(folder)["other"] == digests["other"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["none", "--data", "sharp"], 2, "none: no model of this name and no such file"),
        (["tiny.safetensors"], 2, "--data DIR is missing"),
        (["tiny.safetensors", "--data", "nowhere"], 1, "nowhere: no such folder"),
        (["tiny.safetensors", "--data", "empty"], 1, "empty: no images in it"),
        (["tiny.safetensors", "--data", "sharp"], 1, "sharp: 2 photos, of which none is left to test on; give --test"),
        (["tiny.safetensors", "--data", "sharp", "--test", "empty"], 1, "empty: no images in it"),
        (["tiny.safetensors", "--data", "sharp", "--test", "sharp"], 1, "0.png: is in --data too"),
        (["tiny.safetensors", "--data", "sharp", "--test", "small"], 1, "0.png: 70×63 is too small; test on images of"),
        (["tiny.safetensors", "--data", "many"], 1, "9.png: 70×63 is too small; test on images of"),
        (["tiny.safetensors", "--data", "damaged", "--test", "other"], 1, "damaged"),
        (["tiny.safetensors", "--data", "sharp", "--pairs", "0"], 2, "--pairs 0: must be at least 1"),
        (["tiny.safetensors", "--data", "sharp", "--pairs", "x"], 2, "--pairs x: must be a whole number"),
        (["tiny.safetensors", "--data", "sharp", "--renderings", "0"], 2, "--renderings 0: must be at least 1"),
        (["tiny.safetensors", "--data", "sharp", "--seed", "-1"], 2, "--seed -1: must be at least 0"),
        (["tiny.safetensors", "--data", "sharp", "--seed", str(2**32)], 2, "--seed 4294967296: must be at most"),
        (["tiny.safetensors", "--data", "sharp", "--crop", "100"], 2, "--crop 100: must be a multiple of 16"),
        (["tiny.safetensors", "--data", "sharp", "--crop", "48"], 2, "--crop 48: must be a multiple of 16"),
        (["tiny.safetensors", "--data", "sharp", "-o", "x.pt"], 2, "--output x.pt: must end in .safetensors"),
        (["tiny.safetensors", "--data", "sharp", "-o", "tiny.safetensors"], 1, "tiny.safetensors exists"),
        (
            ["tiny.safetensors", "--data", "sharp", "--test", "other", "-o", "CARD.md/x.safetensors", *QUICK],
            1,
            "cannot be written",
        ),
        (["tiny.safetensors", "--data", "sharp", "--model-card", "no.md"], 1, "--model-card no.md: cannot be read"),
        (["tiny.safetensors", "--data", "sharp", "--model-card", "CARD.md"], 1, "has no block of tiny; add the lines"),
        (["malformed.safetensors", "--data", "sharp"], 1, "the calibration of its blur map is malformed"),
        (["CARD.md", "--data", "sharp"], 1, "not a readable safetensors file"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(run, photos, tree, args, code, message):
    from safetensors.torch import save_file

    (photos / "empty").mkdir()
    (photos / "damaged").mkdir()
    (photos / "small").mkdir()
    (photos / "many").mkdir()
    Image.new("RGB", (70, 63)).save(photos / "small/0.png")
    for number in range(10):
        shutil.copy(photos / "small/0.png", photos / f"many/{number}.png")
    (photos / "damaged/a.png").write_bytes(b"not a photo")
    (photos / "CARD.md").write_text("# No block\n")
    tensors = load_file(photos / "tiny.safetensors")
    network = models.describe(photos / "tiny.safetensors").config.to_dict()
    header = {"name": "x", "network": network, "blur_calibration": {"max_radius": 3}}
    save_file(tensors, photos / "malformed.safetensors", metadata={"fdikp": json.dumps(header)})
    before = {name: (photos / name).read_bytes() for name in tree()}
    done = calibrate(run, *args)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1), done.err
    assert message in done.err
    assert {name: (photos / name).read_bytes() for name in tree()} == before
