"""A dry run says what the real run then does, and does nothing."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import Photo, read_photo
from fdikp.jobs import DeblurRequest, InputPath, OutputNaming, dry_run, plan_jobs, run_all


def outcome(result):
    status = {"planned": "ok"}.get(result.status, result.status)
    return result.input, status, result.output, result.code, result.error, result.width, result.height, result.compare


def test_it_says_what_the_run_does(engine, photo_file, files, tmp_path):
    photo_file("x/a.jpg"), photo_file("x/b.png", (8, 9)), photo_file("x/c.png", format="JPEG"), photo_file("x/d.tif")
    photo_file("x/e.webp"), photo_file("x/f.png", (100, 100)), photo_file("out/d.tif")
    (tmp_path / "x/g.jpg").write_text("text")
    (tmp_path / "x/h.jpg").write_bytes(b"")
    naming = OutputNaming(suffix="", folder=tmp_path / "out", compare=True)
    before = files()
    for existing in ("refuse", "skip", "replace"):
        settings = DeblurRequest(Path(), existing=existing, max_pixels=5000)
        jobs = plan_jobs(naming.finder().find([tmp_path / "x", tmp_path / "gone.jpg"]), naming, settings)
        jobs = [replace(job, compare=None) if "e.webp" in str(job) else job for job in jobs]
        foreseen = list(dry_run(jobs))
        assert files() == before and not (tmp_path / "out/x").exists()
        assert engine.calls == []
        done = []
        run_all(jobs, lambda: engine, done.append)
        assert [outcome(one) for one in foreseen] == [outcome(one) for one in done]
        assert {one.status for one in foreseen} >= {"planned", "failed"}
        for name in set(files()) - set(before):
            (tmp_path / name).unlink()
        (tmp_path / "out/x").rmdir()
        engine.calls.clear()


def test_what_is_found_out_later_is_planned(photo_file, tmp_path):
    """Damage after the header."""
    path = photo_file("a.png", (200, 300))
    path.write_bytes(path.read_bytes()[:2000])
    (planned,) = dry_run([DeblurRequest(path)])
    assert (planned.status, planned.width, planned.height) == ("planned", 300, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_header_has_the_shape_of_the_photo(tmp_path, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    mode = "RGB" if format == "JPEG" else "RGBA"
    Image.new(mode, (30, 20), "red").save(tmp_path / "a", format, exif=exif)
    photo, header = read_photo(tmp_path / "a"), read_photo(tmp_path / "a", header_only=True)
    assert (header.pixels.shape, header.pixels.dtype) == (photo.pixels.shape, photo.pixels.dtype)
    assert (header.alpha is None) == (photo.alpha is None)
    assert header.format == photo.format
    assert not header.pixels.any() and header.pixels.strides == (0, 0, 0)


@pytest.mark.parametrize(
    ("mode", "dtype"), [("L", np.uint8), ("I;16", np.uint16), ("F", np.float32), ("CMYK", np.uint8)]
)
def test_a_header_has_the_depth_of_the_photo(tmp_path, mode, dtype):
    Image.new(mode, (5, 4)).save(tmp_path / "a.tif")
    header = read_photo(tmp_path / "a.tif", header_only=True)
    assert header.pixels.dtype == dtype
    assert header.pixels.shape == read_photo(tmp_path / "a.tif").pixels.shape


def test_a_file_in_the_place_of_a_folder(photo_file, tmp_path):
    (tmp_path / "file").write_text("")
    (result,) = dry_run([DeblurRequest(photo_file(), tmp_path / "file/out/a.png")])
    assert (result.status, result.code) == ("failed", "output_unwritable")
    assert f"{tmp_path / 'file'} is not a folder" in result.error


@pytest.mark.parametrize("field", ["output", "blur_map", "compare"])
def test_a_folder_in_the_place_of_a_file(photo_file, tmp_path, field):
    (tmp_path / "folder.png").mkdir()
    files = {"output": tmp_path / "a.png", field: tmp_path / "folder.png"}
    (result,) = dry_run([DeblurRequest(photo_file(), existing="replace", **files)])
    assert (result.status, result.code) == ("failed", "output_unwritable")
    assert f"{tmp_path / 'folder.png'} is a folder" in result.error


def test_a_folder_that_is_not_writable(photo_file, tmp_path, monkeypatch):
    """As os.access reports it; root may write everywhere."""
    locked = tmp_path / "locked"
    locked.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked)
    (result,) = dry_run([DeblurRequest(photo_file(), locked / "new/a.png")])
    assert (result.status, result.code) == ("failed", "output_unwritable")
    assert stat.S_ISDIR(locked.stat().st_mode) and not any(locked.iterdir())


def test_a_result_that_cannot_be_written_is_not_computed(engine, photo_file, tmp_path):
    """A folder of photos would be restored for hours, and none of it kept."""
    (tmp_path / "file").write_text("")
    jobs = [DeblurRequest(photo_file(), tmp_path / "file/out/a.png")]
    done = []
    run_all(jobs, lambda: engine, done.append)
    assert [outcome(one) for one in done] == [outcome(one) for one in dry_run(jobs)]
    assert (done[0].code, engine.calls) == ("output_unwritable", [])


def test_files_that_would_be_replaced_are_named(photo_file, tmp_path):
    photo_file("b.png"), photo_file("c.jpg")
    request = DeblurRequest(photo_file(), tmp_path / "b.png", compare=tmp_path / "c.jpg", existing="replace")
    (planned,) = dry_run([request])
    assert (planned.status, planned.notes) == ("planned", ("replaces the existing c.jpg and b.png",))
    (planned,) = dry_run([replace(request, output=tmp_path / "new.png", compare=None)])
    assert planned.notes == ()


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (Photo(np.zeros((4, 4, 3), np.uint16), format="heic"), "photo has more than 8 bits"),
        (Photo(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), "heic"), "photo is partly transparent"),
        (Photo(np.zeros((4, 4, 3), np.uint8), format="webp"), "content is WebP"),
    ],
)
def test_why_a_result_has_another_extension(tmp_path, monkeypatch, photo, reason):
    monkeypatch.setattr("fdikp.imaging.read_photo", lambda source, **options: photo)
    naming = OutputNaming(folder=tmp_path)
    (job,) = plan_jobs([InputPath(tmp_path / "a.heic", Path("a.heic"))], naming)
    (planned,) = dry_run([job])
    assert planned.output is not None
    assert planned.notes == (f"The {reason}, so the result is named {planned.output.name}.",)


@pytest.mark.parametrize("preview", [10, 29, 30, 5000])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_preview_has_its_size(engine, tmp_path, preview, mode):
    Image.new(mode, (30, 21)).save(tmp_path / "a.png")
    jobs = [DeblurRequest(tmp_path / "a.png", tmp_path / "b.png", preview=preview)]
    (planned,) = dry_run(jobs)
    done = []
    run_all(jobs, lambda: engine, done.append)
    assert outcome(planned) == outcome(done[0])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"mask": "mask.png"}, None),
        ({"mask": "square.png"}, "mask_unusable"),
        ({"mask": "text.png"}, "mask_unusable"),
        ({"mask": "gone.png"}, "mask_unusable"),
        ({"regions": ("10%,10%,20%,20%",)}, None),
        ({"regions": ("100,100,10,10",)}, "request_invalid"),
        ({"mask": "mask.png", "preview": 10}, None),
    ],
)
def test_a_selection_that_does_not_fit_is_found_out(engine, photo_file, tmp_path, options, code):
    Image.new("L", (60, 40), 255).save(tmp_path / "mask.png")
    Image.new("L", (40, 40)).save(tmp_path / "square.png")
    (tmp_path / "text.png").write_text("text")
    options = {name: tmp_path / value if name == "mask" else value for name, value in options.items()}
    jobs = [DeblurRequest(photo_file(), tmp_path / "b.png", **options)]
    (planned,) = dry_run(jobs)
    assert planned.code == code
    done = []
    run_all(jobs, lambda: engine, done.append)
    assert outcome(planned) == outcome(done[0])
