"""The calibration of the blur map in the header of a weights file."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, safe_open, save_file

from fdikp import models
from fdikp.errors import WeightsError
from fdikp.network.blur_calibration import FEATURES, BlurCalibration

CALIBRATION = BlurCalibration(
    ((0.1,) * FEATURES, (1 / 3,) * FEATURES), (0.0, 1.0), ((1.0, -2.5e-7), (3.0, 4.0)), (0.25, -1.0), 16.0, 600, 1
)


def header(path: Path) -> dict:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["fdikp"])


def test_it_is_stored_exactly_and_nothing_else_changes(tiny_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "calibrated.safetensors"
    models.save_calibrated(tiny_weights, path, CALIBRATION)
    descriptor = models.describe(path)
    assert descriptor.blur_calibration == CALIBRATION
    before, after = load_file(tiny_weights), load_file(path)
    assert list(before) == list(after)
    assert all(before[key].equal(after[key]) and before[key].dtype == after[key].dtype for key in before)
    assert header(path) == header(tiny_weights) | {"blur_calibration": json.loads(json.dumps(CALIBRATION.to_dict()))}
    models.save_calibrated(path, path, CALIBRATION)
    assert models.describe(path).sha256 == descriptor.sha256


def test_the_descriptor_is_still_json_and_hashable(tiny_weights: Path, tmp_path: Path) -> None:
    models.save_calibrated(tiny_weights, tmp_path / "a.safetensors", CALIBRATION)
    descriptor = models.describe(tmp_path / "a.safetensors")
    fields = json.loads(json.dumps(descriptor.to_dict()))
    assert BlurCalibration.from_dict(fields["blur_calibration"]) == CALIBRATION
    assert "blur_calibration" not in fields["provenance"]
    assert hash(descriptor) != hash(models.describe(tiny_weights))


def test_new_weights_have_none(tiny_weights: Path, tmp_path: Path) -> None:
    """Neither old files, nor means, nor what training writes: a calibration fits the weights that it was made for."""
    assert models.describe(tiny_weights).blur_calibration is None
    assert models.describe(tiny_weights).to_dict()["blur_calibration"] is None
    calibrated = tmp_path / "calibrated.safetensors"
    models.save_calibrated(tiny_weights, calibrated, CALIBRATION)
    network, _ = models.load(calibrated)
    models.save(models.average([network, network], [1, 1]), tmp_path / "mean.safetensors", name="mean")
    assert models.describe(tmp_path / "mean.safetensors").blur_calibration is None
    models.save(network, tmp_path / "copy.safetensors", name="copy", blur_calibration=CALIBRATION)
    assert models.describe(tmp_path / "copy.safetensors").blur_calibration == CALIBRATION


@pytest.mark.parametrize("name", list(models.SHIPPED))
def test_what_ships_is_calibrated(name: str) -> None:
    assert models.describe(name).blur_calibration is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: [], "must be an object"),
        (lambda fields: fields | {"max_radius": -1}, "max_radius must be above 0"),
        (lambda fields: fields | {"hidden_bias": []}, "hidden_bias must have 2 finite numbers"),
        (lambda fields: fields | {"future": 1}, "future is unknown"),
        (lambda fields: {}, "hidden_bias, hidden_weight, max_radius"),
    ],
)
def test_a_malformed_one_is_one_line(tiny_weights: Path, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.safetensors"
    values = header(tiny_weights) | {"blur_calibration": change(CALIBRATION.to_dict())}
    save_file(load_file(tiny_weights), path, metadata={"fdikp": json.dumps(values)})
    for read in (models.describe, models.load):
        with pytest.raises(WeightsError, match="the calibration of its blur map is malformed") as error:
            read(path)
        assert message in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)
