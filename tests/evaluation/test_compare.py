import numpy as np
import pytest

from fdikp.evaluation.compare import differences, ranking, signed, tables
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.statistics import mean_interval


def evaluation(scores: dict[str, list[float]], metric: str = "psnr", before: float | None = None) -> Evaluation:
    """Numbers of methods on pictures p0, p1, ..."""
    inputs = {} if before is None else {metric: before}
    results = [
        ImageResult(model, "set", f"p{n}", None, 64, 48, dict(inputs), {metric: value}, None)
        for model, values in scores.items()
        for n, value in enumerate(values)
    ]
    models = tuple(ModelInfo(model, None, None, None, None) for model in scores)
    return Evaluation("defocus", {}, models, tuple(results))


def test_the_best_mean_comes_first_whichever_way_the_metric_points():
    scores = {"a": [20.0, 21.0], "b": [25.0, 19.0], "c": [19.0, 19.0]}
    assert [row.model for row in ranking(evaluation(scores))] == ["b", "a", "c"]
    assert [row.model for row in ranking(evaluation(scores, "lpips"), "lpips")] == ["c", "a", "b"]


def test_a_difference_is_of_the_same_pictures():
    """Means alone cannot tell: pictures differ by 20 dB, methods by a quarter, and every picture says so."""
    hard = np.linspace(15, 35, 12)
    a, b = (hard + 0.25).tolist(), hard.tolist()
    shuffled = evaluation({"a": a, "b": b})
    (found,) = differences(shuffled, "psnr", ["a", "b"])
    assert found.mean == pytest.approx(0.25)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.25, 0.25))
    assert (found.wins, found.ties, found.losses, found.images) == (12, 0, 0, 12)


def test_pictures_are_matched_by_name_not_by_place():
    one = evaluation({"a": [20.0, 30.0, 40.0], "b": [21.0, 31.0, 41.0]})
    mixed = Evaluation(one.protocol, {}, one.models, (*one.images[:3], *one.images[:2:-1]))
    (found,) = differences(mixed, "psnr", ["a", "b"])
    assert (found.mean, found.wins, found.losses) == (-1.0, 0, 3)


def test_wins_ties_losses_best_and_worst():
    a, b = [20.0, 20.0, 20.004, 20.0, 23.0], [19.0, 20.0, 20.0, 24.0, 23.0]
    (found,) = differences(evaluation({"a": a, "b": b}), "psnr", ["a", "b"])
    assert (found.wins, found.ties, found.losses) == (1, 3, 1)
    assert (found.best, found.worst) == (("p0", 1.0), ("p3", -4.0))
    assert found.interval == mean_interval([x - y for x, y in zip(a, b, strict=True)])
    (found,) = differences(evaluation({"a": a, "b": b}, "mae"), "mae", ["a", "b"])
    assert (found.wins, found.ties, found.losses) == (1, 2, 2)
    assert (found.best, found.worst) == (("p3", -4.0), ("p0", 1.0))


def test_every_two_methods_once():
    scores = {name: [float(n)] * 5 for n, name in enumerate("abcd")}
    found = differences(evaluation(scores), "psnr", ["d", "c", "b", "a"])
    assert [(one.first, one.second, one.mean) for one in found] == [
        ("d", "c", 1), ("d", "b", 2), ("d", "a", 3), ("c", "b", 1), ("c", "a", 2), ("b", "a", 1),
    ]  # fmt: skip


def test_the_tables():
    scores = {"a|1": [20.0, 21.0, 22.0, 20.0, 22.0], "b": [25.0, 26.0, 27.0, 20.0, 27.0]}
    ranks, intervals, counts = tables(evaluation(scores, before=19.0))
    assert ranks.head == ("method", "PSNR", "gain", "worst gain", "images", "scored")
    assert ranks.rows == (
        ("1. b", "25.00", "+6.00", "+1.00 (p3)", "5", "64×48"),
        ("2. a|1", "21.00", "+2.00", "+1.00 (p0)", "5", "64×48"),
        ("input", "19.00", "", "", "", ""),
    )
    interval = mean_interval([5.0, 5.0, 5.0, 0.0, 5.0])
    assert intervals.rows == (("b − a|1", f"+4.00 (+{interval.low:.2f} to +{interval.high:.2f})"),)
    assert counts.rows == (("b − a|1", "4", "1", "0", "+5.00 (p0)", "0.00 (p3)"),)
    assert r"| 2. a\|1 | 21.00 |" in ranks.markdown()
    assert ranks.markdown().startswith("**Ranking by PSNR**\n\n| method | PSNR |")


def test_one_method_is_ranked_alone_and_few_pictures_have_no_interval():
    assert [table.title for table in tables(evaluation({"a": [20.0]}))] == ["Ranking by PSNR"]
    _, intervals, _ = tables(evaluation({"a": [20.0, 22.0], "b": [20.5, 21.0]}))
    assert intervals.rows == (("a − b", "+0.25"),)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("psnr", -0.004, "0.00"), ("psnr", 0.006, "+0.01"), ("ssim", -0.00012, "−0.0001"), ("psnr", 0.0, "0.00")],
)
def test_signs(metric, value, text):
    assert signed(metric, value) == text
