"""Tables 1 and 5: our models among the methods that the paper compares."""

from fdikp.evaluation.paper import PAPER, why_not_comparable
from fdikp.evaluation.results import Evaluation
from fdikp.evaluation.tables import grid
from fdikp.metrics.registry import METRICS

TABLES = {"table1": "Table 1", "table5": "Table 5"}
"""The paper's comparisons, by the names that `fdikp reproduce` takes: of models trained on DPDD, and on LFDOF."""

SHOWN = ("psnr", "ssim", "lpips")


def standings(name: str, evaluation: Evaluation) -> str:
    """Markdown: for each set of the evaluation, the paper's rows and ours, best PSNR last; and what forbids comparing.

    A set that the paper's table does not have shows ours alone, and says that it is a proxy.
    """
    parts = [f"# {TABLES[name]}"]
    for row in evaluation.rows():
        if row.group is not None or row.model != evaluation.models[0].name:
            continue
        ours = [r for r in evaluation.rows() if r.data == row.data and r.group is None]
        papers = [p for p in PAPER if p.table == TABLES[name] and p.data.lower() == row.data.lower()]
        if papers:
            reasons = why_not_comparable(papers[-1], evaluation.protocol, row.images, row.sizes)
            about = "not comparable: " + "; ".join(reasons) if reasons else "comparable, as far as the paper tells"
        else:
            about = f"proxy: {TABLES[name]} does not have this set"
        scored = [(p.row, "paper", p.scores, p.parameters) for p in papers]
        scored += [("input", "here", row.before, None)] if row.before else []
        sizes = {m.name: m.parameters for m in evaluation.models}
        scored += [(r.model, "here", r.after, (sizes[r.model] or 0) / 1e6 or None) for r in ours]
        scored.sort(key=lambda line: line[2].get("psnr", 0.0))
        head = ("method", "whose number", *(METRICS[m].title for m in SHOWN), "parameters, M")
        lines = [
            (
                method,
                whose,
                *(f"{scores[m]:.{METRICS[m].digits}f}" if m in scores else "" for m in SHOWN),
                "" if millions is None else f"{millions:.2f}",
            )
            for method, whose, scores, millions in scored
        ]
        parts += [f"## {row.data}, {row.images} pictures of {row.sizes} ({about})", grid(head, lines)]
    facts = {"protocol": evaluation.protocol} | evaluation.about
    facts |= {f"weights of {m.name}": f"sha256 {m.sha256}" for m in evaluation.models}
    parts.append("\n".join(f"- {key}: {value}" for key, value in facts.items()))
    return "\n\n".join(parts) + "\n"
