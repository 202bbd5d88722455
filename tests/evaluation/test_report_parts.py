"""What the page is made of: the choice of pictures, their bytes, the distribution."""

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import fdikp
from fdikp.evaluation.report import Published, ResultImages, embedded_images
from fdikp.evaluation.report.distribution import distribution
from fdikp.evaluation.report.embedded_images import embed, encoded
from fdikp.evaluation.report.html_tables import summary
from fdikp.evaluation.report.selection import RankingMetric, best_and_worst, select_scenes
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo


def evaluation(gains: dict[str, list[float]], metric: str = "psnr", before: float | None = 20.0) -> Evaluation:
    """Models on pictures p0, p1, ...; without `before` the numbers are the scores themselves."""
    images = [
        ImageResult(
            model,
            "set",
            f"p{n}",
            None,
            64,
            48,
            {} if before is None else {metric: before},
            {metric: gain + (before or 0.0)},
            None,
        )
        for model, values in gains.items()
        for n, gain in enumerate(values)
    ]
    return Evaluation("defocus", {}, tuple(ModelInfo(m, None, None, None, None) for m in gains), tuple(images))


def test_the_ranking_metric_is_psnr_gained_or_what_there_is():
    both = evaluation({"m": [1.0, -2.0]})
    assert RankingMetric.of(both.images) == RankingMetric("psnr", True)
    assert [RankingMetric.of(both.images)(r) for r in both.images] == [1.0, -2.0]
    lower = evaluation({"m": [0.1, -0.1]}, "lpips", 0.5)
    assert [RankingMetric.of(lower.images)(r) for r in lower.images] == pytest.approx([-0.1, 0.1])
    alone = evaluation({"m": [3.0]}, "blur", None)
    assert RankingMetric.of(alone.images) == RankingMetric("blur", False)
    mixed = Evaluation("defocus", {}, (), (*both.images, *alone.images))
    assert RankingMetric.of(mixed.images) is None


def test_worst_and_best_of_each_model():
    one = evaluation({"a": [3.0, -1.0, 0.0, 5.0, 2.0, 1.0, 4.0], "b": [1.0, 0.5]})
    a, b = best_and_worst(one)
    assert [[r.image for r in results] for results in (a.worst, a.best)] == [["p1", "p2", "p5"], ["p3", "p6", "p0"]]
    assert [[r.image for r in results] for results in (b.worst, b.best)] == [["p1"], ["p0"]]
    many = evaluation({f"m{n}": [float(i) for i in range(9)] for n in range(6)})
    assert {len(e.worst) for e in best_and_worst(many)} == {2}


def test_all_pictures_are_shown_if_they_are_few_and_else_those_at_the_ends():
    random = np.random.default_rng(0)
    one = evaluation({model: random.normal(size=60).tolist() for model in "ab"})
    assert [s.image for s in select_scenes(one, 120)] == [f"p{n}" for n in range(60)]
    chosen = select_scenes(one, 50)
    assert 44 <= sum(len(scene.results) for scene in chosen) <= 50
    assert all([r.model for r in scene.results] == ["a", "b"] for scene in chosen)
    shown = {scene.image for scene in chosen}
    assert {r.image for e in best_and_worst(one) for r in (*e.worst, *e.best)} <= shown
    assert len(select_scenes(one, 1)) == 1


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("budget", [4_000, 60_000])
def test_no_picture_takes_more_than_its_budget(budget):
    """Noise is the worst there can be."""
    picture = decoded(encoded(noise(300, 450), budget))
    assert len(encoded(noise(300, 450), budget)) * 3 / 4 <= budget + 30
    assert picture.width / picture.height == pytest.approx(1.5, abs=0.05)
    assert picture.width < 450 or budget > 50_000


def test_smooth_pictures_are_kept_as_they_are():
    ramp = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (100, 200, 3))
    picture = decoded(encoded(ramp, 100_000))
    assert picture.size == (200, 100)
    assert np.abs(np.asarray(picture, int) - ramp).max() < 12


