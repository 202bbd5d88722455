"""Jobs that restore a part of a photo, and previews."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import Photo, read_photo, write_photo
from fdikp.jobs import DeblurRequest, dry_run, read, restore, run


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def changed(source: Path, result: Path) -> np.ndarray:
    """[H, W]: whether any channel changed."""
    return (pixels(source) != pixels(result)).any(axis=2)


def test_only_the_regions_change(engine, photo_file):
    source = photo_file("a.png", (60, 90))
    result = run(DeblurRequest(source, regions=("0,0,30,100%", "70,10,20,10")), engine)
    where = changed(source, result.output)
    assert where[:, :26].all() and where[14:16, 76:86].all()
    assert not where[:, 35:65].any() and not where[30:, 35:].any()


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ({"max_blur": 10}, slice(0, 11), slice(13, None)),
        ({"min_blur": 10}, slice(10, None), slice(0, 8)),
        ({"min_blur": 8, "max_blur": 10}, slice(8, 11), slice(13, None)),
    ],
)
def test_limits_on_the_blur_radius(engine, photo_file, limits, inside, outside):
    source = photo_file()
    where = changed(source, run(DeblurRequest(source, **limits), engine).output)
    assert where[:, inside].all() and not where[:, outside].any()


def test_the_result_records_what_was_selected(engine, photo_file, tmp_path):
    mask = photo_file("mask.png")
    request = DeblurRequest(photo_file(), mask=mask, regions=("0,0,9,9", "1%,2%,3%,4%"), max_blur=4, min_blur=0.5)
    packet = read_photo(run(request, engine).output).metadata.xmp.decode()
    assert all(value in packet for value in ("mask.png", "0,0,9,9; 1%,2%,3%,4%", 'MaxBlur="4"', 'MinBlur="0.5"'))
    assert str(tmp_path) not in packet


def test_a_region_outside_the_photo_is_its_fault(engine, photo_file, files):
    source = photo_file()
    result = run(DeblurRequest(source, regions=("0,0,5,5", "30,0,5,5")), engine)
    assert (result.status, result.code) == ("failed", "request_invalid")
    assert result.error == f"{source}: the region 30,0,5,5 lies outside the image of 30 × 20 pixels"
    assert files() == ["a.png"] and not engine.calls


def test_a_small_part_says_nothing_about_the_focus_of_the_photo(engine, photo_file):
    for options in ({"regions": ("0,0,1,1",)}, {"min_blur": 1000}):
        assert run(DeblurRequest(photo_file(), **options, existing="replace"), engine).notes == ("It was easy.",)


class TestPreview:
    @pytest.mark.parametrize(
        ("size", "preview", "expected"),
        [
            ((200, 300), 150, (100, 150)),
            ((300, 200), 100, (100, 67)),
            ((1, 300), 30, (1, 30)),
            ((20, 30), 31, (20, 30)),
        ],
    )
    def test_size_and_name(self, engine, photo_file, files, size, preview, expected):
        result = run(DeblurRequest(photo_file("a.png", size), preview=preview), engine)
        assert (result.height, result.width) == expected
        assert files() == ["a.png", "a_preview.png"]
        assert pixels(result.output).shape[:2] == expected

    def test_regions_limits_and_the_blur_map_refer_to_the_full_photo(self, engine, photo_file, tmp_path):
        source = photo_file("a.png", (200, 300))
        request = DeblurRequest(
            source, preview=150, regions=("100,0,100,100%",), max_blur=120, blur_map=tmp_path / "map.png"
        )
        decoded = read(request)
        assert decoded.scale == 0.5 and decoded.photo.pixels.shape == (100, 150, 3)
        where = (restore(decoded, engine).photo.pixels != decoded.photo.pixels).any(axis=2)
        assert where[:, 55:60].all() and not where[:, :45].any() and not where[:, 80:].any()
        assert run(request, engine).status == "ok"
        np.testing.assert_array_equal(pixels(tmp_path / "map.png")[0], np.minimum(np.arange(150) * 512, 65535))

    def test_it_never_replaces_the_photo(self, engine, photo_file, tmp_path):
        source = photo_file("a.png", (200, 300))
        (tmp_path / "link.png").symlink_to("a.png")
        for output in (source, tmp_path / "link.png"):
            result = run(DeblurRequest(source, output, preview=30, existing="replace"), engine)
            assert result.error == f"{source}: would be replaced by its preview; choose another output"
        assert pixels(source).shape == (200, 300, 3)

    def test_a_mask_is_checked_against_the_full_photo(self, engine, photo_file, tmp_path):
        source, mask = photo_file("a.png", (200, 300)), tmp_path / "m.png"
        half = np.zeros((200, 300), np.uint8)
        half[:, 150:] = 255
        Image.fromarray(half).save(mask)
        decoded = read(DeblurRequest(source, preview=30, mask=mask))
        where = (restore(decoded, engine).photo.pixels != decoded.photo.pixels).any(axis=2)
        assert where[:, 16:].all() and not where[:, :14].any()

    def test_exif_states_the_new_size(self, engine, photo_file, tmp_path):
        exif = Image.Exif()
        exif[0x010F] = "Camera"
        exif.get_ifd(0x8769).update({0xA002: 300, 0xA003: 200})
        result = run(DeblurRequest(photo_file("a.jpg", (200, 300), exif=exif), preview=150), engine)
        kept = Image.open(result.output).getexif()
        assert kept[0x010F] == "Camera"
        assert (kept.get_ifd(0x8769)[0xA002], kept.get_ifd(0x8769)[0xA003]) == (150, 100)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_light_is_averaged_not_samples(self, tmp_path, dtype):
        """A fine pattern of black and white keeps its brightness: half the light is 0.735 in sRGB, not 0.5."""
        white = np.iinfo(dtype).max
        stripes = np.zeros((400, 400, 3), dtype)
        stripes[:, ::2] = white
        write_photo(Photo(stripes), tmp_path / "a.png")
        small = read(DeblurRequest(tmp_path / "a.png", preview=100)).photo.pixels
        assert small.dtype == dtype
        assert np.abs(small[10:-10, 10:-10] / white - 0.735).max() < 0.01

    def test_transparent_pixels_do_not_shine_through(self, tmp_path):
        pixels = np.zeros((400, 400, 3), np.uint8)
        pixels[:, 200:, 0], pixels[:, :200, 1] = 255, 255
        alpha = np.zeros((400, 400), np.uint8)
        alpha[:, 200:] = 255
        write_photo(Photo(pixels, alpha), tmp_path / "a.png")
        photo = read(DeblurRequest(tmp_path / "a.png", preview=50)).photo
        visible = photo.alpha > 64
        assert (photo.pixels[visible, 0] > 240).all() and (photo.pixels[visible, 1] < 15).all()
        assert photo.alpha[0, 0] == 0 and photo.alpha[0, -1] == 255


@pytest.mark.parametrize(
    "options",
    [
        {"preview": 150, "max_blur": 3},
        {"preview": 150, "regions": ("300,0,1,1",)},
        {"mask": "mask.png"},
        {"mask": "a.png", "preview": 7},
        {"mask": "none.png"},
    ],
)
def test_a_dry_run_says_what_the_run_does(engine, photo_file, tmp_path, files, options):
    photo_file("mask.png", (200, 301))
    if "mask" in options:
        options = {**options, "mask": tmp_path / options["mask"]}
    request = DeblurRequest(photo_file("a.png", (200, 300)), blur_map=tmp_path / "map.png", **options)
    (planned,) = dry_run([request])
    assert files() == ["a.png", "mask.png"]
    done = run(request, engine)
    assert (planned.status == "planned") == (done.status == "ok")
    for field in ("output", "error", "code", "width", "height", "blur_map"):
        assert getattr(planned, field) == getattr(done, field)


def test_a_float_photo_keeps_its_range_in_a_preview(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 400, dtype=np.float32)[:, None], (300, 1, 1))
    write_photo(Photo(ramp), tmp_path / "a.tif")
    small = read(DeblurRequest(tmp_path / "a.tif", preview=100)).photo.pixels
    assert small.dtype == np.float32 and small.shape == (75, 100, 1)
    np.testing.assert_allclose(small[0, :, 0], np.linspace(0, 1, 100), atol=0.01)
    assert read_photo(tmp_path / "a.tif").pixels.shape == (300, 400, 1)
