"""Whatever goes wrong: one line that names the file, no traceback, nothing half written, and the others still done."""

import errno
import os
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image


def failed(done, *names: str, lines: int = 1, code: int = 1) -> None:
    """Assert that a run failed as it should."""
    assert done.code == code
    assert len(done.errors) == lines
    assert all(line.startswith("fdikp: ") for line in done.errors)
    assert all(name in done.err for name in names)
    assert "Traceback" not in done.err


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def declared(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def wrong_checksum(png: bytes) -> bytes:
    at = png.index(b"IDAT") + 4
    length = int.from_bytes(png[at - 8 : at - 4], "big")
    broken = bytearray(png)
    broken[at + length] ^= 0xFF
    return bytes(broken)


BAD = {
    "empty": lambda encoded: b"",
    "text": lambda encoded: b"Dear diary, today I took a photograph.\n" * 20,
    "svg": lambda encoded: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>',
    "pdf": lambda encoded: b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n",
    "html": lambda encoded: b"<!DOCTYPE html><title>404</title>",
    "truncated jpeg": lambda encoded: encoded("JPEG", (200, 300))[:1500],
    "truncated png": lambda encoded: encoded("PNG", (200, 300))[:1500],
    "truncated tiff": lambda encoded: encoded("TIFF", (200, 300))[:5000],
    "truncated webp": lambda encoded: encoded("WEBP", (200, 300))[:500],
    "header only": lambda encoded: encoded("JPEG")[:20],
    "wrong checksum": lambda encoded: wrong_checksum(encoded("PNG")),
    "60000 x 60000": lambda encoded: declared(60000, 60000),
    "0 x 0": lambda encoded: declared(0, 0),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["bad.jpg", "bad.png", "bad"])
def test_a_bad_photograph_alone(deblur, tree, tmp_path, encoded, kind, name):
    (tmp_path / name).write_bytes(BAD[kind](encoded))
    done = deblur(name, "--blur-map", "--compare")
    failed(done, f"{name}: ")
    assert done.out == ""
    assert tree() == [name]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_photograph_among_others(deblur, picture, tree, tmp_path, encoded, kind):
    picture("x/a.png"), picture("x/c.png")
    (tmp_path / "x/b.jpg").write_bytes(BAD[kind](encoded))
    done = deblur("x", "-o", "out")
    failed(done, "x/b.jpg: ", lines=2)
    assert done.errors[-1].startswith("fdikp: 2 done, 0 skipped, 1 failed in ")
    assert len(done.out.splitlines()) == 2
    assert tree("out") == ["a.png", "c.png"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_photographs_with_values_that_are_none(deblur, picture, tree, tmp_path, value):
    picture("x/a.png")
    values = np.full((20, 30), 0.5, np.float32)
    values[3, 4] = value
    Image.fromarray(values).save(tmp_path / "x/b.tif")
    failed(deblur("x", "-o", "out"), "x/b.tif: ", lines=2)
    assert tree("out") == ["a.png"]


def test_a_declared_size_above_the_limit_names_the_option(deblur, tmp_path):
    (tmp_path / "a.png").write_bytes(declared(60000, 60000))
    done = deblur("a.png")
    assert "60000 × 60000" in done.err and "--max-pixels" in done.err


def test_missing(deblur, picture, tree):
    picture("a.png")
    done = deblur("a.png", "b.png", "-o", "out")
    failed(done, "b.png: no such file or folder", lines=2)
    assert tree() == ["a.png", "out/a.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads folders whatever their mode; test_find.py has a variant")
def test_an_unreadable_folder(deblur, picture, tree, tmp_path):
    picture("x/a.png"), picture("x/locked/b.png")
    (tmp_path / "x/locked").chmod(0)
    try:
        failed(deblur("x", "-o", "out"), "x/locked: cannot be read", lines=2)
    finally:
        (tmp_path / "x/locked").chmod(0o700)
    assert tree("out") == ["a.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes whatever the mode; the next test has a variant")
def test_a_read_only_output_folder(deblur, picture, tree, tmp_path):
    picture("a.png")
    (tmp_path / "out").mkdir(mode=0o500)
    failed(deblur("a.png", "-o", "out"), "a.png")
    assert tree() == ["a.png"]


def test_an_output_folder_that_cannot_be(deblur, picture, tree, tmp_path):
    picture("a.png"), picture("b.png")
    (tmp_path / "file").write_text("")
    failed(deblur("a.png", "b.png", "-o", "file/out/"), "a.png: ", "b.png: ", lines=3)
    assert tree() == ["a.png", "b.png", "file"]


@pytest.mark.parametrize("args", [[], ["--blur-map", "--compare"]])
def test_a_full_disk(deblur, picture, tree, monkeypatch, args):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    picture("a.png")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = deblur("a.png", *args)
    failed(done, "a.png", "No space left on device")
    assert tree() == ["a.png"]
    assert deblur("a.png", *args).code == 0


def test_a_result_that_fails_takes_its_side_images_with_it(deblur, picture, tree, monkeypatch):
    import fdikp.imaging

    write = fdikp.imaging.write_photo

    def failing(photo, path, **options):
        if "_deblurred" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return write(photo, path, **options)

    picture("a.png")
    monkeypatch.setattr(fdikp.imaging, "write_photo", failing, raising=False)
    failed(deblur("a.png", "--blur-map", "--compare"), "a.png", "cannot be written: Input/output error")
    assert tree() == ["a.png"]


def test_a_file_size_limit(picture, weights_file, tree, tmp_path):
    """The kernel itself refuses to write more: no monkeypatching."""
    pytest.importorskip("resource")
    picture("a.png", (300, 300))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from fdikp.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-B", "-c", code, "deblur", "a.png", "--format", "tiff", "--model", str(weights_file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "a.png" in done.stderr
    assert tree() == ["a.png"]


def test_a_file_system_without_room(deblur, picture, tree, tmp_path):
    picture("a.png", (300, 300))
    small = tmp_path / "small"
    small.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a file system is not permitted here; test_a_file_size_limit is the variant without")
    try:
        failed(deblur("a.png", "-o", "small", "--format", "tiff"), "a.png", "No space left on device")
        assert tree() == ["a.png"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


class TestWeights:
    """A model that cannot be loaded ends the run: one line, nothing written, however many photographs there are."""

    @pytest.fixture
    def model(self, run, picture, tree):
        def model(path, code=1):
            picture("a.png"), picture("b.png")
            done = run("deblur", "a.png", "b.png", "--model", path, model=False)
            failed(done, str(path), code=code)
            assert done.out == ""
            return done

        return model

    def test_unknown_names_list_the_known(self, model, tree):
        from fdikp import models

        done = model("fdikp-huge", code=2)
        assert all(name in done.err for name in models.available())
        assert tree() == ["a.png", "b.png"]

    def test_damaged(self, model, weights_file, tmp_path):
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(weights_file.read_bytes()[:-100])
        model(path)

    def test_not_weights(self, model, tmp_path):
        path = tmp_path / "text.safetensors"
        path.write_text("no weights")
        model(path)

    def test_of_another_shape(self, model, weights_file, tmp_path):
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(weights_file, "pt") as file:
            declared = file.metadata()
        path = tmp_path / "other.safetensors"
        save_file(
            {key: tensor.flatten()[:1].clone() for key, tensor in load_file(weights_file).items()}, path, declared
        )
        model(path)

    def test_a_device_that_is_not_there(self, deblur, picture, tree):
        picture("a.png"), picture("b.png")
        done = deblur("a.png", "b.png", "--device", "quantum")
        failed(done, "--device quantum: there is no such device; use auto, cpu, cuda or mps\n", code=2)
        assert tree() == ["a.png", "b.png"]


class TestTheUnforeseen:
    @pytest.fixture
    def broken(self, picture, monkeypatch):
        """Two photographs, the first of which trips over `error`."""
        from fdikp.inference.deblurrer import Deblurrer

        picture("a.png", (8, 8)), picture("b.png")
        restore = Deblurrer.restore

        def broken(error):
            def restoring(self, photo, **options):
                if photo.width == 8:
                    raise error
                return restore(self, photo, **options)

            monkeypatch.setattr(Deblurrer, "restore", restoring)

        return broken

    def test_a_bug_is_one_line_and_the_others_are_done(self, broken, deblur, tree, monkeypatch):
        monkeypatch.delenv("FDIKP_DEBUG", raising=False)
        broken(ZeroDivisionError("division by zero"))
        failed(deblur("a.png", "b.png", "-o", "out"), "a.png: unexpected ZeroDivisionError", "FDIKP_DEBUG=1", lines=2)
        assert tree("out") == ["b.png"]

    def test_its_traceback_is_shown_on_request(self, broken, deblur, monkeypatch):
        monkeypatch.setenv("FDIKP_DEBUG", "1")
        broken(ZeroDivisionError("division by zero"))
        done = deblur("a.png", "b.png", "-o", "out")
        assert done.code == 1
        assert "Traceback" in done.err and "test_deblur_failures.py" in done.err

    def test_memory_that_runs_out(self, broken, deblur, tree):
        broken(MemoryError())
        failed(deblur("a.png", "b.png", "-o", "out"), "a.png: not enough memory", "--tile", lines=2)
        assert tree("out") == ["b.png"]
