"""Tiles go through the network one by one or in batches, with the same result; and what happens when one fails."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fdikp import Deblurrer, FdikpError, Photo
from fdikp.errors import Cancelled
from fdikp.inference.tiled import BATCH_PIXELS
from fdikp.network import FDIKP, Stage

TILE = 128
TILES = 6


class Watched(FDIKP):
    """A network that records the size of each batch, and can be made to fail or to return NaN."""

    def padded_stages(self, x: Tensor) -> list[Stage]:
        self.batches.append(len(x))
        self.fail(x)
        stages = super().padded_stages(x)
        for i in self.spoiled(x) if self.output.weight.dtype == torch.bfloat16 else ():
            stages[-1].image[i] = torch.nan
        return stages

    fail: Any = staticmethod(lambda x: None)
    spoiled: Any = staticmethod(lambda x: ())


@pytest.fixture
def watched(model: Deblurrer) -> Any:
    """Make a model with such a network, in the given precision."""

    def watched(precision: torch.dtype = torch.float32) -> Deblurrer:
        network = Watched(model.config).eval().requires_grad_(False)
        network.load_state_dict(model.network.state_dict())
        network.batches = []
        return Deblurrer(network, model.descriptor, device=torch.device("cpu"), precision=precision, tile=TILE)

    return watched


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the number of tiles per batch on the CPU."""
    return lambda tiles: monkeypatch.setitem(BATCH_PIXELS, "cpu", tiles * TILE * TILE)


def batches(model: Deblurrer) -> list[int]:
    return model.runtime.network.batches  # type: ignore[return-value]


def test_on_a_cpu_tiles_go_one_by_one(watched: Any, pixels: np.ndarray) -> None:
    model = watched()
    model(pixels)
    assert batches(model) == [1] * TILES


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1] * 6), (2, [2] * 3), (3, [3, 3]), (4, [3, 3]), (5, [3, 3]), (6, [6]), (99, [6])]
)
def test_the_result_does_not_depend_on_the_batch_size(
    watched: Any, at_once: Any, pixels: np.ndarray, most: int, expected: list[int]
) -> None:
    model, x = watched(), pixels / 255.0
    alone, predicted = model.analyse(x), model.predict(torch.from_numpy(x).permute(2, 0, 1))
    batches(model).clear()
    at_once(most)
    together = model.analyse(x)
    assert batches(model) == expected
    assert np.square(alone.image - x).mean() > 1e-5  # the network changes the image, so the comparison can fail
    for part in ("image", "dilation_map", "blur_map", "confidence_map", "coefficients", "kernels"):
        # Rounding errors, which untrained attention amplifies
        np.testing.assert_allclose(getattr(together, part), getattr(alone, part), rtol=0, atol=2e-3)
    np.testing.assert_array_equal(together.tile_boxes, alone.tile_boxes)
    torch.testing.assert_close(model.predict(torch.from_numpy(x).permute(2, 0, 1)), predicted, rtol=0, atol=2e-3)


def test_batches_hold_only_the_tiles_that_a_selection_needs(watched: Any, at_once: Any, pixels: np.ndarray) -> None:
    model, x = watched(), pixels / 255.0
    mask = np.zeros(x.shape[:2], bool)
    mask[:100, :97] = True  # four of the six tiles
    alone = model(x, mask=mask, max_blur=1.0)
    batches(model).clear()
    at_once(3)
    together = model(x, mask=mask, max_blur=1.0)
    assert batches(model) == [2, 2]
    np.testing.assert_allclose(together, alone, rtol=0, atol=2e-3)
    np.testing.assert_array_equal(together[~mask], x[~mask])


def test_kernels_belong_to_their_tiles(watched: Any, at_once: Any, pixels: np.ndarray) -> None:
    """Each tile's kernels are those of the tile alone, in the order of the boxes."""
    at_once(4)
    model = watched()
    analysis = model.analyse(pixels)
    kernels = []
    for y, x, h, w in analysis.tile_boxes:
        kernels.append(model.analyse(pixels[y : y + h, x : x + w]).kernels[0])
    np.testing.assert_allclose(analysis.kernels, np.stack(kernels), rtol=0, atol=5e-4)
    between = [np.abs(a - b).max() for a in kernels for b in kernels if a is not b]
    assert min(between) > 2e-3


