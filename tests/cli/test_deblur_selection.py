"""`fdikp deblur` on a part of a photo, and previews: --mask, --region, --max-blur, --min-blur, --preview."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def restore(run, calibrated_weights):
    """Run `fdikp deblur` with an untrained network whose result differs visibly from its input."""
    how = ("--model", calibrated_weights, "--device", "cpu", "--precision", "float32")
    return lambda *args: run("deblur", *args, *how, model=False)


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def mask(path: str, size: tuple[int, int] = (64, 96), white: slice = slice(48, None)) -> Path:
    """Write a mask that is white in some columns."""
    values = np.zeros(size, np.uint8)
    values[:, white] = 255
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return Path(path)


def changed(before, after) -> np.ndarray:
    """[H, W]: whether any channel changed."""
    return (pixels(before) != pixels(after)).any(axis=2)


def test_a_mask_keeps_what_is_black_bit_for_bit(restore, picture):
    picture("a.png", (64, 96))
    mask("m.png")
    assert restore("a.png", "-o", "all/").code == 0
    assert restore("a.png", "-o", "some/", "--mask", "m.png").code == 0
    where = changed("a.png", "some/a.png")
    assert not where[:, :48].any() and where[:, 48:].mean() > 0.5
    np.testing.assert_array_equal(pixels("some/a.png")[:, 48:], pixels("all/a.png")[:, 48:])


def test_a_folder_of_masks_is_matched_by_name(restore, picture, tree):
    for name in ("x/a.png", "x/y/a.png", "x/b.png"):
        picture(name, (64, 96))
    mask("x/masks/a.png"), mask("x/masks/y/a.png", white=slice(48))
    done = restore("x", "-o", "out", "--mask", "x/masks")
    assert done.code == 1 and len(done.errors) == 2
    assert done.errors[0].startswith("fdikp: x/b.png: has no mask; x/masks/b.* match no image")
    assert tree("out") == ["a.png", "y/a.png"]  # b is not restored, and the masks are no photos
    assert not changed("x/a.png", "out/a.png")[:, :48].any()
    assert not changed("x/y/a.png", "out/y/a.png")[:, 48:].any()


def test_regions(restore, picture):
    picture("a.png", (64, 96))
    assert restore("a.png", "--region", "0,0,24,100%", "--region", "75%,0%,25%,50%").code == 0
    where = changed("a.png", "a_deblurred.png")
    assert where[:, :20].mean() > 0.5 and where[:28, 76:].mean() > 0.5
    assert not where[:, 28:68].any() and not where[36:, 28:].any()


def test_blur_limits_divide_the_photo(restore):
    """What is within one limit is outside the other; the blur map tells where."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    noise[:, 48:] = noise[:1, :1]  # one half is flat
    Image.fromarray(noise).save("a.png")
    assert restore("a.png", "-o", "all/", "--blur-map").code == 0
    radius = pixels("all/a_blurmap.png") / 256
    limit = float(np.percentile(radius, 30))
    assert restore("a.png", "-o", "low/", "--max-blur", limit).code == 0
    assert restore("a.png", "-o", "high/", "--min-blur", limit).code == 0
    everything, low, high = (changed("a.png", f"{folder}/a.png") for folder in ("all", "low", "high"))
    near, far = radius <= limit, radius >= limit
    np.testing.assert_array_equal(low[near], everything[near])
    np.testing.assert_array_equal(high[far], everything[far])
    softness = max(0.5, limit / 4)
    beyond, below = radius > limit + softness + 0.01, radius < limit - softness - 0.01
    assert not low[beyond].any() and not high[below].any()
    assert beyond.any() or below.any()


def test_a_note_says_if_nothing_is_selected(restore, picture):
    picture("a.png", (64, 96))
    mask("m.png", white=slice(0))
    done = restore("a.png", "--mask", "m.png")
    assert done.code == 0 and "nothing is selected" in done.out
    np.testing.assert_array_equal(pixels("a.png"), pixels("a_deblurred.png"))


class TestPreview:
    def test_its_name_and_size(self, restore, picture, tree):
        picture("a.png", (64, 96))
        assert restore("--preview", "48", "a.png", "--blur-map").code == 0
        assert tree() == ["a.png", "a_preview.png", "a_preview_blurmap.png"]
        assert pixels("a_preview.png").shape == (32, 48, 3) and pixels("a_preview_blurmap.png").shape == (32, 48)
        assert restore("a.png", "-o", "out/", "--preview", "48").code == 0
        assert tree("out") == ["a_preview.png"]  # not to be mistaken for the result

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_without_a_number_it_has_1024_pixels(self, restore, picture, tree, place):
        picture("a.png", (8, 2048))
        assert restore(*(["--preview", "a.png"] if place == "before" else ["a.png", "--preview"])).code == 0
        assert pixels("a_preview.png").shape == (4, 1024, 3)

    def test_it_is_the_preview_of_the_library(self, restore, picture, calibrated_weights):
        from fdikp import load_model, read_photo

        picture("a.png", (64, 96))
        mask("m.png")
        limits = ("--mask", "m.png", "--region", "0,0,80,100%", "--max-blur", "9", "--strength", "0.9")
        assert restore("a.png", "--preview", "48", *limits).code == 0
        model = load_model(calibrated_weights, device="cpu", precision="float32")
        photo, how = read_photo("a.png"), {"mask": "m.png", "regions": ["0,0,80,100%"], "max_blur": 9, "strength": 0.9}
        np.testing.assert_array_equal(pixels("a_preview.png"), model.preview(photo, 48, **how).pixels)

    def test_neither_it_nor_its_side_images_are_inputs(self, restore, picture, tree):
        picture("x/a.png", (64, 96))
        sides = ("--blur-map", "--blur-map-figure", "--confidence-map", "--compare")
        assert restore("x", "--preview", "48", *sides).code == 0
        assert restore("x", "--overwrite", *sides).code == 0
        assert restore("x", "-o", "out").code == 0
        assert tree("out") == ["a.png"]


