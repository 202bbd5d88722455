import numpy as np
import pytest
import torch
from PIL import Image

from fdikp.synthesis import RenderSettings
from fdikp.training.data import PairStream, load_pictures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, 90 + 10 * n, 120), generator=generator, dtype=torch.uint8) for n in range(5)]


def stream(pictures, **more) -> PairStream:
    return PairStream(pictures, **({"crop": 64, "margin": 8, "seed": 7, "settings": RenderSettings()} | more))


def test_a_pair_depends_on_its_number_and_not_on_batches_or_history(pictures):
    eights = stream(pictures).batch(1, 8, CPU)
    fours = stream(pictures)
    fours.batch(9, 4, CPU)
    second, third = fours.batch(2, 4, CPU), fours.batch(3, 4, CPU)
    assert torch.equal(eights.blurred, torch.cat([second.blurred, third.blurred]))
    assert torch.equal(eights.target, torch.cat([second.target, third.target]))
    assert not torch.equal(eights.target, stream(pictures, seed=8).batch(1, 8, CPU).target)


def test_shapes_types_and_ranges(pictures):
    pair = stream(pictures, crop=80, margin=0).batch(0, 3, CPU)
    assert pair.blurred.shape == pair.target.shape == (3, 3, 80, 80)
    assert pair.radius.shape == (3, 1, 80, 80)
    assert pair.target.dtype == torch.float32
    assert 0 <= float(pair.target.min()) <= float(pair.target.max()) <= 1


def test_every_picture_once_before_any_again():
    plain = [torch.full((3, 80, 80), 20 * n, dtype=torch.uint8) for n in range(10)]
    sharp_only = RenderSettings(share_sharp=1.0, share_lifted=0, share_sharpened=0)
    numbers = stream(plain, settings=sharp_only).batch(0, 30, CPU).target.mean(dim=(1, 2, 3)) * 255 / 20
    orders = numbers.round().int().view(3, 10).tolist()
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1]


def test_pictures_smaller_than_a_crop_are_enlarged():
    small = [torch.randint(0, 256, (3, 40, 30), dtype=torch.uint8)]
    assert stream(small).batch(0, 2, CPU).target.shape == (2, 3, 64, 64)


def test_folders_are_read_deeply_and_in_order(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    for level, name in enumerate(["a/1.png", "a/deep/2.PNG", "b/0.png"]):
        Image.fromarray(np.full((9, 7, 3), level, np.uint8)).save(tmp_path / name, "PNG")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    pictures = load_pictures([tmp_path / "a", tmp_path / "b"])
    assert [int(p[0, 0, 0]) for p in pictures] == [0, 1, 2]
    assert pictures[0].shape == (3, 9, 7)
    with pytest.raises(FileNotFoundError, match="none"):
        load_pictures([tmp_path / "a", tmp_path / "none"])
