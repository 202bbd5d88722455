import hashlib
import json
import re

import pytest

from fdikp.cli import doctor
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
    assert len(formats) == 10
    assert all(re.search(r"  read (yes|no|no \(.*\)), write (yes|no)$", line) for line in formats)
    assert "verified" in lines["model tiny"] and "megapixels_per_second" in lines["model tiny"]
    assert details["default_tile"] == "512" and details["precisions"] == "float32 bfloat16 float16"
    assert len(details["sha256"]) == 64 and details["path"].endswith("tiny.safetensors")


def test_json_is_one_object(run, shipped):
    done = run("doctor", "--json", model=False)
    (line,) = done.out.splitlines()
    report = json.loads(line)
    assert report["ok"] is True
    checks = {check["check"]: check for check in report["checks"]}
    assert checks["device cpu"]["fft_error"] < 1e-4
    assert checks["model tiny"]["seconds"] > 0
    assert checks["model tiny"]["parameters"] > 0
    assert len(checks["model tiny"]["sha256"]) == 64


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
