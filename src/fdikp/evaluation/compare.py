"""Which of several methods is better, and how sure that is: differences on the same pictures, not of two means."""

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
"""A minus as wide as a plus, so that columns of differences line up."""


@dataclass(frozen=True)
class Difference:
    """How one method differs from another in one metric, on the pictures both restored."""

    first: str
    second: str
    metric: str
    images: int
    mean: float
    """Mean over pictures of the first's number less the second's."""
    interval: Interval | None
    """Of the mean, 95 %; None where there are too few pictures."""
    wins: int
    """Pictures on which the first is better, in the decimals that tables print."""
    ties: int
    losses: int
    best: tuple[str, float]
    """The picture on which the first leads most or trails least, and the difference there."""
    worst: tuple[str, float]


def ranking(evaluation: Evaluation, metric: str = "psnr") -> list[SummaryRow]:
    """A row for each model, the best first; equal ones in the order they were given in. One set of data."""
    rows = [row for row in evaluation.summary_rows() if row.group is None]
    return sorted(rows, key=lambda row: -lead(metric, row.after[metric]))


def differences(evaluation: Evaluation, metric: str, models: Sequence[str]) -> list[Difference]:
    """A difference for each two of the models, the one that stands first less the other; one set of data."""
    numbers: dict[str, dict[str, float]] = {model: {} for model in models}
    for result in evaluation.images:
        if result.model in numbers:
            numbers[result.model][result.image] = result.after[metric]
    return [_difference(metric, a, numbers[a], b, numbers[b]) for a, b in combinations(models, 2)]


def _difference(
    metric: str, first: str, of_first: dict[str, float], second: str, of_second: dict[str, float]
) -> Difference:
    apart = {image: value - of_second[image] for image, value in of_first.items() if image in of_second}
    leads = {image: lead(metric, difference) for image, difference in apart.items()}
    least = 0.5 * 10 ** -METRICS[metric].digits
    best, worst = max(leads, key=leads.__getitem__), min(leads, key=leads.__getitem__)
    return Difference(
        first,
        second,
        metric,
        len(apart),
        fmean(apart.values()),
        mean_interval(list(apart.values())),
        wins=sum(value >= least for value in leads.values()),
        ties=sum(abs(value) < least for value in leads.values()),
        losses=sum(value <= -least for value in leads.values()),
        best=(best, apart[best]),
        worst=(worst, apart[worst]),
    )


def lead(metric: str, value: float) -> float:
    """A number, or difference of two, turned so that more is better."""
    return value if METRICS[metric].better == "higher" else -value


def signed(metric: str, value: float) -> str:
    """A difference with its sign, in the metric's decimals.

    >>> signed("psnr", 0.254), signed("lpips", -0.01), signed("psnr", -0.001)
    ('+0.25', '−0.0100', '0.00')
    """
    digits = METRICS[metric].digits
    text = f"{abs(value):.{digits}f}"
    if math.isclose(float(text), 0.0):
        return text
    return ("+" if value > 0 else MINUS) + text


def tables(evaluation: Evaluation, metric: str = "psnr") -> list[Table]:
    """Ranking, differences in every metric, and which pictures make them in the metric that ranks."""
    rows = ranking(evaluation, metric)
    models = [row.model for row in rows]
    shared = [name for name in METRICS if all(name in result.after for result in evaluation.images)]
    found = [_ranks(rows, shared, metric)]
    pairs = {name: differences(evaluation, name, models) for name in shared}
    if len(models) > 1:
        found += [_intervals(pairs), _counts(pairs[metric], METRICS[metric].title)]
    return found


def _ranks(rows: Sequence[SummaryRow], metrics: Sequence[str], metric: str) -> Table:
    inputs = rows[0].before
    # The input does not compete: it says what each method gained
    gained = ("gain", "worst gain") if "psnr" in inputs else ()
    head = ("method", *(METRICS[name].title for name in metrics), *gained, "pictures", "scored")
    lines = [
        (
            f"{place}. {row.model}",
            *(f"{row.after[name]:.{METRICS[name].digits}f}" for name in metrics),
            *(_gains(row) if gained else ()),
            str(row.images),
            row.sizes,
        )
        for place, row in enumerate(rows, 1)
    ]
    if inputs:
        numbers = (f"{inputs[name]:.{METRICS[name].digits}f}" if name in inputs else "" for name in metrics)
        lines.append(("input", *numbers, *[""] * (len(gained) + 2)))
    return Table(f"Ranking by {METRICS[metric].title}", head, tuple(lines))


def _gains(row: SummaryRow) -> tuple[str, str]:
    gain = signed("psnr", row.after["psnr"] - row.before["psnr"])
    return gain, f"{signed('psnr', row.worst_gain or 0.0)} ({row.worst})"


def _intervals(pairs: dict[str, list[Difference]]) -> Table:
    """A row for each two methods, a column for each metric."""
    named = [f"{one.first} {MINUS} {one.second}" for one in next(iter(pairs.values()))]
    columns = [[_mean_and_interval(one) for one in of_metric] for of_metric in pairs.values()]
    head = ("methods", *(METRICS[name].title for name in pairs))
    return Table("Mean differences, with the 95 % interval", head, tuple(zip(named, *columns, strict=True)))


def _mean_and_interval(one: Difference) -> str:
    mean = signed(one.metric, one.mean)
    if one.interval is None:
        return mean
    return f"{mean} ({signed(one.metric, one.interval.low)} to {signed(one.metric, one.interval.high)})"


def _counts(found: Sequence[Difference], title: str) -> Table:
    rows = tuple(
        (
            f"{one.first} {MINUS} {one.second}",
            *(str(count) for count in (one.wins, one.ties, one.losses)),
            *(f"{signed(one.metric, value)} ({image})" for image, value in (one.best, one.worst)),
        )
        for one in found
    )
    return Table(f"Picture by picture, {title}", ("methods", "wins", "ties", "losses", "best", "worst"), rows)
