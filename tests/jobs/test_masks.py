"""Masks are matched by name, and read like photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import PhotoError
from fdikp.jobs import DeblurRequest, InputPath, OutputNaming, plan_jobs, run
from fdikp.jobs.masks import match_masks


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make files in the folder `masks` of the current folder; returns that folder."""
    monkeypatch.chdir(tmp_path)

    def masks(*names: str) -> Path:
        for name in names:
            path = Path("masks", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return Path("masks")

    return masks


def source(path: str, place: str = "") -> InputPath:
    return InputPath(Path(path), Path(place or Path(path).name))


@pytest.mark.parametrize(
    ("names", "photo", "mask"),
    [
        (["a.png"], source("x/a.jpg"), "a.png"),
        (["a.PNG"], source("x/a.JPG"), "a.PNG"),
        (["a.jpg", "b.jpg"], source("a.jpg"), "a.jpg"),
        (["day 1/a.png", "a.png"], source("x/day 1/a.jpg", "day 1/a.jpg"), "day 1/a.png"),
        (["b/a.png", "a.png"], source("x/c/a.jpg", "c/a.jpg"), "a.png"),
        (["a.b.png", "a.png"], source("a.b.jpg"), "a.b.png"),
        (["scan.2024.png"], source("scan.2024"), "scan.2024.png"),
        (["[1].png", "1.png"], source("[1].jpg"), "[1].png"),
        (["a.txt", "a.xcf", "a.png"], source("a.jpg"), "a.png"),
    ],
)
def test_a_mask_has_the_name_of_its_photo(masks, names, photo, mask):
    folder = masks(*names)
    assert match_masks([photo], folder) == [folder / mask]


@pytest.mark.parametrize(
    ("names", "photo", "message"),
    [
        ([], source("x/a.jpg"), "x/a.jpg: has no mask; masks/a.* match no image; add its mask"),
        (["b.png"], source("c/a.jpg", "c/a.jpg"), "c/a.jpg: has no mask; masks/c/a.* and masks/a.* match no image"),
        (["a.b.png", "A.png"], source("a.jpg"), "a.jpg: has no mask"),
        (["c/a.png"], source("a.jpg"), "a.jpg: has no mask"),
        (["a.png", "a.tif"], source("a.jpg"), "a.jpg: has several masks, masks/a.png and masks/a.tif; keep one"),
    ],
)
def test_without_one_mask_the_photo_fails(masks, names, photo, message):
    folder = masks("other.png", *names)
    (error,) = match_masks([photo], folder)
    assert isinstance(error, PhotoError) and error.code == "mask_unusable"
    assert str(error).startswith(message)


def test_photos_of_one_name_in_two_places_share_no_mask(masks):
    folder = masks("a.png")
    photos = [source("x/a.jpg", "a.jpg"), source("x/a.dng", "a.dng"), source("x/y/a.jpg", "y/a.jpg")]
    *shared, error = match_masks(photos, folder)
    assert shared == [folder / "a.png"] * 2
    assert str(error).startswith("x/y/a.jpg: has the same name as another photo, so masks/a.png may not be its mask")
    assert match_masks(photos, masks("y/a.png"))[2] == folder / "y/a.png"


def test_a_plan_gives_each_photo_its_mask(masks):
    folder = masks("a.png")
    how = OutputNaming()
    planned = plan_jobs([source("a.jpg"), source("b.jpg")], how, DeblurRequest(Path(), mask=folder))
    assert planned[0].mask == folder / "a.png"
    assert (planned[1].status, planned[1].code) == ("failed", "mask_unusable")
    (request,) = plan_jobs([source("a.jpg")], how, DeblurRequest(Path(), mask=folder / "a.png"))
    assert request.mask == folder / "a.png"


def black_white(path: Path, mode: str = "L", size: tuple[int, int] = (30, 20), **options) -> Path:
    """A mask whose left half is black and whose right half is white."""
    half = np.zeros((size[1], size[0]), np.uint8)
    half[:, size[0] // 2 :] = 255
    Image.fromarray(half).convert(mode).save(path, **options)
    return path


ORIENTED = Image.Exif()
ORIENTED[0x0112] = 3  # upside down: black is displayed on the right


@pytest.mark.parametrize(
    ("name", "mode", "size", "options", "white"),
    [
        ("m.png", "L", (30, 20), {}, slice(15, None)),
        ("m.png", "1", (30, 20), {}, slice(15, None)),
        ("m.png", "RGB", (30, 20), {}, slice(15, None)),
        ("m.png", "LA", (30, 20), {}, slice(15, None)),
        ("m.tif", "F", (30, 20), {}, None),  # 0..255 in floats
        ("m.tif", "L", (60, 40), {}, slice(15, None)),
        ("m.jpg", "L", (30, 20), {"exif": ORIENTED, "quality": 100}, slice(None, 15)),
    ],
)
def test_white_is_restored_and_black_kept(engine, photo_file, tmp_path, name, mode, size, options, white):
    source = photo_file()
    mask = black_white(tmp_path / name, mode, size, **options)
    result = run(DeblurRequest(source, mask=mask), engine)
    if white is None:
        assert result.code == "mask_unusable"
        assert result.error == f"{source}: its mask {mask} has values outside 0..1; rescale them"
        return
    assert result.status == "ok", result.error
    before, after = (np.asarray(Image.open(path)) for path in (source, result.output))
    expected = before.copy()
    expected[:, white] = 255 - before[:, white]
    np.testing.assert_array_equal(after, expected)


def test_a_mask_of_16_bits(engine, photo_file, tmp_path):
    mask = tmp_path / "m.png"
    Image.fromarray(np.full((20, 30), 32768, np.uint16)).save(mask)
    result = run(DeblurRequest(photo_file(), mask=mask), engine)
    assert np.abs(np.asarray(Image.open(result.output)).astype(int) - 127.5).max() <= 0.5  # half of both


FAULTS = {
    "missing": (None, "m.png: no such file"),
    "empty": (b"", "m.png: is empty"),
    "text": (b"Dear diary" * 9, "m.png: is named .png, but its content is not a photo"),
    "cut short": (b"\x89PNG\r\n\x1a\n" + bytes(60), "m.png: the PNG data is cut short"),
    "another aspect": ((30, 21), "m.png, 30 × 21 pixels, has another aspect than the image of 30 × 20 pixels"),
    "turned": ((20, 30), "m.png, 20 × 30 pixels, has another aspect than the image of 30 × 20 pixels"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mask_that_cannot_be_used_is_named(engine, photo_file, tmp_path, files, name):
    content, message = FAULTS[name]
    source, mask = photo_file(), tmp_path / "m.png"
    if isinstance(content, bytes):
        mask.write_bytes(content)
    elif content:
        black_white(mask, size=content)
    before = files()
    result = run(DeblurRequest(source, mask=mask, blur_map=tmp_path / "map.png"), engine)
    assert (result.status, result.code) == ("failed", "mask_unusable")
    assert result.error.startswith(f"{source}: its mask {tmp_path}/{message}")
    assert "\n" not in result.error
    assert files() == before and not engine.calls


def test_a_folder_is_no_mask_of_one_request(engine, photo_file, tmp_path):
    result = run(DeblurRequest(photo_file(), mask=tmp_path), engine)
    assert result.code == "mask_unusable" and "is not a file" in result.error


def test_a_mask_with_too_many_pixels_names_the_limit(engine, photo_file, tmp_path):
    mask = black_white(tmp_path / "m.png", size=(60, 40))
    result = run(DeblurRequest(photo_file(), mask=mask, max_pixels=600), engine)
    assert result.code == "too_many_pixels" and str(mask) in result.error


def test_no_result_replaces_the_mask(engine, photo_file, tmp_path):
    source = photo_file()
    mask = black_white(tmp_path / "m.png")
    before = mask.read_bytes()
    result = run(DeblurRequest(source, tmp_path / "m.png", mask=mask, existing="replace"), engine)
    assert result.code == "output_is_input" and f"would replace its mask {mask}" in result.error
    assert mask.read_bytes() == before
