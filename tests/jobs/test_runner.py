"""Whole jobs with an engine of numpy alone: files, codes of faults, progress, cancellation, many photos."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import Cancelled, WeightsError
from fdikp.jobs import DeblurRequest, DeblurResult, run, run_all


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_whole_job(engine, photo_file, tmp_path, files):
    source = photo_file("x/a.png")
    request = DeblurRequest(
        source, tmp_path / "out/b.png", blur_map=tmp_path / "out/map.png", compare=tmp_path / "sides/c.jpg"
    )
    progress = []
    result = run(request, engine, progress=lambda done, total: progress.append((done, total)))
    assert replace(result, seconds=0.0) == DeblurResult(
        source,
        tmp_path / "out/b.png",
        width=30,
        height=20,
        tiles=4,
        notes=("It was easy.",),
        blur_map=tmp_path / "out/map.png",
        compare=tmp_path / "sides/c.jpg",
        model="negative",
        weights_sha256="0" * 64,
    )
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert files() == ["out/b.png", "out/map.png", "sides/c.jpg", "x/a.png"]
    np.testing.assert_array_equal(pixels(tmp_path / "out/b.png"), 255 - pixels(source))
    assert Image.open(tmp_path / "sides/c.jpg").size == (61, 20)


@pytest.mark.parametrize(
    ("name", "format", "encoded", "result"),
    [
        ("a.png", None, "PNG", "a_deblurred.png"),
        ("a.png", "webp", "PNG", "a_deblurred.webp"),
        ("a.png", None, "JPEG", "a_deblurred.jpg"),
        ("a.png", "png", "JPEG", "a_deblurred.png"),
    ],
)
def test_without_an_output_the_result_lies_beside_the_photo(engine, photo_file, files, name, format, encoded, result):
    done = run(DeblurRequest(photo_file(name, format=encoded), format=format), engine)
    assert (done.status, done.output.name) == ("ok", result)
    assert files() == sorted([name, result])


def test_a_format_goes_before_the_extension(engine, photo_file, tmp_path):
    assert run(DeblurRequest(photo_file(), tmp_path / "out", format="jpeg"), engine).status == "ok"
    assert Image.open(tmp_path / "out").format == "JPEG"


def test_options_reach_the_engine_and_the_file(engine, photo_file, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    source = photo_file("a.jpg", (200, 300), exif=exif)
    kept, small = tmp_path / "kept.jpg", tmp_path / "small.jpg"
    assert run(DeblurRequest(source, kept), engine).status == "ok"
    assert run(DeblurRequest(source, small, quality=20, strip=True, strength=0), engine).status == "ok"
    assert small.stat().st_size < kept.stat().st_size
    assert Image.open(kept).getexif()[0x010F] == "Camera"
    assert not Image.open(small).getexif()
    assert np.abs(pixels(small).mean() - pixels(source).mean()) < 5


class TestFaults:
    """Everything that a user can cause has a code, one line that names the photo, and leaves no file behind."""

    @pytest.fixture
    def fault(self, engine, photo_file, tmp_path, monkeypatch):
        """By name, a request that fails."""
        source = photo_file()

        def full_disk(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def unreadable(path, *args, **options):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        def out_of_memory(photo, **options):
            raise MemoryError

        def bug(photo, **options):
            raise ZeroDivisionError("division by zero")

        def request(name: str) -> DeblurRequest:
            good = DeblurRequest(source, tmp_path / "out.png")
            match name:
                case "missing":
                    return replace(good, source=tmp_path / "none.jpg")
                case "folder":
                    (tmp_path / "folder").mkdir()
                    return replace(good, source=tmp_path / "folder")
                case "no permission":
                    monkeypatch.setattr("fdikp.imaging.reading.open", unreadable, raising=False)
                    return good
                case "text":
                    (tmp_path / "text.jpg").write_text("Dear diary")
                    return replace(good, source=tmp_path / "text.jpg")
                case "empty":
                    (tmp_path / "empty.jpg").touch()
                    return replace(good, source=tmp_path / "empty.jpg")
                case "cut short":
                    (tmp_path / "short.png").write_bytes(source.read_bytes()[:900])
                    return replace(good, source=tmp_path / "short.png")
                case "too large":
                    return replace(good, max_pixels=599)
                case "exists":
                    (tmp_path / "out.png").write_text("mine")
                    return good
                case "missing, result exists":
                    (tmp_path / "out.png").write_text("mine")
                    return replace(good, source=tmp_path / "none.jpg")
                case "in place":
                    return replace(good, output=source, existing="skip")
                case "output is a folder":
                    (tmp_path / "out.png").mkdir()
                    return replace(good, existing="replace")
                case "side image over photo":
                    return replace(good, compare=source, existing="replace")
                case "side image over result":
                    return replace(good, blur_map=good.output, existing="replace")
                case "no format":
                    return replace(good, output=tmp_path / "out.bmp")
                case "full disk":
                    monkeypatch.setattr(os, "fsync", full_disk)
                    return replace(good, blur_map=tmp_path / "map.png")
                case "a file for a folder":
                    return replace(good, output=source / "out.png")
                case "too wide":
                    wide = photo_file("wide.png", (1, 16384))
                    return replace(good, source=wide, output=tmp_path / "out.webp")
                case "memory":
                    engine.restore = out_of_memory
                    return good
                case "bug":
                    engine.restore = bug
                    return good
            raise AssertionError(name)

        return request

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("missing", "photo_not_found"),
            ("folder", "photo_unreadable"),
            ("no permission", "photo_unreadable"),
            ("text", "photo_unsupported"),
            ("empty", "photo_unsupported"),
            ("cut short", "photo_damaged"),
            ("too large", "too_many_pixels"),
            ("exists", "output_exists"),
            ("missing, result exists", "photo_not_found"),
            ("in place", "output_is_input"),
            ("output is a folder", "output_unwritable"),
            ("side image over photo", "output_is_input"),
            ("side image over result", "output_collision"),
            ("no format", "request_invalid"),
            ("full disk", "output_unwritable"),
            ("a file for a folder", "output_unwritable"),
            ("too wide", "output_unwritable"),
            ("memory", "out_of_memory"),
            ("bug", "internal_error"),
        ],
    )
    def test_code(self, fault, engine, files, name, code):
        request = fault(name)
        before = files()
        result = run(request, engine)
        assert (result.status, result.code) == ("failed", code)
        assert result.error.startswith(f"{request.source}: ") or f"{request.output}: " in result.error
        assert "\n" not in result.error
        assert "--" not in result.error
        if result.hint:
            assert result.error.endswith(f"; {result.hint}")
        assert files() == before

    def test_a_bug_is_logged_with_its_traceback(self, fault, engine, caplog):
        run(fault("bug"), engine)
        assert "ZeroDivisionError" in caplog.text and "Traceback" in caplog.text


def test_an_existing_result_is_skipped_or_replaced(engine, photo_file, tmp_path):
    source, output = photo_file(), tmp_path / "out.png"
    output.write_text("mine")
    result = run(DeblurRequest(source, output, existing="skip"), engine)
    assert (result.status, result.output, result.error) == ("skipped", output, None)
    assert output.read_text() == "mine" and not engine.calls
    assert run(DeblurRequest(source, output, existing="replace"), engine).status == "ok"
    assert Image.open(output).size == (30, 20)


@pytest.mark.parametrize("after", range(5))
def test_a_cancelled_job_ends_within_one_tile_and_writes_nothing(engine, photo_file, files, after):
    photo_file()
    request = DeblurRequest(photo_file())
    with pytest.raises(Cancelled):
        run(request, engine, cancel=lambda: len(engine.calls) >= after)
    assert len(engine.calls) == after
    assert files() == ["a.png"]


class TestMany:
    @pytest.fixture
    def results(self) -> list[DeblurResult]:
        return []

    def test_every_result_in_order(self, engine, photo_file, tmp_path, results, files):
        failed = DeblurResult(Path("z.png"), status="failed", error="z.png: missing", code="photo_not_found")
        (tmp_path / "b.png").write_text("text")
        jobs = [DeblurRequest(photo_file("a.png")), failed, DeblurRequest(tmp_path / "b.png")]
        jobs.append(DeblurRequest(photo_file("c.jpg")))
        started = []
        run_all(jobs, lambda: engine, results.append, started=lambda request: started.append(request.source.name))
        assert [result.input.name for result in results] == ["a.png", "z.png", "b.png", "c.jpg"]
        assert [result.status for result in results] == ["ok", "failed", "failed", "ok"]
        assert results[1] is failed
        assert started == ["a.png", "c.jpg"]
        assert files() == ["a.png", "a_deblurred.png", "b.png", "c.jpg", "c_deblurred.jpg"]

    def test_large_photos_wait_for_each_other(self, engine, photo_file, results, monkeypatch):
        import fdikp.imaging

        order = []

        def recorded(name):
            function = getattr(fdikp.imaging, name)

            def call(*args, **options):
                order.append(name)
                return function(*args, **options)

            return call

        for name in ("read_photo", "write_photo"):
            monkeypatch.setattr(fdikp.imaging, name, recorded(name), raising=False)
        jobs = [DeblurRequest(photo_file(f"{name}.png")) for name in "abc"]
        run_all(jobs, lambda: engine, results.append, max_ahead=1000)  # bytes
        assert order == ["read_photo", "write_photo"] * 3

    def test_the_engine_is_loaded_once_and_only_when_needed(self, engine, photo_file, tmp_path, results):
        loaded = []

        def load():
            loaded.append(engine)
            return engine

        run_all([DeblurRequest(tmp_path / "none.png")], load, results.append)
        assert not loaded
        jobs = [DeblurRequest(photo_file(f"{name}.png")) for name in "ab"]
        run_all(jobs, load, results.append)
        assert len(loaded) == 1
        run_all([replace(job, existing="skip") for job in jobs], load, results.append)
        assert len(loaded) == 1

    def test_an_engine_that_cannot_be_loaded_ends_the_run(self, photo_file, results, files):
        def load():
            raise WeightsError("no such model", code="model_unknown")

        with pytest.raises(WeightsError, match="no such model"):
            run_all([DeblurRequest(photo_file())], load, results.append)
        assert not results
        assert files() == ["a.png"]

    def test_cancelled_between_two_photos(self, engine, photo_file, results, files):
        jobs = [DeblurRequest(photo_file(f"{name}.png")) for name in "abc"]
        with pytest.raises(Cancelled):
            run_all(jobs, lambda: engine, results.append, cancel=lambda: len(engine.calls) >= 6)
        assert [result.input.name for result in results] == ["a.png"]
        assert len(engine.calls) == 6
        assert [name for name in files() if "deblurred" in name] == ["a_deblurred.png"]

    def test_two_names_for_one_result_lose_nothing(self, engine, photo_file, tmp_path, results):
        (tmp_path / "x").mkdir()
        (tmp_path / "y").symlink_to("x")
        one, other = photo_file("a.png"), photo_file("b.png", (8, 8))
        jobs = [DeblurRequest(one, tmp_path / "x/c.png", existing="replace")]
        jobs.append(DeblurRequest(other, tmp_path / "y/c.png", existing="replace"))
        run_all(jobs, lambda: engine, results.append)
        assert [result.code for result in results] == [None, "output_collision"]
        assert "was just written for another photo" in results[1].error
        assert Image.open(tmp_path / "x/c.png").size == (30, 20)

    def test_an_adapted_extension_takes_no_other_result(self, engine, photo_file, tmp_path, results):
        one = photo_file("a.jpg", (8, 8))
        shutil.copy(one, tmp_path / "a.png")
        out = tmp_path / "out"
        jobs = [
            DeblurRequest(one, out / "a.jpg", adapt_extension=True),
            DeblurRequest(tmp_path / "a.png", out / "a.png", adapt_extension=True),
        ]
        run_all(jobs, lambda: engine, results.append)
        assert [result.code for result in results] == [None, "output_collision"]
