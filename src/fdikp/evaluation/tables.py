"""An evaluation as Markdown, LaTeX, and rows for CSV.

No table stands without what its numbers depend on: protocol, sizes, tile, precision, device, weights and versions are
listed below it. What an evaluation does not record is listed as not recorded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.results import Evaluation, ModelInfo, SummaryRow
from fdikp.metrics.registry import METRICS

DEPENDS_ON = ("tile", "precision", "device", "versions")
"""Keys of `Evaluation.about` that every table lists, recorded or not."""

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
class Table:
    """Text in rows and columns, before it has a format."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def without_empty_columns(self) -> "Table":
        """The table without the columns that are empty in every row."""
        kept = [n for n in range(len(self.head)) if any(row[n] for row in self.rows)]
        return Table(self.title, [self.head[n] for n in kept], [[row[n] for n in kept] for row in self.rows])

    def markdown(self) -> str:
        """The table in Markdown, below its title."""
        return f"**{self.title}**\n\n{grid(self.head, self.rows)}"


def markdown(evaluation: Evaluation, further: Sequence[Table] = ()) -> str:
    """The results, the further tables below them, and what the numbers depend on; ends with a line break."""
    results = results_table(evaluation)
    parts = [grid(results.head, results.rows), *(table.markdown() for table in further)]
    parts.append("\n".join(f"- {name}: {_one_line(text)}" for name, text in _depends_on(evaluation)))
    return "\n\n".join(parts) + "\n"


def latex(evaluation: Evaluation, further: Sequence[Table] = ()) -> str:
    """The same as a LaTeX table, for the packages booktabs and graphicx; ends with a line break."""
    parts = [r"\begin{table}", r"\centering", _tabular(results_table(evaluation))]
    for table in further:
        parts += [rf"\par\medskip {_latex(table.title)}\par\smallskip", _tabular(table)]
    parts += [r"\par\medskip\raggedright\footnotesize"]
    parts += [rf"{_latex(name)}: {_latex(text)}\par" for name, text in _depends_on(evaluation)]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


def csv_rows(evaluation: Evaluation) -> list[dict[str, str | int | float | None]]:
    """A row for each image and model, all with the same columns; scores are `METRIC_before` and `METRIC_after`.

    `identical` is "yes" for the results that means leave out.
    """
    hashes = {model.name: model.sha256 for model in evaluation.models}
    scores = [
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
            "identical": "" if evaluation.is_measured(r) else "yes",
            **{column: getattr(r, when).get(name) for column, name, when in scores},
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


def results_table(evaluation: Evaluation) -> Table:
    """A row for each model on each set and group."""
    models = {model.name: model for model in evaluation.models}
    rows = evaluation.summary_rows()
    metrics = [name for name in METRICS if any(name in r.before | r.after for r in evaluation.images)]
    head = [
        "set",
        "model",
        "images",
        "identical",
        "size scored",
        *(METRICS[name].title for name in metrics),
        "worst image",
    ]
    head += ["parameters", "GFLOP", "s", "peak MiB"]
    cells = []
    for row in rows:
        model = models.get(row.model) or ModelInfo(row.model, None, None, None, None)
        worst = f"{row.worst} ({row.worst_gain:+.2f} dB)" if row.worst_gain is not None else row.worst
        cells.append(
            [
                f"{row.data}, {row.group}" if row.group else row.data,
                row.model,
                str(row.images),
                str(len(row.identical) or ""),
                row.sizes,
                *(_before_after(row, name) for name in metrics),
                worst,
                _number(model.parameters, ","),
                _number(model.gflop, ".1f"),
                _number(row.seconds, ".3g"),
                _number(model.peak_mib, ".0f"),
            ]
        )
    return Table("Results", head, cells).without_empty_columns()


def _depends_on(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Everything without which the numbers mean nothing, as names and texts."""
    rows = [row for row in evaluation.summary_rows() if row.group is None]
    sizes = dict.fromkeys(f"{row.data}: {row.count}, scored {row.sizes}" for row in rows)
    weights = [f"{m.name}: sha256 {m.sha256}" if m.sha256 else f"{m.name}: not known" for m in evaluation.models]
    about = dict.fromkeys(DEPENDS_ON, "not recorded") | evaluation.depends_on()
    protocol = about.pop("protocol", None) or find_protocol(evaluation.protocol).describe()
    return [
        ("protocol", protocol),
        ("sets", "; ".join(sizes)),
        ("weights", "; ".join(weights) or "not known"),
        *about.items(),
        ("columns", "means over images, input → result; s: median time of an image; GFLOP: at 256×256 pixels"),
    ]


def _before_after(row: SummaryRow, name: str) -> str:
    values = [scores[name] for scores in (row.before, row.after) if name in scores]
    return " → ".join(map(METRICS[name].text, values)) or ("" if row.images else "–")


def _tabular(table: Table) -> str:
    """The rows and columns in LaTeX, scaled to the width of the text."""
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in (table.head, *table.rows)]
    columns = "l" * len(table.head)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([r"\resizebox{\linewidth}{!}{%", *body, r"\end{tabular}}"])


def _latex(text: str) -> str:
    """The text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float | None, kind: str) -> str:
    return "" if value is None else format(value, kind)
