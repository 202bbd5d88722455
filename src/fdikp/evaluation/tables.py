"""An evaluation as tables for people and papers: Markdown, LaTeX, and rows for CSV.

No table comes without what its numbers depend on: protocol, sizes, tile, precision, device, weights and versions stand
below it, and what an evaluation does not say of these is said to be unknown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fdikp.evaluation.paper import FDIKP, INPUT, PaperRow, paper_row, why_not_comparable
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.results import Evaluation, ModelAbout, Row
from fdikp.metrics.registry import METRICS

DEPENDS_ON = ("tile", "precision", "device", "versions")
"""Keys of `Evaluation.about` that every table shows, known or not."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "×": r"$\times$",
    "σ": r"$\sigma$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


@dataclass(frozen=True)
class Grid:
    """A table before it has a format."""

    head: list[str]
    rows: list[list[str]]

    def filled(self) -> "Grid":
        """Without the columns that no row fills."""
        kept = [n for n in range(len(self.head)) if any(row[n] for row in self.rows)]
        return Grid([self.head[n] for n in kept], [[row[n] for n in kept] for row in self.rows])


def markdown(evaluation: Evaluation, paper: bool = True) -> str:
    """Results, the paper's beside them if `paper`, and what they depend on; ends with a line break."""
    results, beside = _results(evaluation), _beside_paper(evaluation)
    parts = [grid(results.head, results.rows)]
    if paper and beside.rows:
        parts += ["Ours / the paper's (ours less the paper's):", grid(beside.head, beside.rows)]
    parts.append("\n".join(f"- {name}: {_one_line(text)}" for name, text in _depends_on(evaluation)))
    return "\n\n".join(parts) + "\n"


def latex(evaluation: Evaluation, paper: bool = True) -> str:
    """The same as a LaTeX table, for the packages booktabs and graphicx; ends with a line break."""
    results, beside = _results(evaluation), _beside_paper(evaluation)
    parts = [r"\begin{table}", r"\centering", _tabular(results)]
    if paper and beside.rows:
        parts += [r"\par\medskip Ours / the paper's (ours less the paper's):\par\smallskip", _tabular(beside)]
    parts += [r"\par\medskip\raggedright\footnotesize"]
    parts += [rf"{_latex(name)}: {_latex(text)}\par" for name, text in _depends_on(evaluation)]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


def csv_rows(evaluation: Evaluation) -> list[dict[str, str | int | float | None]]:
    """A row for each picture, all with the same columns: what it is, `METRIC_before` and `METRIC_after`."""
    hashes = {model.name: model.sha256 for model in evaluation.models}
    named = [
        (f"{name}_{when}", name, when)
        for name in METRICS
        for when in ("before", "after")
        if any(name in getattr(r, when) for r in evaluation.images)
    ]
    return [
        {
            "protocol": evaluation.protocol,
            "model": r.model,
            "sha256": hashes.get(r.model),
            "data": r.data,
            "group": r.group,
            "image": r.image,
            "width": r.width,
            "height": r.height,
            **{column: getattr(r, when).get(name) for column, name, when in named},
            "seconds": r.seconds,
        }
        for r in evaluation.images
    ]


