"""Tiles of a picture go through the network one by one or many at once, with the same result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from fdikp import Deblurrer, FdikpError, Photo, load_model
from fdikp.inference.tiled import BATCH_PIXELS
from fdikp.network import FDIKP, Stage

TILE = 128
TILES = 6


class Watched(FDIKP):
    """A network that tells the shape of each batch, and fails or spoils its result as it is told."""

    def padded_stages(self, x: Tensor) -> list[Stage]:
        self.batches.append(len(x))
        self.fail(x)
        stages = super().padded_stages(x)
        for i in self.spoiled(x) if self.output.weight.dtype == torch.bfloat16 else ():
            stages[-1].image[i] = torch.nan
        return stages

    fail: Any = staticmethod(lambda x: None)
    spoiled: Any = staticmethod(lambda x: ())


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return data.coffee()[40:240, 100:391]  # 200 × 291: two rows of three tiles, neither side a multiple of 16


@pytest.fixture
def watched(tiny_weights: Path) -> Any:
    """A model whose network is watched, in the given precision."""

    def watched(precision: torch.dtype = torch.float32) -> Deblurrer:
        plain = load_model(tiny_weights, device="cpu", precision="float32")
        network = Watched(plain.config).eval().requires_grad_(False)
        network.load_state_dict(plain.network.state_dict())
        network.batches = []
        return Deblurrer(network, plain.weights, device=torch.device("cpu"), precision=precision, tile=TILE)

    return watched


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many tiles go through at once on the CPU."""
    return lambda tiles: monkeypatch.setitem(BATCH_PIXELS, "cpu", tiles * TILE * TILE)


def batches(model: Deblurrer) -> list[int]:
    return model.engine.network.batches  # type: ignore[return-value]


def test_on_a_cpu_tiles_go_one_by_one(watched: Any, picture: np.ndarray) -> None:
    model = watched()
    model(picture)
    assert batches(model) == [1] * TILES


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1] * 6), (2, [2] * 3), (3, [3, 3]), (4, [3, 3]), (5, [3, 3]), (6, [6]), (99, [6])]
)
def test_the_result_does_not_depend_on_how_many_go_at_once(
    watched: Any, at_once: Any, picture: np.ndarray, most: int, expected: list[int]
) -> None:
    model, x = watched(), picture / 255.0
    alone, seen = model.analyse(x), model.predict(torch.from_numpy(x).permute(2, 0, 1))
    batches(model).clear()
    at_once(most)
    together = model.analyse(x)
    assert batches(model) == expected
    assert np.square(alone.image - x).mean() > 1e-5  # the network does something, so that the comparison says something
    for part in ("image", "blur_map", "coefficients", "kernels"):
        # Rounding, which untrained attention enlarges
        np.testing.assert_allclose(getattr(together, part), getattr(alone, part), rtol=0, atol=2e-3)
    np.testing.assert_array_equal(together.tile_origins, alone.tile_origins)
    torch.testing.assert_close(model.predict(torch.from_numpy(x).permute(2, 0, 1)), seen, rtol=0, atol=2e-3)


def test_kernels_are_told_apart(watched: Any, at_once: Any, picture: np.ndarray) -> None:
    """Each tile's kernels are those of the tile by itself, in the order of their origins."""
    at_once(4)
    model = watched()
    shown = model.analyse(picture)
    kernels = []
    for y, x, h, w in shown.tile_origins:
        kernels.append(model.analyse(picture[y : y + h, x : x + w]).kernels[0])
    np.testing.assert_allclose(shown.kernels, np.stack(kernels), rtol=0, atol=5e-4)
    between = [np.abs(a - b).max() for a in kernels for b in kernels if a is not b]
    assert min(between) > 2e-3


def test_progress_counts_tiles_and_the_next_batch_waits(watched: Any, at_once: Any, picture: np.ndarray) -> None:
    at_once(2)
    model = watched()
    seen: list[tuple[int, int, int]] = []
    model.restore(Photo(picture), progress=lambda done, total: seen.append((done, total, len(batches(model)))))
    assert seen == [(i + 1, TILES, i // 2 + 1) for i in range(TILES)]


@pytest.mark.parametrize("spoiled", [[1], [0, 2]])
def test_only_tiles_that_are_not_finite_are_redone(
    watched: Any, at_once: Any, picture: np.ndarray, spoiled: list[int]
) -> None:
    at_once(3)
    model = watched(torch.bfloat16)
    model.engine.network.spoiled = lambda x: spoiled if len(batches(model)) == 1 else ()
    done = model.restore(Photo(picture))
    assert len(done.notes) == len(spoiled)
    assert all("redone in float32" in note for note in done.notes)
    assert batches(model) == [3, 3]
    assert model.engine.float32.batches == [1] * len(spoiled)
    whole = watched()(picture)
    assert np.abs(done.photo.pixels.astype(int) - whole).mean() < 1  # nothing of what was spoiled is left


class TestMemory:
    def test_fewer_at_once_before_smaller_tiles(self, watched: Any, at_once: Any, picture: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            if len(x) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")

        alone = watched()(picture)
        at_once(6)
        model = watched()
        model.engine.network.fail = fail
        done = model.restore(Photo(picture))
        assert done.notes == (
            "out of memory: 6 tiles at once halved to 3",
            "out of memory: 3 tiles at once halved to 1",
        )
        assert batches(model) == [6, 3] + [1] * TILES
        np.testing.assert_array_equal(done.photo.pixels, alone)

    def test_then_smaller_tiles(self, watched: Any, at_once: Any, picture: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            if x.numel() > 3 * 64 * 64:
                raise MemoryError

        at_once(2)
        model = watched()
        model.engine.network.fail = fail
        shown = model.analyse(picture)
        assert shown.notes == (
            "out of memory: 2 tiles at once halved to 1",
            "out of memory: tile 128 halved to 64",
        )
        assert set(batches(model)[2:]) == {1}
        assert len(shown.kernels) == len(shown.tile_origins) == len(batches(model)) - 2

    def test_half_way_through_a_picture(self, watched: Any, at_once: Any, picture: np.ndarray) -> None:
        """What was made before memory ran out is made again, and counted once."""
        alone = watched().analyse(picture)
        at_once(3)
        model = watched()

        def fail(x: Tensor) -> None:
            if len(batches(model)) == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        model.engine.network.fail = fail
        shown = model.analyse(picture)
        assert shown.notes == ("out of memory: 3 tiles at once halved to 1",)
        np.testing.assert_array_equal(shown.image, alone.image)
        np.testing.assert_array_equal(shown.tile_origins, alone.tile_origins)
        np.testing.assert_array_equal(shown.kernels, alone.kernels)

    def test_unusable_weights_are_said_of_a_batch_too(self, watched: Any, at_once: Any, picture: np.ndarray) -> None:
        at_once(3)
        model = watched()
        model.engine.network.output.bias.fill_(torch.nan)
        with pytest.raises(FdikpError, match="unusable"):
            model(picture)
