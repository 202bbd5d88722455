"""What of a photo's file the result takes over besides pixels and metadata, and what its XMP records."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from fdikp import __version__
from fdikp.imaging import read_photo
from fdikp.jobs import DeblurRequest, read, restore, run, write
from fdikp.jobs.edit_record import edit_record


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
@pytest.mark.parametrize(
    ("photo", "result"), [(0o600, 0o600), (0o644, 0o644), (0o664, 0o664), (0o444, 0o444), (0o4755, 0o755)]
)
@pytest.mark.parametrize("mask", [0o022, 0o077, 0])
def test_permissions_carry_over_whatever_the_umask(engine, photo_file, tmp_path, umask, photo, result, mask):
    source = photo_file()
    source.chmod(photo)
    umask(mask)
    request = DeblurRequest(source, tmp_path / "b.png", compare=tmp_path / "c.jpg", blur_map=tmp_path / "d.png")
    assert run(request, engine).status == "ok"
    assert [mode(path) for path in request.outputs] == [result] * 3


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_permissions_stay_when_a_photo_is_replaced_by_its_result(engine, photo_file):
    source = photo_file()
    source.chmod(0o640)
    assert run(DeblurRequest(source, source, existing="replace"), engine).status == "ok"
    assert mode(source) == 0o640


@pytest.mark.parametrize("keep", [False, True])
def test_dates_carry_over_on_request(engine, photo_file, tmp_path, keep):
    source = photo_file()
    dates = (1_000_000_000_123_456_000, 1_100_000_000_654_321_000)
    os.utime(source, ns=dates)
    result = run(DeblurRequest(source, tmp_path / "b.png", keep_dates=keep), engine)
    status = result.output.stat()
    assert ((status.st_atime_ns, status.st_mtime_ns) == dates) == keep
    assert "dates" not in " ".join(result.notes)


def test_dates_that_cannot_be_set_are_a_note(engine, photo_file, tmp_path, monkeypatch):
    def refused(*args, **options):
        raise PermissionError(1, "Operation not permitted")

    source = photo_file()
    monkeypatch.setattr(os, "utime", refused)
    result = run(DeblurRequest(source, tmp_path / "b.png", keep_dates=True), engine)
    assert (result.status, result.output.exists()) == ("ok", True)
    assert result.notes[-1] == "The dates of the photo's file could not be kept: Operation not permitted."


def test_attributes_travel_with_the_steps(engine, photo_file, tmp_path):
    """They are those of the photo before it was read, even if its file is gone when the result is written."""
    source = photo_file()
    os.utime(source, (1000, 2000))
    restored = restore(read(DeblurRequest(source, tmp_path / "b.png", keep_dates=True)), engine)
    source.unlink()
    assert write(restored).output.stat().st_mtime == 2000


@pytest.mark.parametrize("name", ["b.jpg", "b.png", "b.tif", "b.webp", "b.avif"])
def test_the_edit_is_recorded_unless_stripped(engine, photo_file, tmp_path, name):
    request = DeblurRequest(photo_file(), tmp_path / name, strength=0.75)
    assert run(request, engine).notes == ("It was easy.",)
    packet = read_photo(tmp_path / name).metadata.xmp.decode()
    found = dict(re.findall(r'fdikp:(\w+)="([^"]*)"', packet))
    assert found == {
        "Software": "fdikp",
        "Version": __version__,
        "Model": "negative",
        "WeightsSHA256": "0" * 64,
        "Strength": "0.75",
    }
    assert f'stEvt:softwareAgent="fdikp {__version__}"' in packet
    assert run(DeblurRequest(request.source, tmp_path / f"s{name}", strip=True), engine).status == "ok"
    assert read_photo(tmp_path / f"s{name}").metadata.xmp is None


def test_the_same_photo_gives_the_same_file(engine, photo_file, tmp_path):
    source = photo_file("a.jpg")
    for name in ("b.jpg", "c.jpg"):
        assert run(DeblurRequest(source, tmp_path / name), engine).status == "ok"
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "c.jpg").read_bytes()


def test_xmp_that_cannot_be_extended_is_kept_with_a_note(engine, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", xmp=b"<not xmp")
    result = run(DeblurRequest(tmp_path / "a.webp", tmp_path / "b.webp"), engine)
    assert result.status == "ok" and "not recorded" in result.notes[-1]
    assert read_photo(tmp_path / "b.webp").metadata.xmp == b"<not xmp"


def test_zero_strength_is_a_value():
    assert edit_record(DeblurRequest(Path("a.jpg"), strength=0), "m", "f")["Strength"] == "0"


def test_the_record_states_what_was_selected():
    request = DeblurRequest(
        Path("a.jpg"),
        mask=Path("/home/me/masks/face.png"),
        regions=("0,0,10,10", "5%,5%,50%,50%"),
        min_blur=0.5,
        max_blur=3,
        preview=800,
    )
    record = edit_record(request, "m", "f")
    assert {name: record[name] for name in ("Mask", "Regions", "MinBlur", "MaxBlur", "Preview")} == {
        "Mask": "face.png",
        "Regions": "0,0,10,10; 5%,5%,50%,50%",
        "MinBlur": "0.5",
        "MaxBlur": "3",
        "Preview": "800",
    }
    assert edit_record(DeblurRequest(Path("a.jpg")), "m", "f").keys() & {"Mask", "Regions", "Preview"} == set()
