"""`fdikp analyse`: files, numbers and faults."""

import errno
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

IMAGES = ["blur_map.png", "coefficients.png", "dilation_map.png", "kernels.png", "overview.png"]
FILES = ["analysis.json", "analysis.npz", *IMAGES]


@pytest.fixture(scope="module")
def calibrated(weights_file, tmp_path_factory):
    """The weights with a calibration that depends on the photo."""
    from fdikp import models
    from fdikp.network.blur_calibration import FEATURES, BlurCalibration

    hidden = np.random.default_rng(0).normal(size=(4, FEATURES)).tolist()
    path = tmp_path_factory.mktemp("calibrated") / "tiny.safetensors"
    calibration = BlurCalibration(hidden, (0.1,) * 4, ((1.0,) * 4, (0.5, -0.5, 1.0, -1.0)), (0.0, 0.5), 10.0)
    models.save_calibrated(weights_file, path, calibration)
    return path


@pytest.fixture
def analyse(run, calibrated):
    def analyse(*args, model=calibrated):
        return run("analyse", "--model", model, "--precision", "float32", "--device", "cpu", *args, model=False)

    return analyse


def test_a_photo_in_tiles(analyse, picture, tree, weights_file):
    picture("a.jpg", (100, 150))
    done = analyse("a.jpg", "-o", "new/out", "--tile", "64")
    assert (done.code, done.err) == (0, "")
    pattern = r"a\.jpg -> new/out; blur radius [\d.]+ to [\d.]+ px in the \d+% of the photo where it is certain\n"
    assert re.fullmatch(pattern, done.out), done.out
    assert tree("new/out") == [*FILES, "result.jpg"]
    assert Image.open("new/out/result.jpg").size == (150, 100)
    for name in IMAGES:
        assert Image.open(f"new/out/{name}").width == 900

    arrays = np.load("new/out/analysis.npz")
    tiles = len(arrays["tile_boxes"])
    assert tiles > 1
    assert arrays["kernels"].shape == (tiles, 3, 2, 2, 3, 3)
    assert arrays["coefficients"].shape == (6, 100, 150)
    assert arrays["coefficients"].dtype == np.float16
    for name in ("blur_map", "confidence_map", "dilation_map"):
        assert arrays[name].shape == (100, 150) and arrays[name].dtype == np.float32
    assert 0 <= arrays["confidence_map"].min() < arrays["confidence_map"].max() <= 1
    assert arrays["coefficient_names"].shape == (6,)

    numbers = json.loads(open("new/out/analysis.json").read())  # noqa: PTH123, SIM115
    assert (numbers["input"], numbers["width"], numbers["height"]) == ("a.jpg", 150, 100)
    assert numbers["model"]["name"] == "tiny" and numbers["model"]["tile"] == 64
    assert len(numbers["model"]["weights_sha256"]) == 64
    for name in ("blur_map", "confidence_map", "dilation_map"):
        assert numbers[name]["mean"] == pytest.approx(arrays[name].mean(), rel=1e-5)
        assert numbers[name]["percentiles"]["50"] == pytest.approx(np.median(arrays[name]))
    assert "pixels" in numbers["blur_map"]["unit"]
    assert len(numbers["coefficients"]) == 6
    assert len(numbers["tiles"]) == tiles
    last = numbers["tiles"][-1]["kernels"][-1]
    kernel = arrays["kernels"][-1, 2, 1, 1]
    assert (last["stage"], last["image"], last["kernel"]) == ("fine", "previous stage", 2)
    assert last["sum"] == pytest.approx(kernel.sum(), rel=1e-5)
    assert last["centre"] == pytest.approx(kernel[1, 1])
    assert last["energy"] == pytest.approx((kernel**2).sum(), rel=1e-5)
    assert {"fdikp", "torch", "numpy", "python"} <= set(numbers["versions"])


def test_without_a_calibration_there_is_no_blur_map(analyse, picture, tree, tiny_weights):
    picture("a.png")
    done = analyse("a.png", "-o", "out", model=tiny_weights)
    assert (done.code, done.err) == (0, "")
    assert done.out == "a.png -> out; no blur map: these weights have no blur calibration; run fdikp calibrate\n"
    assert tree("out") == [name for name in [*FILES, "result.png"] if name != "blur_map.png"]
    assert not {"blur_map", "confidence_map"} & set(np.load("out/analysis.npz"))
    assert "blur_map" not in json.loads(open("out/analysis.json").read())  # noqa: PTH123, SIM115


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (333, 7)])
def test_any_size(analyse, picture, tree, size):
    picture("a.png", size)
    assert analyse("a.png", "-o", "out").code == 0
    assert tree("out") == [*FILES, "result.png"]


def test_an_earlier_analysis_is_replaced_only_when_asked(analyse, picture, tree, tmp_path):
    picture("a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kernels.png").write_text("mine")
    done = analyse("a.png", "-o", "out")
    assert (done.code, done.out, len(done.errors)) == (1, "", 1)
    assert "out/kernels.png exists" in done.err.replace(os.sep, "/")
    assert tree("out") == ["kernels.png"]
    assert analyse("a.png", "-o", "out", "--overwrite", "--quiet").out == ""
    assert tree("out") == [*FILES, "result.png"]


def test_the_photo_itself_is_not_replaced(analyse, picture, tree):
    picture("result.png")
    done = analyse("result.png", "-o", ".")
    assert (done.code, len(done.errors)) == (1, 1)
    assert tree() == ["result.png"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["missing.png", "-o", "out"], 1),
        (["bad.png", "-o", "out"], 1),
        (["a.png", "-o", "a.png"], 1),
        (["a.png", "-o", "out", "--max-pixels", "10"], 1),
        (["a.png", "-o", "out", "--max-pixels", "0"], 2),
        (["a.png", "-o", "out", "--tile", "50"], 2),
        (["a.png", "-o", ""], 2),
        (["", "-o", "out"], 2),
    ],
)
def test_each_fault_is_one_line(analyse, picture, tree, tmp_path, args, code):
    picture("a.png")
    (tmp_path / "bad.png").write_text("text")
    done = analyse(*args)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1)
    assert "Traceback" not in done.err
    assert tree() == ["a.png", "bad.png"]


def test_a_wrong_command_line(analyse, picture):
    picture("a.png")
    assert analyse("a.png").code == 2
    assert analyse("-o", "out").code == 2


def test_a_full_disk_leaves_nothing_unfinished(analyse, picture, tree, monkeypatch):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 7:  # after the result and five images: the arrays
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    picture("a.png")
    monkeypatch.setattr(os, "fsync", full)
    done = analyse("a.png", "-o", "out")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "out/analysis.npz" in done.err and "no space left" in done.err.lower()
    assert tree("out") == [*IMAGES, "result.png"]
