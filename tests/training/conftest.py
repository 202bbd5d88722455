"""A narrow network, a few photos, and runs of a few steps."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fdikp.network import PRESETS
from fdikp.training import summary
from fdikp.training.recipe import Recipe


@pytest.fixture(autouse=True)
def plot(monkeypatch):
    """Plots take as long as the runs of these tests, so that none is drawn. Returns the function that draws them."""
    draw = summary._plot
    monkeypatch.setattr(summary, "_plot", lambda *_: None)
    return draw


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    from skimage import data

    folder = tmp_path_factory.mktemp("sharp")
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()[:220, :220]).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def own_pairs(tmp_path_factory, photos) -> Path:
    """Pairs as a user keeps them: source/ and target/ with the same names."""
    folder = tmp_path_factory.mktemp("pairs")
    for kind in ("source", "target"):
        (folder / kind).mkdir()
    for n, file in enumerate(sorted(photos.iterdir())):
        image = Image.open(file)
        image.save(folder / "target" / f"{n}.png")
        image.reduce(2).resize(image.size).save(folder / "source" / f"{n}.png")
    return folder


@pytest.fixture
def recipe(tmp_path, photos, tiny_config, monkeypatch) -> Recipe:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return Recipe().override(
        config="tiny",
        paths=(photos,),
        output=tmp_path / "run",
        steps=6,
        batch=(2,),
        crop=(64,),
        lr=2e-3,
        warmup=2,
        log_every=1,
    )


@pytest.fixture
def log_of():
    """The lines of a run's log: of its steps, or of another kind."""

    def log_of(recipe: Recipe, kind: str = "loss") -> list[dict]:
        lines = [json.loads(line) for line in (recipe.runtime.output / "log.jsonl").read_text().splitlines()]
        return [line for line in lines if kind in line]

    return log_of
