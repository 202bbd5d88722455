import hashlib
import json
import re
import sys

import numpy as np
import pytest

from fdikp.cli import doctor
from fdikp.imaging import FORMATS, as_unit, formats, read_photo
from fdikp.imaging.formats import readable
from fdikp.imaging.samples import sample
from fdikp.models import descriptor


@pytest.fixture
def shipped(weights_file, monkeypatch):
    """Make the tiny network the shipped model."""
    monkeypatch.setattr(descriptor, "SHIPPED", {"tiny": hashlib.sha256(weights_file.read_bytes()).hexdigest()})
    monkeypatch.setattr(descriptor, "FOLDER", weights_file.parent)


def test_a_sound_installation(run, shipped):
    done = run("doctor", model=False)
    assert (done.code, done.err) == (0, "")
    lines = {line[6:25].strip(): line for line in done.out.splitlines() if not line.startswith(" ")}
    details = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line.startswith(" "))
    assert all(line.startswith("ok ") for line in lines.values())
    assert "libvips" in lines["versions"] and "torch" in lines["versions"]
    assert "instructions" in lines["device cpu"]
    assert "fft_error" in lines["device cpu"] and "bfloat16" in lines["device cpu"]
    assert "read yes, write yes" in lines["format jpeg"]
    formats = [line for name, line in lines.items() if name.startswith("format ")]
    assert len(formats) == len(FORMATS)
    assert all(re.search(r"  read (yes|no), write (yes|no)(, hint .*)?$", line) for line in formats)
    assert "read yes, write no" in lines["format bmp"]
    assert "verified" in lines["model tiny"] and "megapixels_per_second" not in lines["model tiny"]
    assert details["default_tile"] == "512" and details["precisions"] == "float32 bfloat16 float16"
    assert len(details["sha256"]) == 64 and details["path"].endswith("tiny.safetensors")


def test_json_is_one_object(run, shipped):
    done = run("doctor", "--json", model=False)
    (line,) = done.out.splitlines()
    report = json.loads(line)
    assert report["ok"] is True
    checks = {check["check"]: check for check in report["checks"]}
    assert checks["device cpu"]["fft_error"] < 1e-4
    assert "seconds" not in checks["model tiny"]
    assert checks["format jpeg"]["read"] is True and checks["format gif"]["write"] is False
    assert checks["model tiny"]["parameters"] > 0
    assert len(checks["model tiny"]["sha256"]) == 64


def test_speed_is_measured_on_request(run, shipped):
    done = run("doctor", "--speed", "--json", model=False)
    checks = {check["check"]: check for check in json.loads(done.out)["checks"]}
    assert checks["model tiny"]["size"] == "256x256"
    assert checks["model tiny"]["seconds"] > 0 and checks["model tiny"]["megapixels_per_second"] > 0


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format.extra])
def test_a_missing_extra_is_named_and_no_failure(name, run, shipped, monkeypatch):
    monkeypatch.setattr(formats, "readable", lambda each: each != name and readable(each))
    for package in FORMATS[name].packages:
        monkeypatch.setitem(sys.modules, package, None)
    done = run("doctor", model=False)
    (line,) = (line for line in done.out.splitlines() if f"format {name} " in line)
    assert done.code == 0
    assert f"read no, write no, hint install the {name} extra" in line


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if not format.writable])
def test_samples_are_small_and_grey(name):
    assert len(sample(name)) < 1500
    if not readable(name):
        pytest.skip(f"this installation does not read {name}")
    photo = read_photo(sample(name))
    assert photo.format == name
    assert np.abs(as_unit(photo.pixels) - 0.5).max() < 0.02


def test_a_decoder_that_is_installed_and_fails(run, shipped, monkeypatch):
    monkeypatch.setattr("fdikp.imaging.samples.sample", lambda name: sample(name)[: -8 * (name == "bmp") or None])
    failing(run, "format bmp")


def failing(run, name: str) -> None:
    done = run("doctor", model=False)
    assert done.code == 1
    assert [line.split()[1:3] for line in done.out.splitlines() if line.startswith("FAIL")] == [name.split()]
    assert "checks failed" in done.err and "Traceback" not in done.err
    assert json.loads(run("doctor", "--json", model=False).out)["ok"] is False


def test_damaged_weights(run, shipped, monkeypatch):
    monkeypatch.setitem(descriptor.SHIPPED, "tiny", "0" * 64)
    failing(run, "model tiny")


def test_a_wrong_fourier_transform(run, shipped, monkeypatch):
    monkeypatch.setattr("fdikp.inference.devices.fft_error", lambda device: 1.0)
    failing(run, "device cpu")


def test_a_format_that_cannot_be_read_back(run, shipped, monkeypatch):
    import fdikp.imaging
    from fdikp.errors import PhotoError

    encode = fdikp.imaging.encode_photo

    def broken(photo, format):
        if format == "png":
            raise PhotoError("no PNG")
        return encode(photo, format)

    monkeypatch.setattr(fdikp.imaging, "encode_photo", broken, raising=False)
    failing(run, "format png")


def test_an_installation_without_weights(run, monkeypatch):
    monkeypatch.setattr(descriptor, "SHIPPED", {})
    done = run("doctor", model=False)
    assert done.code == 1
    assert "no weights ship" in done.out


def test_essential_formats_can_be_written():
    from fdikp.imaging import FORMATS

    assert all(FORMATS[name].writable for name in doctor.ESSENTIAL)