def test_progress_counts_tiles_and_the_next_batch_waits(watched: Any, at_once: Any, pixels: np.ndarray) -> None:
    at_once(2)
    model = watched()
    calls: list[tuple[int, int, int]] = []
    model.restore(Photo(pixels), progress=lambda done, total: calls.append((done, total, len(batches(model)))))
    assert calls == [(i + 1, TILES, i // 2 + 1) for i in range(TILES)]


def test_cancel_is_asked_before_each_batch(watched: Any, at_once: Any, pixels: np.ndarray) -> None:
    at_once(2)
    model = watched()
    with pytest.raises(Cancelled):
        model(pixels, cancel=lambda: len(batches(model)) == 2)
    assert batches(model) == [2, 2]


@pytest.mark.parametrize("spoiled", [[1], [0, 2]])
def test_only_tiles_that_are_not_finite_are_redone(
    watched: Any, at_once: Any, pixels: np.ndarray, spoiled: list[int]
) -> None:
    at_once(3)
    model = watched(torch.bfloat16)
    model.runtime.network.spoiled = lambda x: spoiled if len(batches(model)) == 1 else ()
    done = model.restore(Photo(pixels))
    assert len(done.notes) == len(spoiled)
    assert all("redone in float32" in note for note in done.notes)
    assert batches(model) == [3, 3]
    assert model.runtime.network_float32.batches == [1] * len(spoiled)
    whole = watched()(pixels)
    assert np.abs(done.photo.pixels.astype(int) - whole).mean() < 1  # no NaN is left


class TestMemory:
    def test_fewer_at_once_before_smaller_tiles(self, watched: Any, at_once: Any, pixels: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            if len(x) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")

        alone = watched()(pixels)
        at_once(6)
        model = watched()
        model.runtime.network.fail = fail
        done = model.restore(Photo(pixels))
        assert done.notes == (
            "out of memory: 6 tiles at once halved to 3",
            "out of memory: 3 tiles at once halved to 1",
        )
        assert batches(model) == [6, 3] + [1] * TILES
        np.testing.assert_array_equal(done.photo.pixels, alone)

    def test_then_smaller_tiles(self, watched: Any, at_once: Any, pixels: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            if x.numel() > 3 * 64 * 64:
                raise MemoryError

        at_once(2)
        model = watched()
        model.runtime.network.fail = fail
        analysis = model.analyse(pixels)
        assert analysis.notes == (
            "out of memory: 2 tiles at once halved to 1",
            "out of memory: tile 128 halved to 64",
        )
        assert set(batches(model)[2:]) == {1}
        assert len(analysis.kernels) == len(analysis.tile_boxes) == len(batches(model)) - 2

    def test_in_the_middle_of_an_image(self, watched: Any, at_once: Any, pixels: np.ndarray) -> None:
        """What was computed before memory ran out is computed again, and counted once."""
        alone = watched().analyse(pixels)
        at_once(3)
        model = watched()

        def fail(x: Tensor) -> None:
            if len(batches(model)) == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        model.runtime.network.fail = fail
        analysis = model.analyse(pixels)
        assert analysis.notes == ("out of memory: 3 tiles at once halved to 1",)
        np.testing.assert_array_equal(analysis.image, alone.image)
        np.testing.assert_array_equal(analysis.tile_boxes, alone.tile_boxes)
        np.testing.assert_array_equal(analysis.kernels, alone.kernels)

    def test_unusable_weights_are_reported_in_batches_too(self, watched: Any, at_once: Any, pixels: np.ndarray) -> None:
        at_once(3)
        model = watched()
        model.runtime.network.output.bias.fill_(torch.nan)
        with pytest.raises(FdikpError, match="not finite even in float32"):
            model(pixels)
