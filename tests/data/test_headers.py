import numpy as np
import pytest
import tifffile
from PIL import Image

from fdikp.data import image_size, image_sizes, read_image
from fdikp.data.headers import Header, read_header
from fdikp.errors import DataError


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_size_is_that_of_the_upright_pixels(files, suffix):
    exif = Image.Exif()
    exif[274] = 6
    folder = files(f"straight.{suffix}")
    files(f"turned.{suffix}", exif=exif)
    assert read_header(folder / f"straight.{suffix}") == Header(16, 24, 8)
    assert image_size(folder / f"turned.{suffix}") == (24, 16)
    if suffix == "jpg":
        assert read_image(folder / "turned.jpg").shape == (24, 16, 3)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("dtype", "bits", "floating"), [(np.uint8, 8, False), (np.uint16, 16, False), (np.float32, 32, True)]
)
def test_samples_of_a_tiff(tmp_path, dtype, bits, floating, big):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8, 3), dtype), photometric="rgb", bigtiff=big)
    assert read_header(tmp_path / "a.tif") == Header(6, 8, bits, floating)


def test_samples_of_a_png(tmp_path):
    pyvips = pytest.importorskip("pyvips")
    pixels = np.zeros((6, 8, 3), np.uint16)
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").pngsave(str(tmp_path / "deep.png"))
    Image.fromarray(pixels[..., 0] > 0).save(tmp_path / "one bit.png")
    assert read_header(tmp_path / "deep.png") == Header(6, 8, 16)
    assert read_header(tmp_path / "one bit.png") == Header(6, 8, 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.98])
def test_files_that_are_cut_short(files, suffix, fraction):
    path = files(f"a.{suffix}", size=(64, 64)) / f"a.{suffix}"
    read_header(path)
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a\.{suffix}: cannot be read: .*; copy it again or remove it"):
        read_header(path)


def test_all_faults_are_reported_at_once(files, tmp_path):
    whole, cut = files("whole.jpg", "cut.png") / "whole.jpg", tmp_path / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-20])
    text = tmp_path / "text.png"
    text.write_text("not an image")
    with pytest.raises(DataError) as error:
        image_sizes([whole, cut, text, tmp_path / "gone.png"])
    message = str(error.value)
    assert "cut short" in message and "not an image" in message and "no such file" in message
    assert "whole.jpg" not in message
    assert "\n" not in message
    with pytest.raises(DataError, match=r"and 3 more such faults") as error:
        image_sizes([tmp_path / f"{n}.png" for n in range(8)])
    assert [fault.split(":")[0] for fault in error.value.faults] == [str(tmp_path / f"{n}.png") for n in range(8)]
