import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from fdikp.data import load_images, read_image, readers
from fdikp.data.readers import read_unit
from fdikp.errors import DataError


@pytest.fixture
def save(tmp_path):
    def save(name: str, size=(9, 7), level=0, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path, **options)
        return path

    return save


def test_folders_are_read_deeply_and_in_order(tmp_path, save):
    for level, name in enumerate(["a/1.png", "a/deep/2.png", "b/0.png"]):
        save(name, level=level)
    (tmp_path / "a" / "deep" / "2.png").rename(tmp_path / "a" / "deep" / "2.PNG")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    images = load_images([tmp_path / "a", tmp_path / "b"])
    assert [int(p[0, 0, 0]) for p in images] == [0, 1, 2]
    assert images[0].shape == (9, 7, 3)
    with pytest.raises(DataError, match="none: no such folder"):
        load_images([tmp_path / "a", tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no images"):
        load_images([tmp_path / "empty"])


def test_16_bits_stay_where_libvips_is_and_become_8_where_not(tmp_path, monkeypatch):
    pyvips = pytest.importorskip("pyvips")
    pixels = np.arange(48 * 3, dtype=np.uint16).reshape(6, 8, 3) * 400
    file = tmp_path / "deep.png"
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").pngsave(str(file))
    assert np.array_equal(read_image(file), pixels)
    monkeypatch.setattr(readers, "reads_16_bits", lambda: False)
    assert np.array_equal(read_image(file), (pixels >> 8).astype(np.uint8))


def test_images_are_upright(save):
    exif = Image.Exif()
    exif[274] = 6
    assert read_image(save("turned.jpg", (16, 24), exif=exif)).shape == (24, 16, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_survive_the_way_to_unit_range(tmp_path, dtype):
    values = np.arange(0, np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
    pixels = np.stack([values, values[::-1], values[:, ::-1]], axis=-1)
    tifffile.imwrite(tmp_path / "all.tif", pixels, photometric="rgb")
    unit = read_unit(tmp_path / "all.tif")
    assert (unit.dtype, unit.min(), unit.max()) == (np.float32, 0.0, 1.0)
    assert np.array_equal((unit * np.iinfo(dtype).max).round().astype(dtype), pixels)


def test_grey_becomes_rgb_and_alpha_is_left_out(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(np.stack([grey, grey], axis=-1), "LA").save(tmp_path / "grey.png")
    unit = read_unit(tmp_path / "grey.png")
    assert unit.shape == (3, 4, 3)
    assert np.array_equal(unit[..., 2], grey.astype(np.float32) / 255)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "NaN or inf"), (1.5, "0..1"), (-0.1, "0..1")])
def test_floats_outside_the_unit_range_are_refused(tmp_path, value, said):
    pixels = np.full((4, 5, 3), 0.5, np.float32)
    tifffile.imwrite(tmp_path / "good.tif", pixels, photometric="rgb")
    assert np.array_equal(read_unit(tmp_path / "good.tif"), pixels)
    pixels[1, 2, 0] = value
    tifffile.imwrite(tmp_path / "bad.tif", pixels, photometric="rgb")
    with pytest.raises(DataError, match=rf"bad\.tif.*{re.escape(said)}"):
        read_unit(tmp_path / "bad.tif")
