"""Pairwise comparison of methods on the images they share: mean differences with confidence intervals, and counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from fdikp.evaluation.results import Evaluation, SummaryRow
from fdikp.evaluation.statistics import Interval, mean_interval
from fdikp.evaluation.tables import Table
from fdikp.metrics.registry import METRICS

MINUS = "−"
"""A minus sign as wide as a plus, so that columns of differences align."""


@dataclass(frozen=True)
class Difference:
    """How one method differs from another in one metric, on the images both restored."""

    first: str
    second: str
    metric: str
    images: int
    mean: float | None
    """Mean over images of the first method's score minus the second's; None without images."""
    interval: Interval | None
    """95 % confidence interval of the mean; None for too few images."""
    wins: int
    """Images on which the first is better, at the precision that tables print."""
    ties: int
    losses: int
    best: tuple[str, float] | None
    """The image on which the first method leads most, or trails least, and the difference there."""
    worst: tuple[str, float] | None
    """The image on which the first method trails most, or leads least."""


def ranking(evaluation: Evaluation, metric: str = "psnr") -> list[SummaryRow]:
    """A row for each model on one set, the best first; equal models keep their order. Models without means are last."""
    rows = [row for row in evaluation.summary_rows() if row.group is None]
    return sorted(rows, key=lambda row: -lead(metric, row.after[metric]) if metric in row.after else math.inf)


def differences(evaluation: Evaluation, metric: str, models: Sequence[str]) -> list[Difference]:
    """The difference of each pair of models on one set, the earlier model minus the later one."""
    scores: dict[str, dict[str, float]] = {model: {} for model in models}
    for result in evaluation.measured:
        if result.model in scores:
            scores[result.model][result.image] = result.after[metric]
    return [_difference(metric, a, scores[a], b, scores[b]) for a, b in combinations(models, 2)]


def _difference(
    metric: str, first: str, of_first: dict[str, float], second: str, of_second: dict[str, float]
) -> Difference:
    changes = {image: value - of_second[image] for image, value in of_first.items() if image in of_second}
    leads = {image: lead(metric, difference) for image, difference in changes.items()}
    least = 0.5 * 10 ** -METRICS[metric].digits
    best, worst = (end(leads, key=leads.__getitem__, default="") for end in (max, min))
    return Difference(
        first,
        second,
        metric,
        len(changes),
        fmean(changes.values()) if changes else None,
        mean_interval(list(changes.values())),
        wins=sum(value >= least for value in leads.values()),
        ties=sum(abs(value) < least for value in leads.values()),
        losses=sum(value <= -least for value in leads.values()),
        best=(best, changes[best]) if changes else None,
        worst=(worst, changes[worst]) if changes else None,
    )


def lead(metric: str, value: float) -> float:
    """A score or difference with its sign turned so that higher is better."""
    return value if METRICS[metric].better == "higher" else -value


def signed(metric: str, value: float) -> str:
    """A difference with its sign, in the decimals of the metric.

    >>> signed("psnr", 0.254), signed("lpips", -0.01), signed("psnr", -0.001)
    ('+0.25', '−0.0100', '0.00')
    """
    digits = METRICS[metric].digits
    text = f"{abs(value):.{digits}f}"
    if math.isclose(float(text), 0.0):
        return text
    return ("+" if value > 0 else MINUS) + text


def tables(evaluation: Evaluation, metric: str = "psnr") -> list[Table]:
    """The ranking; with several models also pairwise differences in every metric, and counts in the ranking metric."""
    rows = ranking(evaluation, metric)
    models = [row.model for row in rows]
    shared = [name for name in METRICS if all(name in result.after for result in evaluation.images)]
    result = [_ranks(rows, shared, metric)]
    pairs = {name: differences(evaluation, name, models) for name in shared}
    if len(models) > 1:
        result += [_intervals(pairs), _counts(pairs[metric], METRICS[metric].title)]
    return result


def _ranks(rows: Sequence[SummaryRow], metrics: Sequence[str], metric: str) -> Table:
    inputs = next((row.before for row in rows if row.before), {})
    # The input has no rank: its row shows what each method gained
    gained = ("gain", "worst gain") if "psnr" in inputs else ()
    left_out = ("identical",) if any(row.identical for row in rows) else ()
    head = ("method", *(METRICS[name].title for name in metrics), *gained, "images", *left_out, "scored")
    lines = [
        (
            f"{place}. {row.model}" if row.images else row.model,
            *(METRICS[name].text(row.after.get(name)) for name in metrics),
            *(_gains(row) if gained else ()),
            str(row.images),
            *(str(len(row.identical)) for _ in left_out),
            row.sizes,
        )
        for place, row in enumerate(rows, 1)
    ]
    if inputs:
        numbers = (METRICS[name].text(inputs[name]) if name in inputs else "" for name in metrics)
        lines.append(("input", *numbers, *[""] * (len(head) - 1 - len(metrics))))
    return Table(f"Ranking by {METRICS[metric].title}", head, tuple(lines))


def _gains(row: SummaryRow) -> tuple[str, str]:
    if "psnr" not in row.before:
        return "–", "–"
    gain = signed("psnr", row.after["psnr"] - row.before["psnr"])
    return gain, f"{signed('psnr', row.worst_gain or 0.0)} ({row.worst})"


def _intervals(pairs: dict[str, list[Difference]]) -> Table:
    """A row for each pair of methods, a column for each metric."""
    pair_names = [f"{one.first} {MINUS} {one.second}" for one in next(iter(pairs.values()))]
    columns = [[_mean_and_interval(one) for one in of_metric] for of_metric in pairs.values()]
    head = ("methods", *(METRICS[name].title for name in pairs))
    return Table("Mean differences, with the 95 % interval", head, tuple(zip(pair_names, *columns, strict=True)))


def _mean_and_interval(one: Difference) -> str:
    if one.mean is None:
        return "–"
    mean = signed(one.metric, one.mean)
    if one.interval is None:
        return mean
    return f"{mean} ({signed(one.metric, one.interval.low)} to {signed(one.metric, one.interval.high)})"


def _counts(pairs: Sequence[Difference], title: str) -> Table:
    rows = tuple(
        (
            f"{one.first} {MINUS} {one.second}",
            *(str(count) for count in (one.wins, one.ties, one.losses)),
            *(f"{signed(one.metric, end[1])} ({end[0]})" if end else "–" for end in (one.best, one.worst)),
        )
        for one in pairs
    )
    return Table(f"Image by image, {title}", ("methods", "wins", "ties", "losses", "best", "worst"), rows)
