"""Photographs of every odd kind go through `fdikp deblur`; the untrained network must give them back unchanged."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image, ImageOps


def same(one, other, tolerance: int = 0) -> None:
    one, other = (np.asarray(image).astype(int) for image in (one, other))
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= tolerance


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (333, 7), (2, 3), (47, 49)])
def test_any_size(deblur, picture, size):
    picture("a.png", size)
    done = deblur("a.png", "--blur-map", "--compare")
    assert (done.code, done.err) == (0, "")
    same(Image.open("a_deblurred.png"), Image.open("a.png"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_any_kind_of_png(deblur, tmp_path, mode):
    grey = Image.fromarray(np.arange(0, 240, dtype=np.uint8).reshape(12, 20))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(tmp_path / "a.png")
    assert deblur("a.png").code == 0
    result = Image.open("a_deblurred.png")
    if mode == "I;16":
        same(result, image)
    else:
        same(result.convert("RGBA"), image.convert("RGBA"))


def test_cmyk(deblur, tmp_path):
    Image.new("CMYK", (20, 10), (0, 128, 255, 0)).save(tmp_path / "a.jpg")
    done = deblur("a.jpg", "--json")
    assert done.code == 0
    assert json.loads(done.out)["notes"]  # that it is RGB now
    assert Image.open("a_deblurred.jpg").mode == "RGB"


def test_float_tiff(deblur, tmp_path):
    values = np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert deblur("a.tif").code == 0
    np.testing.assert_allclose(np.asarray(Image.open("a_deblurred.tif")), values, atol=1e-6)


def test_progressive_jpeg(deblur, picture):
    picture("a.jpg", progressive=True, quality=95)
    assert deblur("a.jpg", "--format", "png").code == 0
    same(Image.open("a_deblurred.png"), Image.open("a.jpg"), tolerance=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(deblur, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture("a.jpg", exif=exif, quality=95)
    assert deblur("a.jpg", "--format", "png").code == 0
    upright = ImageOps.exif_transpose(Image.open("a.jpg"))
    same(ImageOps.exif_transpose(Image.open("a_deblurred.png")), upright, tolerance=3)


@pytest.mark.parametrize("format", ["TIFF", "GIF", "WEBP"])
def test_of_several_pages_or_frames_the_first(deblur, tmp_path, format):
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("red", "lime", "blue")]
    suffix = {"TIFF": ".tif", "GIF": ".gif", "WEBP": ".webp"}[format]
    frames[0].save(tmp_path / f"a{suffix}", format, save_all=True, append_images=frames[1:], lossless=True)
    done = deblur(f"a{suffix}", "--format", "png", "--json")
    assert done.code == 0
    assert "First of 3" in json.loads(done.out)["notes"][0]
    same(Image.open("a_deblurred.png").convert("RGB"), frames[0])


@pytest.mark.parametrize(
    "name",
    ["my photo.png", "été 日本 🌸.png", "a[1].png", "a{b}*?.png", "'quoted\".png", "%d.png", "a.b.c.png", "a\tb\n.png"],
)
def test_any_name(deblur, picture, tree, name):
    picture(name)
    done = deblur(name)
    assert (done.code, done.err, len(done.out.splitlines())) == (0, "", 1)
    stem = name.removesuffix(".png")
    assert tree() == sorted([name, f"{stem}_deblurred.png"])


def test_a_name_that_is_no_text(deblur, encoded, tmp_path):
    name = os.fsdecode(b"\xff\xfe.png")
    try:
        (tmp_path / name).write_bytes(encoded("PNG"))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    assert deblur(name).code == 0
    done = deblur(name, "--overwrite", "--json")
    assert done.code == 0
    assert json.loads(done.out)["input"] == name


def test_markup_in_a_name_is_text(deblur, picture, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    picture("[bold]a[/nonsense].png")
    assert deblur("[bold]a[/nonsense].png").code == 0


class TestContentAgainstName:
    """A JPEG named .png, or without extension: the result is what the content is, under a name that says so."""

    def test_the_result_is_named_for_what_it_is(self, deblur, picture, tree):
        picture("a.png", format="JPEG"), picture("b", format="TIFF"), picture("x/c.png", format="JPEG")
        done = deblur("a.png", "b", "x", "-o", "out", "--json")
        assert (done.code, len(done.errors)) == (0, 1)
        outcomes = [json.loads(line) for line in done.out.splitlines()]
        assert outcomes[0]["notes"][0] == "The content is JPEG, so the result is named a.jpg."
        assert tree("out") == ["a.jpg", "b.tif", "x/c.jpg"]
        assert Image.open("out/a.jpg").format == "JPEG"

    def test_a_chosen_format_or_name_stays(self, deblur, picture, tree):
        picture("a.png", format="JPEG")
        assert deblur("a.png", "--format", "png").code == 0
        assert deblur("a.png", "-o", "out/b.png").code == 0
        assert tree() == ["a.png", "a_deblurred.png", "out/b.png"]
        assert Image.open("out/b.png").format == "PNG"

    def test_a_collision_that_shows_only_then_loses_nothing(self, deblur, picture, tree):
        picture("a.jpg", (8, 8)), picture("a.png", format="JPEG"), picture("a.webp", format="JPEG")
        done = deblur("a.jpg", "a.png", "a.webp", "-o", "out")
        assert (done.code, len(done.errors)) == (1, 3)
        assert (
            "a.png: holds JPEG, so its result would be out/a.jpg, which is also the result of a.jpg" in done.errors[0]
        )
        assert tree("out") == ["a.jpg"]
        assert Image.open("out/a.jpg").size == (8, 8)

    def test_neither_do_two_that_are_both_misnamed(self, deblur, picture, tree):
        picture("a.png", format="JPEG"), picture("a.webp", format="JPEG")
        done = deblur("a.png", "a.webp", "-o", "out")
        assert (done.code, len(done.errors)) == (1, 2)
        assert tree("out") == ["a.jpg"]

    def test_existing_results_are_seen(self, deblur, picture, tree):
        picture("a.png", format="JPEG")
        assert deblur("a.png").code == 0
        assert deblur("a.png").code == 1
        done = deblur("a.png", "--skip-existing")
        reason = "The content is JPEG, so the result is named a_deblurred.jpg"
        assert (done.code, done.out) == (0, f"a.png: skipped, a_deblurred.jpg exists; {reason}\n")
        assert tree() == ["a.png", "a_deblurred.jpg"]

    def test_a_gif_becomes_a_png(self, deblur, picture, tree):
        picture("a.gif")
        assert deblur("a.gif").code == 0
        assert tree() == ["a.gif", "a_deblurred.png"]


def test_a_profile_survives_into_the_comparison(deblur, picture):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture("a.jpg", icc_profile=profile)
    assert deblur("a.jpg", "--compare").code == 0
    kept = Image.open("a_compare.jpg").info["icc_profile"]
    assert ImageCms.ImageCmsProfile(io.BytesIO(kept))