BAD_LINES = [
    (["--region", "1,2,3"], "--region 1,2,3: must be X,Y,WIDTH,HEIGHT"),
    (["--region", "a,b,c,d"], "--region a,b,c,d: must be X,Y,WIDTH,HEIGHT"),
    (["--region", ""], "--region : must be X,Y,WIDTH,HEIGHT"),
    (["--region", "1,2,0,4"], "--region 1,2,0,4: is empty"),
    (["--region", "1,2,3,4", "--region", "0,0,-5,5"], "--region 0,0,-5,5"),
    (["--region", "-1,0,5,5"], "--region"),
    (["--max-blur", "-1"], "--max-blur -1.0: must be a radius in pixels, at least 0"),
    (["--max-blur", "nan"], "--max-blur nan: must be a radius in pixels, at least 0"),
    (["--min-blur", "inf"], "--min-blur inf: must be a radius in pixels, at least 0"),
    (["--max-blur", "soft"], "--max-blur soft: must be a number"),
    (["--min-blur", "3", "--max-blur", "2"], "--min-blur 3: must be at most --max-blur, which is 2"),
    (["--preview", "0"], "--preview 0: must be at least 1"),
    (["--preview", "-5"], "--preview -5: must be at least 1"),
    (["--preview", "10.5"], "--preview 10.5: must be a whole number"),
    (["--mask", "nothing.png"], "--mask nothing.png: there is no such file or folder"),
    (["--mask", ""], "--mask : there is no such file or folder"),
]


@pytest.mark.parametrize(("args", "message"), BAD_LINES, ids=[" ".join(args) for args, _ in BAD_LINES])
def test_what_cannot_be_meant_is_refused_in_one_line(deblur, picture, tree, args, message):
    picture("a.png")
    done = deblur("a.png", *args, "--compare")
    assert (done.code, done.out, len(done.errors)) == (2, "", 1), done
    assert done.err.startswith(f"fdikp: {message}")
    assert tree() == ["a.png"]


BAD_PHOTOS = {
    "another aspect": (["--mask", "m.png"], "its mask m.png, 30 × 21 pixels, has another aspect"),
    "no image": (["--mask", "text.png"], "its mask text.png: is named .png, but its content is not a photo"),
    "empty": (["--mask", "empty.png"], "its mask empty.png: is empty"),
    "cut short": (["--mask", "short.png"], "its mask short.png: the PNG data is cut short"),
    "no match": (["--mask", "masks"], "has no mask; masks/a.* match no image"),
    "several": (["--mask", "two"], "has several masks, two/a.jpg and two/a.png"),
    "region outside": (["--region", "500,0,9,9"], "the region 500,0,9,9 lies outside the image of 30 × 20 pixels"),
}


@pytest.mark.parametrize("kind", BAD_PHOTOS)
@pytest.mark.parametrize("sides", [[], ["--preview", "10", "--blur-map", "--blur-map-figure", "--confidence-map"]])
def test_what_does_not_fit_a_photo_is_its_fault(deblur, picture, tree, kind, sides):
    args, message = BAD_PHOTOS[kind]
    picture("a.png")
    mask("m.png", (21, 30)), mask("masks/b.png"), mask("two/a.png", (20, 30)), mask("two/a.jpg", (20, 30))
    Path("text.png").write_text("Dear diary" * 9)
    Path("empty.png").touch()
    Path("short.png").write_bytes(picture("a.png").read_bytes()[:300])
    before = tree()
    done = deblur("a.png", *args, *sides)
    assert (done.code, done.out, len(done.errors)) == (1, "", 1), done
    assert done.err.startswith(f"fdikp: a.png: {message}")
    assert tree() == before


@pytest.mark.parametrize(
    "args",
    [["--max-blur", "3"], ["--min-blur", "1"], ["--blur-map"], ["--blur-map-figure"], ["--confidence-map"]],
    ids=lambda args: args[0],
)
def test_weights_without_a_calibration_cannot_tell_the_blur(run, picture, tree, tiny_weights, args):
    picture("a.png")
    done = run("deblur", "a.png", "--model", tiny_weights, *args, model=False)
    assert (done.code, done.out, len(done.errors)) == (2, "", 1)
    assert done.err == (
        f"fdikp: {args[0]}: the weights of {tiny_weights} have no blur calibration; run fdikp calibrate\n"
    )
    assert tree() == ["a.png"]
    assert run("deblur", "a.png", "--model", tiny_weights, "--region", "0,0,9,9", model=False).code == 0
