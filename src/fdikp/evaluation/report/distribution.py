"""Distributions as SVG: a block for each image, so that a reader can point at every one."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from fdikp.evaluation.compare import lead, signed
from fdikp.evaluation.report.escaping import text
from fdikp.evaluation.report.selection import RankingMetric
from fdikp.evaluation.results import ImageResult
from fdikp.metrics.registry import METRICS

WIDTH, MARGIN = 540.0, 16.0
"""Width of the drawing, and of the margins at its sides."""

MAX_COLUMN, MAX_BLOCK = 110.0, 13.0
"""Maximum height of a column, and of one image's block."""

COLUMNS = 36
"""Approximate number of columns; their width is a round number of the metric."""


def distribution(
    rows: Mapping[str, Sequence[ImageResult]], ranking: RankingMetric, scenes: Mapping[tuple[str, str], int]
) -> str:
    """An SVG with a histogram for each model, all on one axis.

    Args:
        rows: results by model, all of one set.
        ranking: what the axis shows.
        scenes: the number of the scene that shows an image, by set and image.
    """
    values = {model: sorted(((measure(ranking, r), r) for r in row), key=lambda v: v[0]) for model, row in rows.items()}
    numbers = [value for row in values.values() for value, _ in row] + ([0.0] if ranking.by_gain else [])
    step = round_up((max(numbers) - min(numbers)) / COLUMNS or 10.0 ** -METRICS[ranking.metric].digits)
    first, last = _column(min(numbers), step), _column(max(numbers), step) + 1
    wide = (WIDTH - 2 * MARGIN) / (last - first)

    def x(value: float) -> float:
        return MARGIN + (value / step - first) * wide

    parts, y = [], 0.0
    for model, row in values.items():
        columns: dict[int, list[tuple[float, ImageResult]]] = {}
        for each in row:
            columns.setdefault(_column(each[0], step), []).append(each)
        most = max(map(len, columns.values()))
        high = min(MAX_BLOCK, MAX_COLUMN / most)
        base = y + 34 + most * high
        if ranking.by_gain:
            parts.append(f'<path class="zero" d="M{x(0):.1f} {y + 28:.1f} V{base:.1f}"/>')
        parts.append(_heading(model, [value for value, _ in row], ranking, y + 18))
        for column, stack in columns.items():
            for n, (value, result) in enumerate(stack):
                corner = (MARGIN + (column - first) * wide, base - (n + 1) * high)
                scene = scenes.get((result.data, result.image))
                parts.append(_block(result, value, ranking, scene, corner, (wide, high)))
        parts.append(f'<path class="axis" d="M{MARGIN:.0f} {base:.1f} H{WIDTH - MARGIN:.0f}"/>')
        mean = x(fmean(value for value, _ in row))
        parts.append(f'<path class="mean" d="M{mean:.1f} {base + 2:.1f} l5 9 h-10 z"/>')
        y = base + 18
    ticks = _axis((first * step, last * step), ranking, x, y)
    label = text(f"{axis_title(ranking)}: a block for each image. The list of images has the same numbers.")
    return (
        f'<svg class="distribution" viewBox="0 0 {WIDTH:.0f} {y + 42:.0f}" role="img" aria-label="{label}">'
        + "".join([*parts, *ticks])
        + "</svg>"
    )


def measure(ranking: RankingMetric, result: ImageResult) -> float:
    """A result's position on the axis, with the sign of the metric: a decrease in LPIPS is negative."""
    return lead(ranking.metric, ranking(result))


def axis_title(ranking: RankingMetric) -> str:
    """The label of the axis."""
    metric = METRICS[ranking.metric]
    unit = ", dB" if ranking.metric == "psnr" else ""
    better = "" if metric.better == "higher" else " (lower is better)"
    return f"change of {metric.title}{unit}{better}" if ranking.by_gain else f"{metric.title}{unit}{better}"


def round_up(value: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `value`.

    >>> round_up(0.21), round_up(0.19), round_up(1.0), round_up(7)
    (0.25, 0.2, 1.0, 10.0)
    """
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(round(m * power, 12) for m in (1, 2, 2.5, 5, 10) if m * power >= value * (1 - 1e-9))


def _column(value: float, step: float) -> int:
    return math.floor(value / step + 1e-9)


def _heading(model: str, values: Sequence[float], ranking: RankingMetric, y: float) -> str:
    mean = fmean(values)
    digits = METRICS[ranking.metric].digits
    if ranking.by_gain:
        better = sum(lead(ranking.metric, value) > 0 for value in values)
        caption = f"mean {signed(ranking.metric, mean)} · better on {better} of {len(values)}"
    else:
        caption = f"mean {mean:.{digits}f} · {len(values)} images"
    return (
        f'<text class="model" x="{MARGIN:.0f}" y="{y:.1f}">{text(model)}</text>'
        f'<text class="caption" x="{WIDTH - MARGIN:.0f}" y="{y:.1f}" text-anchor="end">{caption}</text>'
    )


def _block(
    result: ImageResult,
    value: float,
    ranking: RankingMetric,
    scene: int | None,
    corner: tuple[float, float],
    size: tuple[float, float],
) -> str:
    kind = "plain" if not ranking.by_gain else "loss" if lead(ranking.metric, value) < 0 else "gain"
    shown = signed(ranking.metric, value) if ranking.by_gain else f"{value:.{METRICS[ranking.metric].digits}f}"
    gap = 1.0 if size[1] > 3 else 0.0
    opens = "" if scene is None else f' data-scene="{scene}" data-model="{text(result.model)}"'
    return (
        f'<rect class="{kind}"{opens} x="{corner[0] + 0.5:.1f}" y="{corner[1]:.1f}" width="{size[0] - 1:.1f}" '
        f'height="{size[1] - gap:.1f}"><title>{text(result.image)}: {shown}</title></rect>'
    )


def _axis(ends: tuple[float, float], ranking: RankingMetric, x: Callable[[float], float], y: float) -> list[str]:
    step = round_up((ends[1] - ends[0]) / 7)
    decimals = next(d for d in range(12) if math.isclose(round(step, d), step))
    parts = []
    for n in range(math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9) + 1):
        number = f"{abs(n * step):.{decimals}f}"
        sign = "−" if n < 0 else "+" if n > 0 and ranking.by_gain else ""
        parts.append(f'<path class="tick" d="M{x(n * step):.1f} {y:.1f} v4"/>')
        parts.append(_centred("tick", x(n * step), y + 18, sign + number))
    return [*parts, _centred("caption", WIDTH / 2, y + 37, axis_title(ranking))]


def _centred(kind: str, x: float, y: float, shown: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{shown}</text>'
