"""An evaluation beside the paper's numbers: ours against each of its rows, and Tables 1 and 5 with our models."""

from fdikp.evaluation.report import Published
from fdikp.evaluation.results import Evaluation, ModelInfo, SummaryRow
from fdikp.evaluation.tables import Table, grid
from fdikp.metrics.registry import METRICS
from fdikp.paper.numbers import COMPARISONS, FDIKP, INPUT, PAPER, PaperRow, paper_row, why_not_comparable

TABLE_METRICS = ("psnr", "ssim", "lpips")
"""Columns of Tables 1 and 5."""


def beside_paper(evaluation: Evaluation) -> list[Table]:
    """One table, ours / the paper's: a row for each set and model, and for each set's input, that the paper has too.

    Empty if the paper has none of them. Models of ours that the paper has no row for are compared with its full model.
    """
    models = {model.name: model for model in evaluation.models}
    metrics = ("psnr", "ssim", "mae", "lpips")
    cells: list[list[str]] = []
    inputs: set[str] = set()
    for row in evaluation.summary_rows():
        model = models.get(row.model)
        pairs = [(row.model, model, row.after, _row_of_method(row, model))]
        if row.data not in inputs and row.before:
            pairs.insert(0, (INPUT, None, row.before, paper_row(INPUT, row.data, row.group)))
            inputs.add(row.data)
        for name, info, ours, theirs in pairs:
            if theirs:
                compared = [_ours_and_theirs(metric, ours, theirs) for metric in metrics]
                reasons = why_not_comparable(theirs, evaluation.protocol, row.images, row.sizes)
                reasons += _size_differs(info, theirs) + ([f"the paper's: {theirs.note}"] if theirs.note else [])
                cells.append([row.data, name, *compared, _cited(theirs), "; ".join(reasons) or "none known"])
    if not cells:
        return []
    head = ["set", "model", *(METRICS[metric].title for metric in metrics), "the paper's row", "reasons not to compare"]
    return [Table("Ours / the paper's (difference)", head, cells).without_empty_columns()]


def published(evaluation: Evaluation) -> list[Published]:
    """The paper's full model on the sets of an evaluation, for a report, with the reasons not to compare."""
    rows = []
    for row in {row.data: row for row in evaluation.summary_rows() if row.group is None}.values():
        theirs = paper_row(FDIKP, row.data)
        if theirs:
            scores = {
                metric: f"{value:.2f}" if metric == "psnr" else f"{value:g}" for metric, value in theirs.scores.items()
            }
            reasons = why_not_comparable(theirs, evaluation.protocol, row.images, row.sizes)
            note = "; ".join([*reasons, *([theirs.note] if theirs.note else [])])
            rows.append(Published(row.data, f"FDIKP, {theirs.table} of the paper", scores, note))
    return rows


def comparison_table(name: str, evaluation: Evaluation) -> str:
    """Markdown: for each set of the evaluation the paper's rows and ours by ascending PSNR, and what forbids comparing.

    A set that the paper's table does not have lists our models alone and is labelled a proxy.

    Args:
        name: a key of `COMPARISONS`.
        evaluation: of one or more models.
    """
    parts = [f"# {COMPARISONS[name]}"]
    parameters = {m.name: m.parameters for m in evaluation.models}
    wholes = [row for row in evaluation.summary_rows() if row.group is None]
    for row in wholes:
        if row.model != evaluation.models[0].name:
            continue
        papers = [p for p in PAPER if p.table == COMPARISONS[name] and p.data.lower() == row.data.lower()]
        if papers:
            reasons = why_not_comparable(papers[-1], evaluation.protocol, row.images, row.sizes)
            about = "not comparable: " + "; ".join(reasons) if reasons else "comparable, as far as the paper tells"
        else:
            about = f"proxy: {COMPARISONS[name]} does not have this set"
        scored = [(p.row, "paper", p.scores, p.parameters) for p in papers]
        scored += [("input", "here", row.before, None)] if row.before else []
        ours = [r for r in wholes if r.data == row.data]
        scored += [(r.model, "here", r.after, (parameters[r.model] or 0) / 1e6 or None) for r in ours]
        scored.sort(key=lambda line: line[2].get("psnr", 0.0))
        head = ("method", "measured by", *(METRICS[m].title for m in TABLE_METRICS), "parameters, M")
        lines = [
            (
                method,
                where,
                *(METRICS[m].text(scores[m]) if m in scores else "" if scores else "–" for m in TABLE_METRICS),
                "" if millions is None else f"{millions:.2f}",
            )
            for method, where, scores, millions in scored
        ]
        parts += [f"## {row.data}, {row.count} of {row.sizes} ({about})", grid(head, lines)]
    facts = {"protocol": evaluation.protocol} | evaluation.depends_on()
    facts |= {f"weights of {m.name}": f"sha256 {m.sha256}" for m in evaluation.models}
    parts.append("\n".join(f"- {key}: {value}" for key, value in facts.items()))
    return "\n\n".join(parts) + "\n"


def _row_of_method(row: SummaryRow, model: ModelInfo | None) -> PaperRow | None:
    """The paper's row of this method, or of its full model where ours are other weights of the network."""
    found = paper_row(row.model, row.data, row.group)
    return found or (paper_row(FDIKP, row.data, row.group) if model and model.sha256 else None)


def _ours_and_theirs(metric: str, ours: dict[str, float], theirs: PaperRow) -> str:
    if metric not in ours or metric not in theirs.scores:
        return ""
    digits = METRICS[metric].digits
    mine, paper = ours[metric], theirs.scores[metric]
    return f"{mine:.{digits}f} / {paper:g} ({mine - paper:+.{digits}f})"


def _cited(theirs: PaperRow) -> str:
    """Table and row of the paper, with training data and cost."""
    trained = f"trained on {theirs.trained_on}" if theirs.trained_on else ""
    cost = (
        f"{theirs.parameters:.2f} M parameters" if theirs.parameters else "",
        f"{theirs.seconds:.2f} s for DPDD on an RTX 3090" if theirs.seconds else "",
    )
    return ", ".join(part for part in (theirs.table, theirs.row, trained, *cost) if part)


def _size_differs(model: ModelInfo | None, theirs: PaperRow) -> list[str]:
    """A reason if the parameter counts differ by more than two ways of counting the same network do."""
    if not model or not model.parameters or not theirs.parameters:
        return []
    millions = model.parameters / 1e6
    same = abs(millions / theirs.parameters - 1) < 0.02
    return [] if same else [f"{millions:.2f} M parameters, where the paper's has {theirs.parameters:.2f} M"]
