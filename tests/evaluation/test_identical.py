"""Images that equal their target: counted, named, and in no mean of tables, documents and the report."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from statistics import fmean

import pytest

from fdikp.evaluation import compare
from fdikp.evaluation.identical import find_identical
from fdikp.evaluation.report import write_report
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.store import Store
from fdikp.evaluation.tables import csv_rows, latex, markdown
from fdikp.paper.ablations import ABLATIONS
from fdikp.paper.comparison_tables import comparison_table
from fdikp.paper.reproduce import Score, VariantRun, table
from fdikp.training.recipe import Recipe

INF = math.inf

SCORES = {  # image: PSNR of the source, of model a, of model b
    "p0": (20.0, 22.0, 21.0),
    "p1": (INF, 40.0, 41.0),
    "p2": (24.0, INF, 25.0),
    "p3": (28.0, 30.0, 33.0),
}


def evaluation(scores: dict[str, tuple[float, ...]] = SCORES, group: str | None = None) -> Evaluation:
    """Models a, b, ... on a set; SSIM is a hundredth of PSNR, and 1 where that is infinite."""

    def both(psnr: float) -> dict[str, float]:
        return {"psnr": psnr, "ssim": min(psnr / 100, 1.0)}

    names = "abc"[: len(next(iter(scores.values()))) - 1]
    results = [
        ImageResult(model, "set", image, group, 64, 48, both(before), both(after[n]), 0.5)
        for n, model in enumerate(names)
        for image, (before, *after) in scores.items()
    ]
    return Evaluation("defocus", {}, tuple(ModelInfo(m, None, None, None, None) for m in names), tuple(results))


def test_all_means_are_over_the_same_images():
    a, b = evaluation().summary_rows()
    for row, column in ((a, 1), (b, 2)):
        kept = [SCORES["p0"], SCORES["p3"]]
        assert (row.images, row.identical) == (2, ("p1", "p2"))
        assert row.after["psnr"] == fmean(scores[column] for scores in kept)
        assert row.after["ssim"] == pytest.approx(fmean(scores[column] / 100 for scores in kept))
        assert row.before["psnr"] == 24.0
    assert (a.worst, a.worst_gain) == ("p0", 2.0)
    assert b.seconds == 0.5


def test_they_are_named_by_what_equals_the_target():
    (found,) = evaluation().identical
    assert (found.data, found.sources, found.results) == ("set", ("p1",), {"a": ("p2",)})
    assert found.left_out == ("p1", "p2")
    assert found.describe() == "set: source equals target: p1; result of a equals target: p2"
    assert evaluation({"p0": (20.0, 21.0)}).identical == ()
    assert find_identical([]) == ()


def test_a_copy_of_the_targets_has_no_means_and_takes_no_image_from_the_others():
    scores = {name: (before, after + 0.5, INF) for name, (before, after, _) in SCORES.items() if INF not in (after,)}
    one = evaluation(scores)
    assert (one.identical[0].copies, one.identical[0].left_out) == (("b",), ("p1",))
    assert one.identical[0].describe() == "set: source equals target: p1; every result of b equals its target"
    rows = {row.model: row for row in one.summary_rows()}
    assert (rows["a"].images, rows["a"].identical) == (2, ("p1",))
    assert (rows["b"].images, len(rows["b"].identical), rows["b"].after, rows["b"].before) == (0, 3, {}, {})
    assert [row.model for row in compare.ranking(one)] == ["a", "b"]
    ranks, intervals, counts = compare.tables(one)
    assert ranks.head == ("method", "PSNR", "SSIM", "gain", "worst gain", "images", "identical", "scored")
    assert ranks.rows[1] == ("b", "–", "–", "–", "–", "0", "3", "64×48")
    assert intervals.rows == (("a − b", "–", "–"),)
    assert counts.rows == (("a − b", "0", "0", "0", "–", "–"),)


def test_if_all_are_identical_no_table_holds_a_number():
    one = evaluation({"p0": (INF, 30.0), "p1": (INF, 31.0)})
    (results, *_) = [line for line in markdown(one).splitlines() if line.startswith("| set")][-1:]
    assert results == "| set | a | 0 | 2 | 64×48 | – | – | 0.5 |"
    ranks, *_ = compare.tables(one)
    assert ranks.rows == (("a", "–", "–", "0", "2", "64×48"),)


def test_differences_and_counts_are_over_the_other_images():
    (found,) = compare.differences(evaluation(), "psnr", ["a", "b"])
    assert (found.images, found.mean) == (2, -1.0)
    assert (found.wins, found.ties, found.losses) == (1, 0, 1)
    assert (found.best, found.worst) == (("p0", 1.0), ("p3", -3.0))


@pytest.mark.parametrize("text_of", [markdown, latex, lambda one: comparison_table("table1", one), Evaluation.to_json])
def test_every_document_names_them(text_of):
    text = text_of(evaluation())
    assert "identical" in text and "p1" in text and "p2" in text
    assert not re.search(r"\binf\b|\bnan\b|Infinity|NaN", text)
    assert "identical" not in text_of(evaluation({"p0": (20.0, 21.0)})).replace('"identical": []', "")


def test_the_table_counts_them():
    head, _, row, *_ = (line for line in markdown(evaluation()).splitlines() if line.startswith("|"))
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert (cells["images"], cells["identical"], cells["PSNR"]) == ("2", "2", "24.00 → 26.00")


def test_the_rows_of_images_say_so():
    text = io.StringIO()
    rows = csv_rows(evaluation())
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    found = [
        (r["image"], r["model"], r["identical"], float(r["psnr_after"]))
        for r in csv.DictReader(io.StringIO(text.getvalue()))
    ]
    assert found[1:4] == [("p1", "a", "yes", 40.0), ("p2", "a", "yes", INF), ("p3", "a", "", 30.0)]
    assert found[6] == ("p2", "b", "yes", 25.0)  # left out because of the other model


def test_the_report_draws_and_lists_them_without_a_number(tmp_path):
    page = write_report(evaluation(), tmp_path).read_text("utf-8")
    assert "Left out of all means, because PSNR is infinite. set: source equals target: p1" in page
    assert "2 images, 2 identical to the target left out" in page
    assert page.count("<rect") == 4  # two images of two models
    assert page.count(">∞</td>") == 1 and page.count('data-value="Infinity"') == 1  # the list has every result
    assert "1 of 2" in page or "2 of 2" in page
    assert not re.search(r">[^<]*\b(inf|nan)\b[^<]*<|data-value=\"(inf|nan)", page)


def test_a_report_on_identical_images_alone(tmp_path):
    page = write_report(evaluation({"p0": (INF, 30.0), "p1": (30.0, INF)}), tmp_path).read_text("utf-8")
    assert 'id="distribution"' not in page and "Left out of all means" in page
    assert page.count("<td>–</td>") == 2
    assert not re.search(r"\b(inf|nan)\b", page[page.index("<main") :] if "<main" in page else page)


def test_groups_count_their_own():
    one = evaluation()
    grouped = replace(one, images=tuple(replace(r, group="x" if r.image in ("p0", "p1") else "y") for r in one.images))
    rows = [(row.group, row.images, len(row.identical)) for row in grouped.summary_rows() if row.model == "a"]
    assert rows == [(None, 2, 2), ("x", 1, 1), ("y", 1, 1)]


def test_an_evaluation_that_was_stopped_continues_with_them(tmp_path):
    about = {"protocol": "defocus"}
    first = Store(tmp_path, about, resume=False)
    for result in evaluation().images[:3]:
        first.add(result, None)
    first.close()
    lines = (tmp_path / "images.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=pytest.fail)["after"]["psnr"] for line in lines[1:]] == [22.0, 40.0, None]
    again = Store(tmp_path, about, resume=True)
    assert tuple(again.results.values()) == evaluation().images[:3]
    again.finish(evaluation())
    again.close()
    assert Evaluation.from_json((tmp_path / "results.json").read_text()) == evaluation()


def test_a_table_of_variants_names_them_and_survives_a_set_without_means():
    variant = ABLATIONS["table2"][0]
    run = VariantRun(variant, 0, Recipe())
    rows = [row for row in evaluation().summary_rows() if row.model == "a"]
    text = table("table2", [Score(run, 1000, row) for row in rows], "proxy", {"command": "c"})
    assert "## set, 2 images (and 2 identical) of 64×48 (proxy)" in text
    assert "- identical: left out of all means, because PSNR is infinite. set: p1; set: p2" in text
    none = evaluation({"p0": (INF, 30.0)}).summary_rows()
    assert "## set, 0 images (and 1 identical)" in table("table2", [Score(run, 1000, none[0])], "proxy", {})