def test_a_page_of_many_pictures_is_bounded(monkeypatch):
    monkeypatch.setattr(embedded_images, "MAX_PAGE_BYTES", 200_000)
    one = evaluation({model: [float(n) for n in range(6)] for model in "ab"})
    made = ResultImages(*[noise(120, 160)] * 3, blur_map=np.random.default_rng(0).random((120, 160)))
    packed = embed(select_scenes(one, 50), lambda result: made)
    total = sum(len(layer["whole"]) for scene in packed for layer in scene["layers"])
    assert sum(len(scene["layers"]) for scene in packed) == 6 * (2 + 2 * 2)
    assert total <= 200_000 * 4 / 3 * 1.02
    assert total > 60_000  # the budget is used


def test_results_without_pictures_are_left_out():
    one = evaluation({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    made = ResultImages(*[noise(20, 30)] * 2)
    packed = embed(select_scenes(one, 50), lambda r: made if (r.model, r.image) == ("b", "p1") else None)
    assert [[layer["title"] for layer in scene["layers"]] for scene in packed] == [[], ["Input", "b"]]


def blocks(svg: str) -> dict[str, ElementTree.Element]:
    """The blocks of a drawing by the names they tell."""
    return {rect[0].text.partition(":")[0]: rect for rect in ElementTree.fromstring(svg).iter("rect")}


def test_a_block_for_each_picture_where_its_number_is():
    random = np.random.default_rng(1)
    values = random.normal(0.4, 1.0, 80).round(3).tolist()
    one = evaluation({"m": values})
    found = blocks(distribution({"m": one.images}, RankingMetric.of(one.images), {("set", "p3"): 7}))
    assert len(found) == 80
    by_value = sorted(range(80), key=lambda n: values[n])
    places = [float(found[f"p{n}"].get("x")) for n in by_value]
    assert places == sorted(places)
    assert len({(rect.get("x"), rect.get("y")) for rect in found.values()}) == 80  # none hides another
    for n, value in enumerate(values):
        assert found[f"p{n}"].get("class") == ("loss" if value < 0 else "gain")
    assert [name for name, rect in found.items() if rect.get("data-scene")] == ["p3"]


def test_an_lpips_that_falls_is_a_gain_to_the_left():
    one = evaluation({"m": [-0.1, 0.05]}, "lpips", 0.3)
    svg = distribution({"m": one.images}, RankingMetric.of(one.images), {})
    found = blocks(svg)
    assert (found["p0"].get("class"), found["p1"].get("class")) == ("gain", "loss")
    assert float(found["p0"].get("x")) < float(found["p1"].get("x"))
    assert "mean −0.0250 · better on 1 of 2" in svg


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1e-9, -1e-9], [100.0], [-3.0, -2.0], [5000.0, -0.001]])
def test_any_numbers_can_be_drawn(values):
    one = evaluation({"m": values})
    svg = ElementTree.fromstring(distribution({"m": one.images}, RankingMetric.of(one.images), {}))
    width = float(svg.get("viewBox").split()[2])
    for rect in svg.iter("rect"):
        assert 0 <= float(rect.get("x")) <= float(rect.get("x")) + float(rect.get("width")) <= width


def test_the_summary_marks_the_best_and_counts_who_gains():
    table = summary(evaluation({"a": [1.0, -0.5], "b": [2.0, 2.0]}))
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", table)]
    assert cells == ["20.00", "", "", "20.25+0.25", "1 of 2", "−0.50 p1", "22.00+2.00", "2 of 2", "+2.00 p0"]
    assert re.findall(r"<b>(.*?)</b>", table) == ["22.00"]


def test_published_numbers_stand_below_ours_with_what_makes_them_hard_to_compare():
    others = Published("set", "Others, Table 1", {"psnr": "26.42"}, "other <images>")
    table = summary(evaluation({"a": [1.0]}), [others])
    assert ">Others, Table 1</th><td>26.42</td>" in table
    assert "Reasons not to compare with Others, Table 1: other &lt;images&gt;" in table


def test_every_template_is_installed():
    folder = Path(fdikp.__file__).parent / "evaluation" / "report"
    kinds = {file.suffix for file in folder.iterdir() if file.is_file()} - {".py"}
    settings = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert kinds == {".html", ".css", ".js"}
    assert all(f'"evaluation/report/*{kind}"' in settings for kind in kinds)
