"""Photographs that are set aside, and the fixed pairs rendered from them."""

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from fdikp.errors import DataError, TrainingError
from fdikp.metrics.psnr import psnr
from fdikp.synthesis import RenderSettings
from fdikp.training import held_out, loop
from fdikp.training.held_out import CROP, PAIRS, held_out_names, held_out_pairs, set_aside
from fdikp.training.loop import train

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "sharp"


def test_our_list_has_about_forty_photos():
    assert 35 <= len(held_out_names()) <= 45


@pytest.mark.skipif(not SHARED.is_dir(), reason="the training photos are not here")
def test_all_tiles_of_a_photograph_are_set_aside_together():
    rows = list(csv.DictReader((SHARED / "sources.csv").open()))
    held = {(row["source"], row["origin"]) for row in rows if row["file"] in held_out_names()}
    assert {row["file"] for row in rows if (row["source"], row["origin"]) in held} == held_out_names()
    assert len({source for source, _ in held}) >= 10


def test_a_list_of_one_s_own(tmp_path):
    (tmp_path / "list.txt").write_text("# mine\na.png\n\n b.jpg \n")
    assert held_out_names(tmp_path / "list.txt") == {"a.png", "b.jpg"}
    files = [tmp_path / name for name in ("a.png", "c.png", "b.jpg")]
    assert set_aside(files, {"a.png", "b.jpg"}) == ([files[1]], [files[0], files[2]])


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"\xff\xfe\x00", "not a text file"), (b"# nothing\n", "contains no names")],
)
def test_a_list_that_cannot_be_used_is_refused(tmp_path, content, message):
    file = tmp_path / "list.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TrainingError, match=message) as raised:
        held_out_names(file)
    assert "held_out=" in str(raised.value) and "\n" not in str(raised.value)


def test_something_must_be_left_to_train_on(tmp_path):
    with pytest.raises(TrainingError, match="every photo is on the held-out list"):
        set_aside([tmp_path / "a.png"], {"a.png"})


def test_the_pairs_are_what_they_were():
    """Figures of runs that are years apart rest on these pairs: who changes the renderer has to keep them."""
    photos = [data.astronaut(), data.coffee(), data.chelsea()]
    pairs = held_out_pairs(photos)
    source, target = pairs.blurred, pairs.target
    assert source.shape == target.shape == (PAIRS, 3, CROP, CROP)
    values = psnr(source, target)
    assert float(values.mean()) == pytest.approx(EXPECTED_MEAN, abs=0.02)
    assert float(values.max()) <= 45
    assert values[:4].tolist() == pytest.approx(EXPECTED_FIRST, abs=0.05)


EXPECTED_MEAN = 27.06
EXPECTED_FIRST = [23.63, 21.33, 25.17, 34.66]


def test_black_photos_are_refused(monkeypatch):
    monkeypatch.setattr(held_out, "TRIES", 1)
    with pytest.raises(TrainingError, match="too little detail to show blur"):
        held_out_pairs([np.zeros((200, 200, 3), np.uint8)])


def test_every_setting_of_the_renderer_is_frozen():
    source = Path(held_out.__file__).read_text()
    assert all(f"    {field.name}=" in source for field in fields(RenderSettings))


class TestInARun:
    @pytest.fixture
    def listed(self, recipe, tmp_path):
        """A run that sets one of its three photos aside."""
        (tmp_path / "list.txt").write_text("coffee.png\n")
        return recipe.override(steps=1, held_out=tmp_path / "list.txt", validate=("held-out",))

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr(held_out, "PAIRS", 3)
        monkeypatch.setattr(held_out, "BATCH", 3)

    def test_they_are_validated_on_with_the_loss_and_not_trained_on(self, listed, log_of, capsys):
        train(listed.override(steps=2))
        (line,) = log_of(listed, "validation")
        facts = line["validations"]["held-out"]["0.999"]
        assert facts["images"] == 3
        assert {"loss", "psnr_after", "overshoot_after", "overshoot_before"} <= set(facts)
        assert log_of(listed)[-1]["epoch"] == 2  # of two photos
        assert "1 of 3 photos are held out" in capsys.readouterr().err

    def test_the_weights_that_a_run_starts_from_are_validated_first(self, listed, tiny_weights, log_of):
        train(listed.override(start=str(tiny_weights)))
        assert [line["step"] for line in log_of(listed, "validation")] == [0, 1]

    def test_the_same_weights_have_the_same_loss_in_each_run(self, listed, tiny_weights, log_of):
        losses = []
        for seed in (1, 2):
            run = listed.override(start=str(tiny_weights), seed=seed, output=listed.runtime.output / str(seed))
            train(run)
            losses.append(log_of(run, "validation")[0]["validations"]["held-out"]["0.999"]["loss"])
        assert losses[0] == losses[1]

    def test_real_pairs_have_none(self, listed, own_pairs, monkeypatch):
        monkeypatch.setattr(loop, "_step", None)
        with pytest.raises(DataError, match="paths= has real pairs"):
            train(listed.override(paths=(own_pairs,)))

    def test_a_list_that_names_nothing_in_the_data_is_refused(self, listed, monkeypatch):
        monkeypatch.setattr(loop, "_step", None)
        with pytest.raises(DataError, match="no photo in paths= is on the held-out list"):
            train(listed.override(held_out=None))