def grid(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table.

    >>> print(grid(["a", "b"], [["1", "x|y"]]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(_one_line(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _results(evaluation: Evaluation) -> Grid:
    """A row for each model on each set and group."""
    abouts = {model.name: model for model in evaluation.models}
    rows = evaluation.rows()
    shown = [name for name in METRICS if any(name in row.before | row.after for row in rows)]
    head = ["set", "model", "pictures", "size scored", *(METRICS[name].title for name in shown), "worst picture"]
    head += ["parameters", "GFLOP", "s", "peak MiB"]
    cells = []
    for row in rows:
        about = abouts.get(row.model) or ModelAbout(row.model, None, None, None, None)
        worst = f"{row.worst} ({row.worst_gain:+.2f} dB)" if row.worst_gain is not None else row.worst
        cells.append(
            [
                f"{row.data}, {row.group}" if row.group else row.data,
                row.model,
                str(row.images),
                row.sizes,
                *(_before_after(row, name) for name in shown),
                worst,
                _number(about.parameters, ","),
                _number(about.gflop, ".1f"),
                _number(row.seconds, ".3g"),
                _number(about.peak_mib, ".0f"),
            ]
        )
    return Grid(head, cells).filled()


def _beside_paper(evaluation: Evaluation) -> Grid:
    """A row for each set and model, and for each set's input, of which the paper says something."""
    abouts = {model.name: model for model in evaluation.models}
    metrics = ("psnr", "ssim", "mae", "lpips")
    cells, inputs = [], set()
    for row in evaluation.rows():
        about = abouts.get(row.model)
        pairs = [(row.model, about, row.after, _paper_row_of(row, about))]
        if row.data not in inputs and row.before:
            pairs.insert(0, (INPUT, None, row.before, paper_row(INPUT, row.data, row.group)))
            inputs.add(row.data)
        for name, model, ours, theirs in pairs:
            if theirs:
                compared = [_difference(metric, ours, theirs) for metric in metrics]
                reasons = why_not_comparable(theirs, evaluation.protocol, row.images, row.sizes)
                reasons += _other_size(model, theirs) + ([f"the paper's: {theirs.note}"] if theirs.note else [])
                cells.append([row.data, name, *compared, _cited(theirs), "; ".join(reasons) or "none known"])
    titles = [METRICS[metric].title for metric in metrics]
    return Grid(["set", "model", *titles, "the paper's row", "reasons not to compare"], cells).filled()


def _paper_row_of(row: Row, about: ModelAbout | None) -> PaperRow | None:
    """The row of this method; networks of ours that the paper has no row for are held against its full model."""
    found = paper_row(row.model, row.data, row.group)
    return found or (paper_row(FDIKP, row.data, row.group) if about and about.sha256 else None)


def _cited(theirs: PaperRow) -> str:
    """Where the paper has it, and what else stands there."""
    trained = f"trained on {theirs.trained_on}" if theirs.trained_on else ""
    cost = (
        f"{theirs.parameters:.2f} M parameters" if theirs.parameters else "",
        f"{theirs.seconds:.2f} s for DPDD on an RTX 3090" if theirs.seconds else "",
    )
    return ", ".join(part for part in (theirs.table, theirs.row, trained, *cost) if part)


def _other_size(about: ModelAbout | None, theirs: PaperRow) -> list[str]:
    """Whether the two networks differ in size, by more than a count of the same network does."""
    if not about or not about.parameters or not theirs.parameters:
        return []
    millions = about.parameters / 1e6
    same = abs(millions / theirs.parameters - 1) < 0.02
    return [] if same else [f"{millions:.2f} M parameters, where the paper's has {theirs.parameters:.2f} M"]


def _depends_on(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Everything without which the numbers mean nothing, as names and texts."""
    rows = [row for row in evaluation.rows() if row.group is None]
    sizes = dict.fromkeys(f"{row.data}: {row.images} pictures, scored {row.sizes}" for row in rows)
    weights = [f"{m.name}: sha256 {m.sha256}" if m.sha256 else f"{m.name}: not known" for m in evaluation.models]
    about = dict.fromkeys(DEPENDS_ON, "not recorded") | evaluation.about
    protocol = about.pop("protocol", None) or find_protocol(evaluation.protocol).describe()
    return [
        ("protocol", protocol),
        ("sets", "; ".join(sizes)),
        ("weights", "; ".join(weights) or "not known"),
        *about.items(),
        ("columns", "means over pictures, input → result; s: median for a picture; GFLOP: of 256×256 pixels"),
    ]


def _before_after(row: Row, name: str) -> str:
    digits = METRICS[name].digits
    values = [scores[name] for scores in (row.before, row.after) if name in scores]
    return " → ".join(f"{value:.{digits}f}" for value in values)


def _difference(metric: str, ours: dict[str, float], theirs: PaperRow) -> str:
    if metric not in ours or metric not in theirs.scores:
        return ""
    digits = METRICS[metric].digits
    mine, paper = ours[metric], theirs.scores[metric]
    return f"{mine:.{digits}f} / {paper:g} ({mine - paper:+.{digits}f})"


def _tabular(table: Grid) -> str:
    """No wider than the text."""
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in (table.head, *table.rows)]
    columns = "l" * len(table.head)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([r"\resizebox{\linewidth}{!}{%", *body, r"\end{tabular}}"])


def _latex(text: str) -> str:
    """Text with nothing in it that LaTeX takes for more."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float | None, kind: str) -> str:
    return "" if value is None else format(value, kind)
