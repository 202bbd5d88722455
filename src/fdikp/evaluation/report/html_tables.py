"""The tables of a report as HTML."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fdikp.evaluation.compare import lead, signed
from fdikp.evaluation.report.escaping import text
from fdikp.evaluation.report.selection import RankingMetric, ranking_metrics
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo, SummaryRow
from fdikp.metrics.registry import METRICS

ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class Published:
    """Published numbers, as a row in the table of a set."""

    data: str
    """The data set."""
    title: str
    """Method and source, such as `FDIKP, Table 1 of the paper`."""
    after: dict[str, str] = field(default_factory=dict)
    """The scores as printed, by names of `METRICS`."""
    note: str = ""
    """Reasons not to compare them with the evaluation."""


def summary(evaluation: Evaluation, published: Sequence[Published] = ()) -> str:
    """A table for each set: input, models and published numbers, then input and models for each group of the set."""
    rows = evaluation.summary_rows()
    tables = []
    for data in dict.fromkeys(row.data for row in rows):
        ranking = ranking_metrics(evaluation).get(data)
        of_set = [row for row in rows if row.data == data]
        beside = [row for row in published if row.data == data]
        known = {m for row in of_set for m in row.after} or {
            m for r in evaluation.images if r.data == data for m in r.after
        }
        known |= {m for one in beside for m in one.after}
        metrics = [metric for metric in METRICS if metric in known]
        columns = [*metrics, *(["wins"] if ranking and ranking.by_gain else []), *(["worst"] if ranking else [])]
        columns += ["time"] if any(row.seconds is not None for row in of_set) else []
        heads = "".join(f'<th scope="col">{_head(column)}</th>' for column in columns)
        bodies = []
        for group in dict.fromkeys(row.group for row in of_set):
            part = [row for row in of_set if row.group == group]
            results = [r for r in evaluation.measured if r.data == data and group in (None, r.group)]
            bodies.append(_body(part, columns, results, ranking, beside if group is None else ()))
        whole = next(row for row in of_set if row.group is None)
        left_out = "".join(
            f'<p class="lead">Left out of all means, because PSNR is infinite. {text(identical.describe())}</p>'
            for identical in evaluation.identical
            if identical.data == data
        )
        tables.append(
            f'<div class="set"><h3>{text(data)} <small>{_count(whole)}, {text(whole.sizes)} scored</small>'
            f'</h3><div class="wide" tabindex="0" role="region" aria-label="Summary of {text(data)}">'
            f'<table class="summary"><thead><tr><th scope="col">Method</th>{heads}</tr></thead>{"".join(bodies)}'
            f"</table></div>{left_out}</div>"
        )
    return "".join(tables)


def _head(column: str) -> str:
    if column in METRICS:
        metric = METRICS[column]
        way = f'<span title="{metric.better} is better">{ARROWS[metric.better]}</span>'
        return f"{text(metric.title)}{', dB' if column == 'psnr' else ''} {way}"
    return {"wins": "Images improved", "worst": "Worst image", "time": "Time"}[column]


def _body(
    rows: Sequence[SummaryRow],
    columns: Sequence[str],
    results: Sequence[ImageResult],
    ranking: RankingMetric | None,
    published: Sequence[Published],
) -> str:
    lines = []
    if rows[0].group is not None:
        count = _count(rows[0])
        lines.append(
            f'<tr class="group"><th scope="rowgroup" colspan="{len(columns) + 1}">{text(rows[0].group)} '
            f"<small>{count}</small></th></tr>"
        )
    before = next((row.before for row in rows if row.before), None)
    if before:
        cells = (f"<td>{_number(column, before)}</td>" for column in columns)
        lines.append(f'<tr class="input"><th scope="row">input</th>{"".join(cells)}</tr>')
    leads = {m: [lead(m, row.after[m]) for row in rows if m in row.after] for m in columns if m in METRICS}
    best = {metric: max(values) for metric, values in leads.items() if len(values) > 1}
    for row in rows:
        own = [r for r in results if r.model == row.model]
        cells = (f"<td>{_cell(column, row, own, ranking, best)}</td>" for column in columns)
        lines.append(f'<tr><th scope="row">{text(row.model)}</th>{"".join(cells)}</tr>')
    for one in published:
        cells = (f"<td>{text(one.after.get(column, '–' if column in METRICS else ''))}</td>" for column in columns)
        lines.append(f'<tr class="paper"><th scope="row">{text(one.title)}</th>{"".join(cells)}</tr>')
        if one.note:
            note = f"Reasons not to compare with {text(one.title)}: {text(one.note)}"
            lines.append(f'<tr class="note"><td colspan="{len(columns) + 1}">{note}</td></tr>')
    return f"<tbody>{''.join(lines)}</tbody>"


def _cell(
    column: str,
    row: SummaryRow,
    results: Sequence[ImageResult],
    ranking: RankingMetric | None,
    best: Mapping[str, float],
) -> str:
    if column == "time":
        return "–" if row.seconds is None else f"{row.seconds:.2f} s"
    if column in ("wins", "worst") and not results:
        return "–"
    if ranking and column == "wins":
        better = sum(ranking(r) > 0 for r in results)
        fraction = f"{100 * better / len(results):.1f}%"
        return f'<span class="share" style="--share:{fraction}"></span>{better} of {len(results)}'
    if ranking and column == "worst":
        worst = min(results, key=ranking)
        number = change(ranking.metric, worst) or _number(ranking.metric, worst.after)
        return f"{number} <small>{text(worst.image)}</small>"
    number = _number(column, row.after)
    if column in best and column in row.after and lead(column, row.after[column]) >= best[column]:
        number = f"<b>{number}</b>"
    difference = row.after[column] - row.before[column] if column in row.after and column in row.before else None
    return number if difference is None else f"{number}<small>{_coloured(column, difference)}</small>"


def change(metric: str, result: ImageResult) -> str:
    """The change of a metric from input to result, coloured by whether it is better.

    "" if the input was not scored, or a score is infinite.
    """
    difference = _difference(metric, result)
    return "" if difference is None else _coloured(metric, difference)


def _difference(metric: str, result: ImageResult) -> float | None:
    scores = result.before.get(metric, math.nan), result.after.get(metric, math.nan)
    return scores[1] - scores[0] if all(map(math.isfinite, scores)) else None


def _coloured(metric: str, difference: float) -> str:
    change_text = signed(metric, difference)
    kind = "" if change_text[0] not in "+−" else "gain" if lead(metric, difference) > 0 else "loss"
    return f'<span class="{kind}">{change_text}</span>'


def _number(metric: str, scores: Mapping[str, float]) -> str:
    if metric not in METRICS:
        return ""
    return METRICS[metric].text(scores.get(metric))


def _count(row: SummaryRow) -> str:
    identical = f", {len(row.identical)} identical to the target left out" if row.identical else ""
    return ("1 image" if row.images == 1 else f"{row.images} images") + identical


def listing(evaluation: Evaluation, scenes: Mapping[tuple[str, str], int]) -> str:
    """Head and body of the table of all results, which is sortable by the values in its cells."""
    results = evaluation.images
    metrics = [m for m in METRICS if any(m in r.after for r in results)]
    gained = [m for m in metrics if any(m in r.before and m in r.after for r in results)]
    grouped = any(r.group for r in results)
    timed = any(r.seconds is not None for r in results)
    titles = ["Image", "Set", *(["Group"] if grouped else []), "Method"]
    for metric in metrics:
        titles += [METRICS[metric].title, *([f"Δ {METRICS[metric].title}"] if metric in gained else [])]
    titles += ["Size", *(["Time, s"] if timed else [])]
    texts = 4 if grouped else 3
    heads = "".join(
        f'<th scope="col"{"" if n < texts else " class=number"} aria-sort="none">'
        f'<button type="button">{text(title)}</button></th>'
        for n, title in enumerate(titles)
    )
    lines = []
    for r in results:
        scene = scenes.get((r.data, r.image))
        name = text(r.image)
        if scene is not None:
            name = f'<button type="button" data-scene="{scene}" data-model="{text(r.model)}">{name}</button>'
        cells = [f'<th scope="row">{name}</th>', f"<td>{text(r.data)}</td>"]
        cells += [f"<td>{text(r.group or '')}</td>"] if grouped else []
        cells.append(f"<td>{text(r.model)}</td>")
        for metric in metrics:
            cells.append(_sortable(r.after.get(metric), _number(metric, r.after)))
            if metric in gained:
                cells.append(_sortable(_difference(metric, r), change(metric, r)))
        cells.append(_sortable(r.width * r.height, f"{r.width}×{r.height}"))
        if timed:
            cells.append(_sortable(r.seconds, "" if r.seconds is None else f"{r.seconds:.2f}"))
        first = next((m for m in metrics if m in r.before and m in r.after), "")
        loses = change(first, r).startswith('<span class="loss')
        lines.append(f"<tr{' data-loses' if loses else ''}>{''.join(cells)}</tr>")
    return f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"


def _sortable(value: float | None, shown: str) -> str:
    number = "" if value is None else repr(float(value)).replace("inf", "Infinity")  # as JavaScript writes it
    return f'<td class="number" data-value="{number}">{shown}</td>'


def about(evaluation: Evaluation) -> str:
    """Everything that the results depend on."""
    facts = {"protocol": evaluation.protocol} | evaluation.depends_on()
    pairs = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts.items())
    known = [m for m in evaluation.models if (m.sha256, m.parameters, m.gflop, m.peak_mib) != (None,) * 4]
    return f"<dl>{pairs}</dl>" + (_models(known) if known else "")


def _models(models: Sequence[ModelInfo]) -> str:
    lines = (
        f'<tr><th scope="row">{text(m.name)}</th>'
        f"<td>{'–' if m.parameters is None else f'{m.parameters:,}'}</td>"
        f"<td>{'–' if m.gflop is None else f'{m.gflop:.1f}'}</td>"
        f"<td>{'–' if m.peak_mib is None else f'{m.peak_mib:,.0f} MiB'}</td>"
        f"<td><code>{text(m.sha256 or '–')}</code></td></tr>"
        for m in models
    )
    heads = ("Weights", "Parameters", "GFLOP at 256×256", "Peak memory", "sha256")
    titles = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Weights"><table class="weights"><thead><tr>'
        f"{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
