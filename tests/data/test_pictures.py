import numpy as np
import pytest
from PIL import Image

from fdikp.data import check_pictures, load_pictures, picture_size, read_picture
from fdikp.data import pictures as module
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
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    pictures = load_pictures([tmp_path / "a", tmp_path / "b"])
    assert [int(p[0, 0, 0]) for p in pictures] == [0, 1, 2]
    assert pictures[0].shape == (9, 7, 3)
    with pytest.raises(DataError, match="none: no such folder"):
        load_pictures([tmp_path / "a", tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no pictures"):
        load_pictures([tmp_path / "empty"])


def test_16_bits_stay_where_libvips_is_and_become_8_where_not(tmp_path, monkeypatch):
    pyvips = pytest.importorskip("pyvips")
    pixels = np.arange(48 * 3, dtype=np.uint16).reshape(6, 8, 3) * 400
    file = tmp_path / "deep.png"
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").pngsave(str(file))
    assert np.array_equal(read_picture(file), pixels)
    monkeypatch.setattr(module, "reads_16_bits", lambda: False)
    assert np.array_equal(read_picture(file), (pixels >> 8).astype(np.uint8))


def test_all_faults_are_told_at_once(tmp_path, save):
    whole = save("whole.jpg", (64, 64), 90)
    cut = save("cut.png", (64, 64), 90)
    cut.write_bytes(cut.read_bytes()[:-20])
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    with pytest.raises(DataError) as error:
        check_pictures([whole, cut, text, tmp_path / "gone.png"])
    message = str(error.value)
    assert "cut short" in message and "not a picture" in message and "no such file" in message
    assert "whole.jpg" not in message
    assert "\n" not in message
    with pytest.raises(DataError, match=r"and 3 more such faults"):
        check_pictures([tmp_path / f"{n}.png" for n in range(8)])


def test_pictures_are_upright(save):
    exif = Image.Exif()
    exif[274] = 6
    file = save("turned.jpg", (16, 24), exif=exif)
    assert picture_size(file) == (24, 16)
    assert read_picture(file).shape == (24, 16, 3)
