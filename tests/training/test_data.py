import numpy as np
import pytest
import torch
from PIL import Image

from fdikp.data import find_pairs
from fdikp.errors import DataError
from fdikp.synthesis import RenderSettings
from fdikp.training.data import PairedStream, RenderedStream

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (90 + 10 * n, 120, 3), np.uint8) for n in range(5)]


def stream(images, **more) -> RenderedStream:
    return RenderedStream(images, **({"margin": 8, "seed": 7, "settings": RenderSettings()} | more))


def test_a_pair_depends_on_its_number_and_not_on_batches_or_history(images):
    eights = stream(images).batch(8, 8, 64, CPU)
    fours = stream(images)
    fours.batch(36, 4, 64, CPU)
    second, third = fours.batch(8, 4, 64, CPU), fours.batch(12, 4, 64, CPU)
    assert torch.equal(eights.blurred, torch.cat([second.blurred, third.blurred]))
    assert torch.equal(eights.target, torch.cat([second.target, third.target]))
    assert not torch.equal(eights.target, stream(images, seed=8).batch(8, 8, 64, CPU).target)


def test_shapes_types_and_ranges(images):
    pair = stream(images, margin=0).batch(0, 3, 80, CPU)
    assert pair.blurred.shape == pair.target.shape == (3, 3, 80, 80)
    assert pair.radius.shape == (3, 1, 80, 80)
    assert pair.target.dtype == torch.float32
    assert 0 <= float(pair.target.min()) <= float(pair.target.max()) <= 1


def test_every_image_once_before_any_again():
    plain = [np.full((80, 80, 3), 20 * n, np.uint8) for n in range(10)]
    sharp_only = RenderSettings(p_sharp=1.0, p_highlight_boost=0, p_sharpened=0)
    numbers = stream(plain, settings=sharp_only).batch(0, 30, 64, CPU).target.mean(dim=(1, 2, 3)) * 255 / 20
    orders = numbers.round().int().view(3, 10).tolist()
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1]


def test_images_smaller_than_a_crop_are_enlarged():
    small = [np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)]
    assert stream(small).batch(0, 2, 64, CPU).target.shape == (2, 3, 64, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs whose pixels say where they are: red is the row, green the column, blue the image."""
    folder = tmp_path_factory.mktemp("pairs")
    row, column = np.mgrid[0:90, 0:110].astype(np.uint8)
    for kind, level in (("source", 0), ("target", 100)):
        (folder / kind).mkdir()
        for n in range(4):
            pixels = np.stack([row, column, np.full_like(row, level + n)], axis=-1)
            Image.fromarray(pixels).save(folder / kind / f"{n}.png")
    return folder


class TestRealPairs:
    def stream(self, folder, seed=3, memory=1.0):
        return PairedStream(find_pairs(folder), seed, 64, memory)

    def test_source_and_target_are_cut_and_turned_alike(self, folder):
        batch = self.stream(folder).batch(0, 8, 64, CPU)
        source, target = (255 * batch.blurred).round(), (255 * batch.target).round()
        assert batch.blurred.shape == (8, 3, 64, 64)
        assert batch.radius is None
        assert torch.equal(source[:, :2], target[:, :2])
        assert torch.equal(source[:, 2] + 100, target[:, 2])

    def test_every_flip_and_turn_comes(self, folder):
        """Of 200 crops: a square has eight positions, told by its corners."""
        source = (255 * self.stream(folder).batch(0, 200, 64, CPU).blurred).round()
        corners = source[:, :2, [0, 0, -1], [0, -1, 0]]  # rows and columns at three corners
        steps = (corners[:, :, 1:] - corners[:, :, :1]).sign().flatten(1).int()
        positions, counts = steps.unique(dim=0, return_counts=True)
        assert len(positions) == 8
        assert counts.min() > 8

    def test_a_pair_depends_on_seed_and_number_only(self, folder):
        whole = self.stream(folder).batch(4, 4, 64, CPU)
        parts = self.stream(folder, memory=0.0)  # nothing kept, all decoded ahead
        parts.batch(0, 2, 64, CPU)
        pieces = [parts.batch(n, 2, 64, CPU).blurred for n in (2, 4, 6)]
        assert torch.equal(whole.blurred, torch.cat(pieces[1:]))
        assert not torch.equal(whole.blurred, self.stream(folder, seed=4).batch(4, 4, 64, CPU).blurred)

    def test_two_processes_share_what_one_would_see(self, folder):
        one = self.stream(folder)
        two = [self.stream(folder, memory=0.0) for _ in range(2)]
        for step in range(3):
            whole = one.batch(4 * step, 4, 64, CPU).blurred
            shares = [two[rank].batch(4 * step + 2 * rank, 2, 64, CPU).blurred for rank in range(2)]
            assert torch.equal(whole, torch.cat(shares))

    def test_images_smaller_than_the_crop_are_refused(self, folder):
        with pytest.raises(DataError, match=r"110x90, smaller than the crop of 96; use smaller crops"):
            PairedStream(find_pairs(folder), 0, 96, 1.0)
