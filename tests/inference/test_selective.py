"""Restoring a part of an image: the formula, untouched samples, and which tiles are computed."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fdikp import Deblurrer, FdikpError, Photo
from fdikp.errors import ArgumentError, RequestError
from fdikp.imaging.selection import Region, Selection
from fdikp.inference.ensemble import ORIENTATIONS, orient, undo_orient
from fdikp.network import FDIKP, Stage
from fdikp.network.blur_radius import BlurRadius
from fdikp.network.fdikp import pad, working_size

REGION = Region.of((150, 90, 120, 90))


@pytest.fixture(scope="module")
def mask(pixels: np.ndarray) -> np.ndarray:
    """Black on the left, white on the right, and soft between."""
    ramp = np.linspace(-1, 2, pixels.shape[1], dtype=np.float32).clip(0, 1)
    return np.repeat(ramp[None], len(pixels), axis=0)


@pytest.fixture(scope="module")
def blurred(model: Deblurrer, pixels: np.ndarray) -> Any:
    """The result for the whole image, with its blur map."""
    return model.restore(Photo(pixels), blur_map=True)


def whole_blur_map(model: Deblurrer, x: Tensor) -> np.ndarray:
    """[2, H, W] of an image x [3, H, W], by calls of the network and the calibration alone."""
    assert model.descriptor.blur_calibration is not None
    padded = pad(x[None], *working_size(*x.shape[-2:]))
    with torch.inference_mode():
        maps = BlurRadius(model.descriptor.blur_calibration)(padded, model.network.stages(padded))
    return maps[0, :, : x.shape[-2], : x.shape[-1]].numpy()


class TestFormula:
    @pytest.mark.parametrize("strength", [0.4, 1.0, 1.7])
    def test_of_the_whole_image_step_by_step(
        self, untiled: Deblurrer, pixels: np.ndarray, mask: np.ndarray, strength: float
    ) -> None:
        x = pixels.astype(np.float32) / 255
        tensor = torch.from_numpy(x).permute(2, 0, 1)
        network = untiled.predict(tensor).permute(1, 2, 0).numpy().astype(np.float64)
        radius = whole_blur_map(untiled, tensor)[0]
        limits = {"min_blur": float(np.quantile(radius, 0.2)), "max_blur": float(np.quantile(radius, 0.6))}
        selection = Selection(mask, (REGION,), **limits)
        spatial = selection.spatial_weight(*radius.shape)
        assert spatial is not None
        weight = (spatial * selection.blur_gate(radius))[..., None].astype(np.float64)
        expected = (x + strength * weight * (network.clip(0, 1) - x)).clip(0, 1)
        result = untiled(x, strength=strength, mask=mask, regions=[REGION], **limits)
        np.testing.assert_allclose(result, expected, atol=1e-5)
        assert (weight == 0).mean() > 0.02 and (weight == 1).mean() > 0.02 and np.abs(result - x).max() > 0.01

    def test_in_tiles_it_is_that_of_the_blended_network_and_blur_map(
        self, model: Deblurrer, pixels: np.ndarray, mask: np.ndarray, blurred: Any
    ) -> None:
        x = pixels.astype(np.float32) / 255
        most = float(np.median(blurred.blur_map))
        gate = Selection(max_blur=most).blur_gate(blurred.blur_map)[..., None]
        weight = mask[..., None] * gate
        expected = x + weight * (model(x) - x)
        np.testing.assert_allclose(model(x, mask=mask, max_blur=most), expected, atol=1e-5)

    def test_the_blur_map_is_that_of_the_calibration(self, untiled: Deblurrer, pixels: np.ndarray) -> None:
        done = untiled.restore(Photo(pixels), blur_map=True)
        expected = whole_blur_map(untiled, torch.from_numpy(pixels).permute(2, 0, 1) / 255)
        np.testing.assert_allclose(np.stack((done.blur_map, done.confidence_map)), expected, atol=1e-5)
        assert expected.std(axis=(1, 2)).min() > 0.01

    def test_restore_and_analyse_return_the_same_maps(self, model: Deblurrer, pixels: np.ndarray, blurred: Any) -> None:
        analysis = model.analyse(pixels)
        np.testing.assert_array_equal(analysis.blur_map, blurred.blur_map)
        np.testing.assert_array_equal(analysis.confidence_map, blurred.confidence_map)
        without = model.restore(Photo(pixels))
        assert without.blur_map is None and without.confidence_map is None

    def test_all_methods_restore_the_same(
        self, model: Deblurrer, pixels: np.ndarray, mask: np.ndarray, blurred: Any
    ) -> None:
        most = float(np.median(blurred.blur_map[110:160, 180:250]))  # within the region
        photo, selection = Photo(pixels), Selection(mask, (REGION,), None, most)
        expected = model(pixels, mask=mask, regions=[REGION], max_blur=most)
        assert not np.array_equal(expected, model(pixels, mask=mask, regions=[REGION]))
        for result in (
            model.restore(photo, selection=selection).photo.pixels,
            model.restore(photo, selection=selection, blur_map=True).photo.pixels,
            np.concatenate([rows for _, rows in model.restore_bands(photo, selection=selection)]),
            model.analyse(pixels, mask=mask, regions=[REGION], max_blur=most).image,
        ):
            np.testing.assert_array_equal(result, expected)


def kinds(pixels: np.ndarray) -> dict[str, Any]:
    """The image in every kind and type; the floats leave 0..1, which a clamp would change."""
    alpha = np.arange(pixels[..., :1].size, dtype=np.uint32).reshape(pixels[..., :1].shape).astype(np.uint8)
    floats = (pixels / 255.0 * 1.6 - 0.3).astype(np.float32)
    deep = pixels.astype(np.uint16) * 257 + 3
    return {
        "uint8": pixels,
        "uint16": deep,
        "float16": floats.astype(np.float16),
        "float32": floats,
        "float64": floats.astype(np.float64) + 1e-9,
        "grey": pixels[..., 0],
        "grey uint16": deep[..., :1],
        "grey float": floats[..., 0],
        "grey alpha": np.concatenate((pixels[..., :1], alpha), axis=-1),
        "rgba": np.concatenate((pixels, alpha), axis=-1),
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
        "tensor bfloat16": torch.from_numpy(floats).permute(2, 0, 1).bfloat16(),
        "tensor uint16": torch.from_numpy(deep).permute(2, 0, 1),
        "pil": Image.fromarray(np.concatenate((pixels, alpha), axis=-1)),
        "pil 16 bits": Image.fromarray(deep[..., 0]),
        "photo": Photo(pixels, alpha[..., 0]),
        "photo float": Photo(floats),
    }


def samples(image: Any) -> np.ndarray:
    """The samples of any kind as bits, [H, W, C]."""
    if isinstance(image, Photo):
        parts = [image.pixels, *([] if image.alpha is None else [image.alpha[..., None]])]
        return np.concatenate(parts, axis=-1)
    if isinstance(image, Tensor):
        image = image.permute(1, 2, 0)
        return (image.view(torch.int16) if image.dtype in (torch.bfloat16, torch.uint16) else image).numpy()
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


@pytest.mark.parametrize("kind", sorted(kinds(np.zeros((1, 1, 3), np.uint8))))
def test_untouched_samples_come_back_bit_for_bit(model: Deblurrer, pixels: np.ndarray, kind: str) -> None:
    image = kinds(pixels[:96, :120])[kind]
    mask = np.zeros((96, 120), bool)
    mask[20:70, 30:80] = True
    full, result = model(image), model(image, mask=mask)
    assert type(result) is type(image)
    before, part, whole = samples(image), samples(result), samples(full)
    assert part.dtype == before.dtype
    assert part[~mask].tobytes() == before[~mask].tobytes()
    assert part[mask].tobytes() == whole[mask].tobytes()
    assert (part[mask] != before[mask]).mean() > 0.05
    if kind in ("grey alpha", "rgba", "pil", "photo"):
        assert part[..., -1].tobytes() == before[..., -1].tobytes()


def test_nothing_of_the_change_leaves_every_bit(model: Deblurrer, pixels: np.ndarray) -> None:
    image = kinds(pixels[:64, :64])["float32"]
    assert model(image, strength=0).tobytes() == image.tobytes()


class Counting(FDIKP):
    """A network that counts the tiles it computes, and can fail first."""

    fail: Any = staticmethod(lambda x: None)

    def padded_stages(self, x: Tensor) -> list[Stage]:
        self.tiles += len(x)
        self.fail(x)
        return super().padded_stages(x)


@pytest.fixture
def counting(model: Deblurrer) -> Deblurrer:
    network = Counting(model.config).eval().requires_grad_(False)
    network.load_state_dict(model.network.state_dict())
    network.tiles = 0
    return Deblurrer(network, model.descriptor, device=torch.device("cpu"), precision=torch.float32, tile=128)


class TestTiles:
    """Two rows of three tiles contribute to rows 0 to 115 and 92 to 199, and to columns 0 to 115, 92 to 199 and 184 to
    290. A region reaches 4 pixels further than its edges."""

    @pytest.mark.parametrize(
        ("region", "tiles"),
        [
            ((0, 0, 60, 60), 1),
            ((250, 150, 30, 40), 1),
            ((125, 125, 50, 50), 1),
            ((0, 0, 88, 60), 1),
            ((0, 0, 89, 60), 2),
            ((0, 0, 60, 200), 2),
            ((0, 0, 291, 40), 3),
            ((100, 90, 20, 20), 4),
            ((0, 0, 291, 200), 6),
        ],
    )
    def test_only_those_that_the_selection_needs_are_computed(
        self, counting: Deblurrer, pixels: np.ndarray, region: Any, tiles: int
    ) -> None:
        calls: list[tuple[int, int]] = []
        selection = Selection(regions=(Region.of(region),))
        done = counting.restore(Photo(pixels), selection=selection, progress=lambda *call: calls.append(call))
        assert counting.network.tiles == done.tiles == tiles  # type: ignore[comparison-overlap]
        assert calls == [(i + 1, tiles) for i in range(tiles)]

    def test_the_others_change_nothing(self, model: Deblurrer, pixels: np.ndarray) -> None:
        """Where the weight is 1, the result is that of the whole photo, bit for bit: the grid of tiles is the same."""
        x, full = pixels / 255.0, model(pixels / 255.0)
        for region in ((0, 0, 60, 60), (100, 90, 20, 20), (30, 120, 200, 70)):
            weight = Selection(regions=(Region.of(region),)).spatial_weight(*x.shape[:2])
            assert weight is not None
            part = model(x, regions=[region])
            assert part[weight == 1].tobytes() == full[weight == 1].tobytes()
            assert part[weight == 0].tobytes() == x[weight == 0].tobytes()
            soft = (weight > 0) & (weight < 1)
            expected = x + weight[..., None] * (full - x)
            np.testing.assert_allclose(part[soft], expected[soft], atol=1e-6)

    def test_a_blur_map_needs_all(self, counting: Deblurrer, pixels: np.ndarray, blurred: Any) -> None:
        done = counting.restore(Photo(pixels), selection=Selection(regions=(Region.of((0, 0, 9, 9)),)), blur_map=True)
        assert done.tiles == 6
        np.testing.assert_array_equal(done.blur_map, blurred.blur_map)

    def test_blur_limits_compute_the_tiles_of_the_region(self, counting: Deblurrer, pixels: np.ndarray) -> None:
        counting(pixels, regions=[(0, 0, 60, 60)], max_blur=5)
        assert counting.network.tiles == 1  # type: ignore[comparison-overlap]

    def test_smaller_tiles_after_a_lack_of_memory_are_selected_again(
        self, counting: Deblurrer, pixels: np.ndarray
    ) -> None:
        def fail(x: Tensor) -> None:
            if x.shape[-1] > 64:
                raise MemoryError

        counting.network.fail = fail  # type: ignore[assignment]
        done = counting.restore(Photo(pixels), selection=Selection(regions=(Region.of((0, 0, 40, 40)),)))
        assert done.notes == ("out of memory: tile 128 halved to 64",) and done.tiles == 1

    @pytest.mark.parametrize("options", [{"mask": np.zeros((200, 291), bool)}, {"min_blur": 500.0}])
    def test_a_selection_of_nothing_is_noted(self, model: Deblurrer, pixels: np.ndarray, options: Any) -> None:
        selection = Selection(**options)
        done = model.restore(Photo(pixels), selection=selection)
        assert done.notes == (
            "nothing is selected, so the image stays as it is; check the mask, the regions and the blur limits",
        )
        np.testing.assert_array_equal(done.photo.pixels, pixels)
        bands = model.restore_bands(Photo(pixels), selection=selection)
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in bands]), pixels)
        assert bands.notes == done.notes


class TestMasks:
    def test_their_kinds_mean_the_same(self, model: Deblurrer, pixels: np.ndarray, tmp_path: Path) -> None:
        image = pixels[:64, :96]
        mask = np.zeros((64, 96), np.uint8)
        mask[:, 40:] = 255
        mask[:, 30:40] = 100
        path = tmp_path / "mask.png"
        Image.fromarray(mask).save(path)
        expected = model(image, mask=mask)
        assert not np.array_equal(expected, model(image)) and not np.array_equal(expected, image)
        rgba = np.stack((*[np.full_like(mask, 255)] * 3, mask), axis=-1)
        deep = Image.fromarray(mask.astype(np.uint16) * 257)
        for same in (
            path,
            str(path),
            Image.fromarray(mask),
            Image.fromarray(mask).convert("RGB"),
            Image.fromarray(rgba),
            deep,
            deep.convert("I"),
            Photo(mask[..., None]),
            mask / 255.0,
        ):
            np.testing.assert_array_equal(model(image, mask=same), expected)

    def test_black_and_white_of_pillow(self, model: Deblurrer, pixels: np.ndarray) -> None:
        mask = np.zeros((64, 96), bool)
        mask[:, 40:] = True
        np.testing.assert_array_equal(
            model(pixels[:64, :96], mask=Image.fromarray(mask)), model(pixels[:64, :96], mask=mask)
        )

    @pytest.mark.parametrize("value", [-1, 65536])
    def test_a_pillow_mask_of_32_bits_does_not_wrap_around(self, model: Deblurrer, value: int) -> None:
        mask = Image.fromarray(np.full((64, 96), value, np.int32))
        with pytest.raises(ArgumentError, match=rf"^mask='{value} to {value}': must be in 0\.\.65535; scale it"):
            model(np.zeros((64, 96, 3), np.uint8), mask=mask)

    def test_one_serves_all_images_of_a_batch_and_of_a_sequence(self, model: Deblurrer, pixels: np.ndarray) -> None:
        images = [pixels[:64, :96], pixels[64:128, :96]]
        mask = np.zeros((32, 48), bool)
        mask[:, :20] = True
        alone = [model(image, mask=mask) for image in images]
        np.testing.assert_array_equal(model(np.stack(images), mask=mask), alone)
        np.testing.assert_array_equal(list(model(images, mask=mask)), alone)


def rebuilt(model: Deblurrer, ensemble: bool) -> Deblurrer:
    return Deblurrer(
        model.network,
        model.descriptor,
        device=torch.device("cpu"),
        precision=torch.float32,
        tile=128,
        ensemble=ensemble,
    )


@pytest.fixture(scope="module")
def ensemble(model: Deblurrer) -> Deblurrer:
    """Its dilation map depends on the orientation, as it does after training."""
    changed = copy.deepcopy(model.network)
    torch.manual_seed(0)
    changed.fikp.blur.weigh.weight.normal_(std=5)  # type: ignore[union-attr]
    plain = Deblurrer(changed, model.descriptor, device=torch.device("cpu"), precision=torch.float32)
    return rebuilt(plain, ensemble=True)


class TestEnsemble:
    def test_the_blur_map_is_that_of_the_mean_dilation_maps(self, ensemble: Deblurrer, pixels: np.ndarray) -> None:
        x = torch.from_numpy(pixels[:64, :96]).permute(2, 0, 1)[None] / 255
        turned = [ensemble.network.stages(orient(x, i).contiguous()) for i in range(ORIENTATIONS)]
        stages = []
        for scale, upright in enumerate(turned[0]):
            maps = [undo_orient(turned[i][scale].dilation, i) for i in range(ORIENTATIONS)]
            stages.append(Stage(upright.image, upright.kernels, torch.stack(maps).mean(0), upright.coefficients))
        assert ensemble.descriptor.blur_calibration is not None
        expected = BlurRadius(ensemble.descriptor.blur_calibration)(x, stages)[0].numpy()
        done = ensemble.restore(Photo(pixels[:64, :96]), blur_map=True)
        np.testing.assert_allclose(np.stack((done.blur_map, done.confidence_map)), expected, atol=1e-5)

    def test_a_turned_image_has_the_turned_blur_map(self, ensemble: Deblurrer, pixels: np.ndarray) -> None:
        def difference(model: Deblurrer) -> float:
            upright = model.restore(Photo(pixels[:64, :96]), blur_map=True).blur_map
            turned = model.restore(Photo(np.rot90(pixels[:64, :96])), blur_map=True).blur_map
            assert upright is not None and turned is not None
            return float(np.abs(np.rot90(upright) - turned).max())

        assert difference(ensemble) < 1e-4 < 1e-2 < difference(rebuilt(ensemble, ensemble=False))

    def test_it_can_be_limited(self, ensemble: Deblurrer, pixels: np.ndarray) -> None:
        image = pixels[:64, :96]
        radius = ensemble.restore(Photo(image), blur_map=True).blur_map
        assert radius is not None
        most = float(np.median(radius))
        gate = Selection(max_blur=most).blur_gate(radius)
        result, full = ensemble(image, max_blur=most), ensemble(image)
        np.testing.assert_array_equal(result[gate == 1], full[gate == 1])
        np.testing.assert_array_equal(result[gate == 0], image[gate == 0])


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mask": np.ones((20, 60))}, r"^mask='60 × 20 pixels': has another aspect than the image of 60 × 40"),
            ({"mask": np.ones((40, 60, 3))}, r"^mask=\(40, 60, 3\): must be \[height, width\]"),
            ({"mask": np.ones((40, 60), int)}, r"^mask='int64': must be bool, uint8, uint16 or floats"),
            ({"mask": np.full((40, 60), np.nan)}, r"^mask='nan to nan': must be in 0\.\.1"),
            ({"mask": np.ones((0, 60))}, r"^mask=\(0, 60\): must be"),
            ({"regions": "1,2,3,4"}, r"^regions='1,2,3,4': must be a list of regions"),
            ({"regions": ["60,0,5,5"]}, r"^region='60,0,5,5': lies outside the image of 60 × 40 pixels"),
            ({"regions": ["1,2,3"]}, r"^region='1,2,3': must be X,Y,WIDTH,HEIGHT"),
            ({"regions": [(1, 2, 3, 0)]}, r"^region='1,2,3,0': is empty"),
            ({"regions": [(-1, 2, 3, 4)]}, r"^region='-1,2,3,4': its values must be finite and at least 0"),
            ({"min_blur": -1}, r"^min_blur=-1: must be a radius in pixels, at least 0"),
            ({"max_blur": float("nan")}, r"^max_blur=nan: must be a radius"),
            ({"min_blur": 3, "max_blur": 2}, r"^min_blur=3: must be at most max_blur, which is 2"),
        ],
    )
    @pytest.mark.parametrize("method", ["__call__", "analyse", "preview"])
    def test_each_is_one_line(self, model: Deblurrer, method: str, options: Any, message: str) -> None:
        with pytest.raises(ArgumentError, match=message) as caught:
            getattr(model, method)(np.zeros((40, 60, 3), np.uint8), **options)
        assert "\n" not in str(caught.value)

    def test_what_is_no_mask_is_a_type_error(self, model: Deblurrer) -> None:
        with pytest.raises(TypeError, match=r"^int is not a mask; give a path, an ndarray, a PIL image or a Photo$"):
            model(np.zeros((4, 4, 3), np.uint8), mask=3)  # type: ignore[call-overload]

    def test_a_mask_file_that_cannot_be_read_is_named(self, model: Deblurrer, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"mask\.png: no such file"):
            model(np.zeros((4, 4, 3), np.uint8), mask=tmp_path / "mask.png")

    def test_a_sequence_checks_them_at_once(self, model: Deblurrer) -> None:
        with pytest.raises(ArgumentError, match="max_blur"):
            model(["a.jpg"], max_blur=-1)

    def test_without_a_calibration_there_is_no_blur_radius(self, uncalibrated: Deblurrer) -> None:
        photo = Photo(np.zeros((40, 60, 3), np.uint8))
        for call in (
            lambda: uncalibrated(photo, max_blur=2),
            lambda: uncalibrated(iter(["a.jpg"]), min_blur=2),
            lambda: uncalibrated.preview(photo, min_blur=2),
            lambda: uncalibrated.analyse(photo, min_blur=2),
            lambda: uncalibrated.restore(photo, blur_map=True),
            lambda: uncalibrated.restore(photo, selection=Selection(max_blur=3)),
            lambda: uncalibrated.restore_bands(photo, selection=Selection(max_blur=3)),
        ):
            with pytest.raises(
                RequestError, match=r"^tiny: these weights have no blur calibration; run fdikp calibrate$"
            ) as caught:
                call()
            assert isinstance(caught.value, FdikpError)
        analysis = uncalibrated.analyse(photo)
        assert analysis.blur_map is None and analysis.confidence_map is None and analysis.dilation_map.shape == (40, 60)
