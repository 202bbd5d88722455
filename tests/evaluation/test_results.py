"""Results as data: means, rows and documents."""

import json
import math

import pytest

from fdikp.errors import DataError
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo


def result(image: str, before: float, after: float, group: str | None = None, **more: object) -> ImageResult:
    scores = ({"psnr": before, "ssim": 0.5}, {"psnr": after, "ssim": 0.75})
    return ImageResult("m", "d", image, group, 100, 50, *scores, seconds=float(len(image)))


def evaluation(*images: ImageResult) -> Evaluation:
    return Evaluation("defocus", {"tile": "512"}, (ModelInfo("m", "ab" * 32, 7, 1.5, None),), images)


def test_rows_are_means_of_pictures_and_of_each_group() -> None:
    found = evaluation(
        result("a", 20, 24, "indoor"), result("bb", 30, 31, "outdoor"), result("cccc", 40, 38, "outdoor")
    ).summary_rows()
    assert [(row.group, row.images) for row in found] == [(None, 3), ("indoor", 1), ("outdoor", 2)]
    whole = found[0]
    assert whole.before["psnr"] == pytest.approx(30) and whole.after["psnr"] == pytest.approx(31)
    assert (whole.worst, whole.worst_gain, whole.seconds, whole.sizes) == ("cccc", -2, 2, "100×50")


def test_groups_stand_behind_their_set() -> None:
    first = ImageResult("m", "x", "a", "g", 9, 9, {}, {"psnr": 1.0}, None)
    second = ImageResult("m", "y", "a", None, 9, 9, {}, {"psnr": 1.0}, None)
    assert [(row.data, row.group) for row in evaluation(first, second).summary_rows()] == [
        ("x", None), ("x", "g"), ("y", None)
    ]  # fmt: skip


def test_without_inputs_the_worst_is_the_least() -> None:
    images = [ImageResult("m", "d", name, None, 8, 8, {}, {"psnr": p}, None) for name, p in (("a", 30.0), ("b", 20.0))]
    (row,) = evaluation(*images).summary_rows()
    assert (row.worst, row.worst_gain, row.before) == ("b", None, {})


def test_a_metric_that_a_picture_lacks_has_no_mean_unless_it_may() -> None:
    a, b = (ImageResult("m", "d", n, None, 8, 8, {}, scores, None) for n, scores in (
        ("a", {"psnr": 1.0, "lpips": 0.1, "focus": 1e-4}), ("b", {"psnr": 3.0})
    ))  # fmt: skip
    (row,) = evaluation(a, b).summary_rows()
    assert row.after == {"psnr": 2.0, "focus": 1e-4}


def test_json_comes_back_as_it_was() -> None:
    there = evaluation(result('ä "<', 20, 24.123456789, "indoor"))
    assert Evaluation.from_json(there.to_json()) == there


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 3, "models": [], "images": []}',
        '{"format": 1, "models": [], "images": [{}]}',
        '{"format": 2, "models": [], "images": [[]]}',
        "nul",
    ],
)
def test_other_documents_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(DataError, match="not results of an evaluation") as caught:
        Evaluation.from_json(text)
    assert "\n" not in str(caught.value)


def test_json_never_holds_infinity() -> None:
    there = evaluation(result("a", math.inf, 20), result("b", 30, math.inf), result("c", 30, 31))
    fields = json.loads(there.to_json(), parse_constant=pytest.fail)
    assert [image["before"]["psnr"] for image in fields["images"]] == [None, 30, 30]
    assert fields["identical"] == [
        {"data": "d", "sources": ["a"], "results": {"m": ["b"]}, "copies": [], "left_out": ["a", "b"]}
    ]
    assert Evaluation.from_json(there.to_json()) == there


def test_version_1_of_the_format_has_100_db_in_place_of_infinity() -> None:
    fields = json.loads(evaluation(result("a", 100.0, 20), result("b", 30, 100.0), result("c", 30, 31)).to_json())
    del fields["identical"]
    old = Evaluation.from_json(json.dumps(fields | {"format": 1}))
    assert [(r.before["psnr"], r.after["psnr"]) for r in old.images] == [(math.inf, 20), (30, math.inf), (30, 31)]
    (row,) = old.summary_rows()
    assert (row.images, row.identical, row.after["psnr"]) == (1, ("a", "b"), 31)
