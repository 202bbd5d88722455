"""Regions, masks and blur limits, against slow obvious formulas."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.transform import resize

from fdikp.errors import ArgumentError, PhotoError
from fdikp.imaging import Photo
from fdikp.imaging.selection import FEATHER, Length, Region, Selection, mask_of, read_mask
from fdikp.imaging.tiles import spans

positive = st.floats(1e-3, 1e9)
lengths = st.builds(Length, positive, st.booleans())
regions = st.builds(Region, lengths, lengths, lengths, lengths)
space = st.sampled_from(["", " ", "  "])


class TestParsing:
    @given(regions, st.lists(space, min_size=8, max_size=8), st.booleans())
    def test_a_region_is_read_as_it_was_written(self, region: Region, spaces: list[str], units: bool) -> None:
        parts = [f"{length.value!r}{'%' if length.percent else 'px' * units}" for length in vars(region).values()]
        text = ",".join(
            f"{before}{part}{after}" for part, before, after in zip(parts, spaces[:4], spaces[4:], strict=True)
        )
        assert Region.parse(text) == region

    @given(regions)
    def test_its_text_is_read_as_the_same_region(self, region: Region) -> None:
        assert Region.parse(str(region)) == region

    @given(st.text(max_size=30))
    def test_any_other_text_is_an_error_of_one_line(self, text: str) -> None:
        try:
            Region.parse(text)
        except ArgumentError as error:
            assert "\n" not in str(error)

    def test_units_may_be_mixed(self) -> None:
        assert Region.parse("10%,5, 20 px ,.5%").box(400, 1000) == (5, 7, 100, 120)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("", "must be X,Y,WIDTH,HEIGHT"),
            ("1,2,3", "must be X,Y,WIDTH,HEIGHT"),
            ("1,2,3,4,5", "must be X,Y,WIDTH,HEIGHT"),
            ("1,2,3,four", "must be X,Y,WIDTH,HEIGHT"),
            ("1,2,3,4cm", "must be X,Y,WIDTH,HEIGHT"),
            ("1;2;3;4", "must be X,Y,WIDTH,HEIGHT"),
            ("nan,2,3,4", "must be X,Y,WIDTH,HEIGHT"),
            ("1e999,2,3,4", "must be finite and at least 0"),
            ("-1,2,3,4", "must be finite and at least 0"),
            ("1,2,-3,4", "must be finite and at least 0"),
            ("1,2,0,4", "is empty; width and height must be above 0"),
            ("1%,2%,3%,0%", "is empty"),
            ((1, 2, 3), "must be four numbers"),
            ((1, 2, 3, "4"), "must be four numbers"),
            ((1, 2, 3, True), "must be four numbers"),
            ((1, 2, 3, math.nan), "must be finite and at least 0"),
            ((-1, 2, 3, 4), "must be finite and at least 0"),
            (7, "must be four numbers"),
            (None, "must be four numbers"),
        ],
    )
    def test_what_is_no_region_is_refused(self, value: Any, message: str) -> None:
        with pytest.raises(ArgumentError, match=message) as caught:
            Region.of(value)
        assert caught.value.argument == "region" and "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["40,0,5,5", "0,30,5,5", "100%,0,1,1", "0,120%,1,1"])
    def test_a_region_outside_the_image_is_refused(self, text: str) -> None:
        with pytest.raises(ArgumentError, match=rf"^region='{text}': lies outside the image of 40 × 30 pixels$"):
            Selection(regions=(text,)).spatial_weight(30, 40)  # type: ignore[arg-type]


def smoothstep(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def region_weight(region: Region, height: int, width: int) -> np.ndarray:
    """Pixel by pixel, from the distance of its centre to each edge of the region that lies within the image."""
    top, bottom, left, right = region.box(height, width)
    weight = np.ones((height, width))
    for y in range(height):
        for x in range(width):
            for distance, size, within in (
                (y + 0.5 - top, bottom - top, top > 0),
                (bottom - y - 0.5, bottom - top, bottom < height),
                (x + 0.5 - left, right - left, left > 0),
                (right - x - 0.5, right - left, right < width),
            ):
                if within:
                    weight[y, x] *= smoothstep(distance / min(FEATHER, size) + 0.5)
    return weight


class TestRegions:
    @pytest.mark.parametrize("text", ["5,6,20,14", "0,0,25,100%", "10.5,3.25,3,2", "50%,50%,50%,50%", "39,29,9,9"])
    def test_their_weight_is_that_of_the_formula(self, text: str) -> None:
        weight = Selection(regions=(Region.parse(text),)).spatial_weight(30, 40)
        assert weight is not None and weight.dtype == np.float32
        np.testing.assert_allclose(weight, region_weight(Region.parse(text), 30, 40), atol=1e-6)

    def test_weights_are_exactly_1_inside_and_0_outside(self) -> None:
        weight = Selection(regions=(Region.of((20, 20, 40, 40)),)).spatial_weight(80, 80)
        assert weight is not None
        assert (weight[24:56, 24:56] == 1).all() and weight[40, 19:21].tolist() == pytest.approx([0.41, 0.59], abs=0.01)
        outside = np.ones((80, 80), bool)
        outside[16:64, 16:64] = False
        assert (weight[outside] == 0).all()

    def test_a_region_of_the_whole_image_has_no_soft_edge(self) -> None:
        weight = Selection(regions=(Region.parse("0,0,100%,100%"),)).spatial_weight(30, 40)
        assert weight is not None and (weight == 1).all()

    def test_their_union_is_the_maximum(self) -> None:
        parts = [Region.of((2, 3, 20, 20)), Region.of((15, 10, 20, 18))]
        together = Selection(regions=tuple(parts)).spatial_weight(30, 40)
        np.testing.assert_allclose(together, np.maximum(*(region_weight(part, 30, 40) for part in parts)), atol=1e-6)

    def test_without_regions_and_mask_the_weight_is_1(self) -> None:
        assert Selection(max_blur=3).spatial_weight(30, 40) is None


class TestMasks:
    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, ">u2", np.float16, np.float32, np.float64])
    def test_each_type_has_its_white(self, dtype: Any) -> None:
        white = {"b": 1, "u": np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1, "f": 1}[np.dtype(dtype).kind]
        mask = np.array([[0, 1], [1, 0]]).astype(dtype) * np.dtype(dtype).type(white)
        weight = Selection(mask.astype(dtype)).spatial_weight(2, 2)
        assert weight is not None and weight.dtype == np.float32 and weight.tolist() == [[0, 1], [1, 0]]

    def test_soft_masks_are_kept(self) -> None:
        mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_allclose(Selection(mask).spatial_weight(16, 16), mask / 255, atol=1e-7)

    @pytest.mark.parametrize("shape", [(15, 20), (11, 15), (29, 39), (31, 41)])
    def test_another_size_is_resized_bilinearly(self, shape: tuple[int, int]) -> None:
        mask = np.random.default_rng(0).random(shape)
        expected = resize(mask, (30, 40), order=1, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(Selection(mask).spatial_weight(30, 40), expected, atol=1e-5)

    def test_a_mask_of_a_multiple_of_the_size_is_averaged(self) -> None:
        mask = np.random.default_rng(0).integers(0, 256, (90, 120), np.uint8)
        blocks = mask.reshape(30, 3, 40, 3).mean(axis=(1, 3)) / 255
        np.testing.assert_allclose(Selection(mask).spatial_weight(30, 40), blocks, atol=1e-6)

    @pytest.mark.parametrize("shape", [(7, 9), (30, 40), (50, 67), (100, 133)])
    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
    def test_resizing_keeps_black_and_white_exact(self, shape: tuple[int, int], dtype: Any) -> None:
        white = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
        for level in (0, 1):
            weight = Selection(np.full(shape, level * white, dtype)).spatial_weight(30, 40)
            assert weight is not None and (weight == level).all()

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 3000))
    def test_sizes_rounded_from_the_same_aspect_fit(self, height: int, width: int, long_side: int) -> None:
        scale = long_side / max(height, width)
        for rounded in (round, math.floor, math.ceil):
            shape = tuple(max(1, rounded(side * scale)) for side in (height, width))
            Selection(np.ones(shape, bool)).spatial_weights(height, width)
            Selection(np.ones((height, width), bool)).spatial_weights(*shape)

    @pytest.mark.parametrize("shape", [(40, 30), (30, 42), (32, 40), (300, 420), (1, 40)])
    def test_another_aspect_is_refused(self, shape: tuple[int, int]) -> None:
        selection = Selection(np.ones(shape, bool))
        message = rf"^mask='{shape[1]} × {shape[0]} pixels': has another aspect than the image of 40 × 30 pixels; give"
        with pytest.raises(ArgumentError, match=message):
            selection.spatial_weight(30, 40)

    def test_it_multiplies_the_regions(self) -> None:
        mask, region = np.random.default_rng(0).random((30, 40)), Region.of((5, 5, 20, 20))
        expected = mask * region_weight(region, 30, 40)
        np.testing.assert_allclose(Selection(mask, (region,)).spatial_weight(30, 40), expected, atol=1e-6)

    @pytest.mark.parametrize("shape", [(30, 40), (11, 15), (70, 93)])
    def test_bands_are_rows_of_the_whole(self, shape: tuple[int, int]) -> None:
        selection = Selection(np.random.default_rng(0).random(shape), (Region.of((5, 5, 20, 20)),))
        weights, whole = selection.spatial_weights(30, 40), selection.spatial_weight(30, 40)
        assert weights is not None and whole is not None
        for start, stop in ((0, 7), (7, 30), (29, 30)):
            np.testing.assert_array_equal(weights.rows(start, stop), whole[start:stop])


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0))
def test_the_tiles_are_those_that_reach_a_weight(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    mask[random.integers(height, size=2), random.integers(width, size=2)] = True
    rows, columns = (spans(length, 64, 16, 16) for length in (height, width))
    weights = Selection(mask).spatial_weights(height, width)
    assert weights is not None
    expected = [[(np.outer(r.weights, c.weights) * mask[r.slice, c.slice]).any() for c in columns] for r in rows]
    assert weights.tiles(rows, columns).tolist() == expected


class TestBlurGate:
    @pytest.mark.parametrize(
        ("least", "most", "radius", "expected"),
        [
            (None, None, 3.0, 1.0),
            (4.0, None, 4.0, 1.0),
            (4.0, None, 99.0, 1.0),
            (4.0, None, 3.5, 0.5),
            (4.0, None, 3.0, 0.0),
            (4.0, None, 3.25, 0.15625),
            (None, 4.0, 0.0, 1.0),
            (None, 4.0, 4.0, 1.0),
            (None, 4.0, 4.5, 0.5),
            (None, 4.0, 5.0, 0.0),
            (None, 1.0, 1.25, 0.5),  # the least softness, half a pixel
            (None, 0.0, 0.5, 0.0),
            (0.0, None, 0.0, 1.0),
            (2.0, 4.0, 3.0, 1.0),
            (2.0, 4.0, 1.75, 0.5),
            (3.0, 3.0, 3.0, 1.0),
        ],
    )
    def test_limits_are_soft_outside_of_the_range(
        self, least: float | None, most: float | None, radius: float, expected: float
    ) -> None:
        gate = Selection(min_blur=least, max_blur=most).blur_gate(np.array([[radius]], np.float32))
        assert gate.dtype == np.float32 and gate[0, 0] == pytest.approx(expected, abs=1e-6)

    @given(st.floats(0, 50), st.floats(0, 50))
    def test_it_is_1_exactly_within_the_limits_and_rises_towards_them(self, first: float, second: float) -> None:
        least, most = sorted((first, second))
        radius = np.linspace(0, 100, 2001)
        gate = Selection(min_blur=least, max_blur=most).blur_gate(radius)
        inside = (radius >= least) & (radius <= most)
        assert (gate[inside] == 1).all() and gate.min() >= 0
        assert (np.diff(gate[radius <= least]) >= 0).all() and (np.diff(gate[radius >= most]) <= 0).all()

    def test_it_is_needed_only_with_a_limit(self) -> None:
        assert not Selection().needs_blur and not Selection(np.ones((2, 2))).needs_blur
        assert Selection(min_blur=0).needs_blur and Selection(max_blur=1).needs_blur


def test_a_scaled_selection_selects_the_same_in_the_scaled_image() -> None:
    mask = np.random.default_rng(0).random((400, 400))
    full = Selection(mask, (Region.of((100, 60, 160, 200)), Region.parse("70%,5%,20%,20%")), 2.0, 8.0)
    half = full.scaled(0.5)
    assert (half.min_blur, half.max_blur) == (1.0, 4.0)
    assert [str(region) for region in half.regions] == ["50,30,80,100", "70%,5%,20%,20%"]
    large, small = full.spatial_weight(400, 400), half.spatial_weight(200, 200)
    assert large is not None and small is not None
    difference = np.abs(large.reshape(200, 2, 200, 2).mean(axis=(1, 3)) - small)
    assert difference.mean() < 0.01  # only the soft edges, whose width stays


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mask": np.ones((3, 4, 3))}, r"^mask=\(3, 4, 3\): must be \[height, width\], and not empty$"),
        ({"mask": np.ones((0, 4))}, r"^mask=\(0, 4\): must be \[height, width\], and not empty$"),
        ({"mask": np.ones((3, 4), int)}, r"^mask='int64': must be bool, uint8, uint16 or floats in 0\.\.1$"),
        ({"mask": np.ones((3, 4), complex)}, r"^mask='complex128': must be bool"),
        ({"mask": np.full((3, 4), np.nan)}, r"^mask='nan to nan': must be in 0\.\.1$"),
        ({"mask": np.full((3, 4), 255.0)}, r"^mask='255 to 255': must be in 0\.\.1$"),
        ({"mask": np.full((3, 4), -0.5)}, r"^mask='-0.5 to -0.5': must be in 0\.\.1$"),
        ({"mask": [[1, 0]]}, r"^mask='list': must be an array \[height, width\]$"),
        ({"regions": "1,2,3,4"}, r"^regions='1,2,3,4': must be a list of regions$"),
        ({"regions": 5}, r"^regions=5: must be a list of regions$"),
        ({"regions": (1, 2, 3, 4)}, r"^region=1: must be four numbers"),
        ({"regions": ["1,2,3"]}, r"^region='1,2,3': must be X,Y,WIDTH,HEIGHT"),
        ({"min_blur": -1}, r"^min_blur=-1: must be a radius in pixels, at least 0$"),
        ({"max_blur": -0.1}, r"^max_blur=-0\.1: must be a radius"),
        ({"max_blur": math.nan}, r"^max_blur=nan: must be a radius"),
        ({"max_blur": math.inf}, r"^max_blur=inf: must be a radius"),
        ({"min_blur": "2"}, r"^min_blur='2': must be a radius"),
        ({"min_blur": True}, r"^min_blur=True: must be a radius"),
        ({"min_blur": 5, "max_blur": 3}, r"^min_blur=5: must be at most max_blur, which is 3$"),
    ],
)
def test_each_wrong_field_is_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        Selection(**fields)
    assert "\n" not in str(caught.value) and caught.value.code == "request_invalid"


class TestFiles:
    def test_grey_keeps_its_depth(self, tmp_path: Path) -> None:
        for dtype in (np.uint8, np.uint16):
            levels = np.arange(12, dtype=dtype).reshape(3, 4) * 20
            Image.fromarray(levels).save(tmp_path / "mask.png")
            mask = read_mask(tmp_path / "mask.png")
            assert mask.dtype == dtype
            np.testing.assert_array_equal(mask, levels)

    def test_colours_become_their_luma(self, tmp_path: Path) -> None:
        colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
        Image.fromarray(colours).save(tmp_path / "mask.png")
        expected = np.asarray(Image.fromarray(colours).convert("L")).astype(int)
        assert np.abs(read_mask(tmp_path / "mask.png").astype(int) - expected).max() <= 1

    def test_grey_in_rgb_is_exact(self) -> None:
        grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_array_equal(mask_of(Photo(np.repeat(grey[..., None], 3, axis=2))), grey)

    def test_transparent_parts_are_black(self, tmp_path: Path) -> None:
        pixels = np.full((2, 3, 4), 255, np.uint8)
        pixels[:, 1:, 3] = (0, 128)
        Image.fromarray(pixels).save(tmp_path / "mask.png")
        assert read_mask(tmp_path / "mask.png").tolist() == [[255, 0, 128]] * 2

    def test_it_is_turned_upright(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.array([[0, 255, 255]] * 2, np.uint8)).save(tmp_path / "mask.png", exif=exif)
        assert read_mask(tmp_path / "mask.png").tolist() == [[0, 0], [255, 255], [255, 255]]

    @pytest.mark.parametrize(
        ("content", "reason"), [(None, "no such file"), (b"", "is empty"), (b"text", "not a photo")]
    )
    def test_what_cannot_be_read_is_one_line(self, tmp_path: Path, content: bytes | None, reason: str) -> None:
        if content is not None:
            (tmp_path / "mask.png").write_bytes(content)
        with pytest.raises(PhotoError, match=reason) as caught:
            read_mask(tmp_path / "mask.png")
        assert str(caught.value).startswith(str(tmp_path / "mask.png")) and "\n" not in str(caught.value)


def test_selections_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import fdikp.imaging.selection, fdikp.imaging.resize"
    subprocess.run([sys.executable, "-c", code], check=True)
