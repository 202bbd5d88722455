"""Under the final name there is at every moment the earlier file or the whole new one; failures are one line."""

import io
import os
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fdikp.errors import PhotoError
from fdikp.imaging import Photo, encode_photo, read_photo, write_photo
from fdikp.imaging.encoding import encode

FORMATS = ("jpeg", "png", "tiff", "webp", "avif")


@pytest.fixture
def photo():
    """Noise, which no encoder makes small."""
    return Photo(np.random.default_rng(4).integers(0, 256, (120, 160, 3), dtype=np.uint8))


def refused(photo, path, **options):
    with pytest.raises(PhotoError) as caught:
        write_photo(photo, path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
def test_an_earlier_file_is_replaced_and_nothing_else_left(format, photo, tmp_path):
    path = tmp_path / f"a.{format}"
    path.write_bytes(b"earlier")
    assert photo.save(path) == ()
    assert read_photo(path).format == format
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(photo, tmp_path):
    before = os.umask(0o027)
    try:
        write_photo(photo, tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_a_symbolic_link_stays_one(photo, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    write_photo(photo, tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    np.testing.assert_array_equal(read_photo(tmp_path / "elsewhere" / "a.png").pixels, photo.pixels)


def test_a_photo_can_be_written_over_its_own_source(photo, tmp_path):
    path = tmp_path / "a.tif"
    write_photo(photo, path)
    again = read_photo(path)
    again.with_pixels(255 - again.pixels).save(path)
    np.testing.assert_array_equal(read_photo(path).pixels, 255 - photo.pixels)


class FailingFile(io.BytesIO):
    """A file that breaks after some bytes."""

    def __init__(self, room, failure):
        super().__init__()
        self.room, self.failure = room, failure

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise self.failure
        return super().write(data)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("room", [0, 100, 8_000, 15_000])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stop"])
def test_failures_of_the_file_come_through_the_encoder(format, room, failure, photo):
    with pytest.raises(type(failure)):
        encode(photo, format, FailingFile(room, failure), 90, False)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, OSError])
def test_whatever_fails_the_earlier_file_stays(failure, photo, tmp_path, monkeypatch):
    def half(photo, format, file, quality, strip):
        file.write(b"half a fil")
        raise failure

    monkeypatch.setattr("fdikp.imaging.writing.encode", half)
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")
    with pytest.raises(PhotoError if failure is OSError else failure):
        write_photo(photo, path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", FORMATS)
def test_full_disk(format, photo, tmp_path):
    """A real small file system, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        (disk / "a").write_bytes(b"earlier")
        message = refused(photo, disk / "a", format=format, quality=90)
        assert "No space left on device" in message
        assert [each.name for each in disk.iterdir()] == ["a"]
        assert (disk / "a").read_bytes() == b"earlier"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_full_disk_by_a_limit_on_file_size(tmp_path):
    program = """
        import resource, signal, sys
        import numpy as np
        from fdikp.errors import PhotoError
        from fdikp.imaging import Photo, write_photo
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        noise = np.random.default_rng(4).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        for format in ("jpeg", "png", "tiff", "webp", "avif"):
            try:
                write_photo(Photo(noise), sys.argv[1] + "/a." + format, quality=90)
            except PhotoError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and all("File too large" in line for line in lines)
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(photo, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for path in (
        tmp_path / "file" / "a.png",
        tmp_path / "missing" / "a.png",
        "/proc/a.png",
        tmp_path / ("x" * 300 + ".png"),
        tmp_path / "folder.png",
        tmp_path / "a\0b.png",
    ):
        assert str(path).replace("\0", "\\x00") in refused(photo, path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.gif", "a.dng", "a.heic", ".png"])
def test_suffixes_that_name_no_writable_format(name, photo, tmp_path):
    assert "choose" in (message := refused(photo, tmp_path / name)) or "use" in message
    assert list(tmp_path.iterdir()) == []


def test_arguments_out_of_range(photo, tmp_path):
    for quality in (0, 101, -5):
        assert "quality" in refused(photo, tmp_path / "a.jpg", quality=quality)
    with pytest.raises(PhotoError, match="choose one of jpeg"):
        encode_photo(photo, "bmp")
    strip = Photo(np.zeros((1, 70_000, 3), np.uint8))
    for format in ("jpeg", "webp", "avif"):
        assert "TIFF or PNG" in refused(strip, tmp_path / "a", format=format)
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_those_of_the_file(photo, tmp_path):
    for format in FORMATS:
        write_photo(photo, tmp_path / "a", format=format)
        assert (tmp_path / "a").read_bytes() == encode_photo(photo, format)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of one process is told by /proc alone")
def test_memory_is_one_copy_in_and_one_out(tmp_path):
    """30 megapixels: a photo, a result beside it, reading and writing stay under two copies and a little."""
    program = """
        import re, sys
        import numpy as np
        from fdikp.imaging import Photo, read_photo, write_photo
        def peak():
            return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
        path = sys.argv[1] + "/a." + sys.argv[2]
        write_photo(Photo(np.full((9, 9, 3), 90, np.uint8)), path)  # everything is loaded
        before = peak()
        photo = Photo(np.full((5000, 6000, 3), 90, np.uint8))
        write_photo(photo, path)
        print((peak() - before) / photo.pixels.nbytes)
        del photo
        photo = read_photo(path)
        write_photo(photo.with_pixels(photo.pixels + 1), path)
        print((peak() - before) / photo.pixels.nbytes)
    """
    for format in ("jpg", "tif"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), tmp_path, format],
            capture_output=True,
            text=True,
            check=True,
        )
        one, two = map(float, done.stdout.split())
        assert 0.9 < one < 1.4 and 1.9 < two < 2.4
