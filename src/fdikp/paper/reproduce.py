"""Train and score the variants of one of the paper's tables, and compare them with the paper's numbers."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdikp.data import EvaluationSet
from fdikp.errors import DataError
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.results import ImageResult, SummaryRow
from fdikp.evaluation.tables import grid
from fdikp.files import atomic_write, cannot_be_written
from fdikp.inference.load import load_model
from fdikp.metrics.registry import METRICS
from fdikp.paper.ablations import ABLATIONS, Variant, ordering_rows, orderings
from fdikp.training.loop import train
from fdikp.training.recipe import Recipe

TABLE_METRICS = ("psnr", "ssim", "mae", "lpips")
"""The metrics of the paper's ablation tables."""


@dataclass(frozen=True)
class VariantRun:
    """The training run of one variant with one seed."""

    variant: Variant
    seed: int
    recipe: Recipe

    @property
    def weights(self) -> Path:
        """The weights file of the finished run."""
        return self.recipe.runtime.output / "weights.safetensors"


@dataclass(frozen=True)
class Score:
    """The scores of one trained variant on one set."""

    run: VariantRun
    parameters: int
    row: SummaryRow


def is_trained(run: VariantRun) -> bool:
    """Whether the run is finished with this recipe. Its folder and its number of threads do not matter."""
    try:
        summary = json.loads((run.recipe.runtime.output / "summary.json").read_text())
        before = Recipe.from_dict(summary["recipe"]).options()
    except (OSError, ValueError):
        return False
    changed = {name for name, value in run.recipe.options().items() if before[name] != value}
    return bool(summary["budget_used"] >= 1.0 and changed <= {"output", "resume", "threads", "log_every"})


def train_and_score(
    runs: Sequence[VariantRun],
    sets: Sequence[EvaluationSet],
    evaluator: Evaluator,
    *,
    device: str = "auto",
    limit: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[Score]:
    """Train each run that is not finished, then score it on each set. Resumes after a stop, and keeps finished scores.

    Raises:
        FdikpError: a run cannot start or resume.
        KeyboardInterrupt: a run was stopped; the same call resumes it.
    """
    for number, run in enumerate(runs, 1):
        if not is_trained(run):
            folder = run.recipe.runtime.output
            progress(f"{number} of {len(runs)}: training {run.variant.label}, seed {run.seed}, in {folder}")
            outcome = train(run.recipe, printed=False)
            if outcome.done < 1.0:
                raise KeyboardInterrupt  # the run saved its checkpoint
        model = load_model(run.weights, device, "float32")
        for data in sets:
            progress(f"{number} of {len(runs)}: scoring {run.variant.label}, seed {run.seed}, on {data.name}")
            yield Score(
                run, model.descriptor.parameters, _scored(run, model.descriptor.sha256, data, evaluator, model, limit)
            )


def _scored(
    run: VariantRun, sha256: str, data: EvaluationSet, evaluator: Evaluator, model: Any, limit: int | None
) -> SummaryRow:
    """Scores of one model on one set, cached beside its weights."""
    names = [sample.name for sample in data.samples[:limit]]
    cache = run.recipe.runtime.output / "scores.json"
    key = f"{data.name} {evaluator.protocol.name} {len(names)} {evaluator.lpips is not None} {sha256}"
    try:
        cached = json.loads(cache.read_text())
    except (OSError, ValueError):
        cached = {}
    if key not in cached:
        cached[key] = [restored.result.to_fields() for restored in evaluator.results(model, data, (), limit)]
        try:
            with atomic_write(cache) as file:
                file.write(json.dumps(cached).encode())
        except OSError as error:
            raise DataError(cannot_be_written(cache, error)) from error
    results = list(map(ImageResult.from_fields, cached[key]))
    return SummaryRow.of((data.name, run.variant.label, None), results)


def table(name: str, scores: Sequence[Score], kind: str, about: dict[str, str]) -> str:
    """Markdown: each variant with mean and range over seeds, the paper's PSNR, and whether the order agrees.

    Args:
        name: of the table, a key of `ABLATIONS`.
        scores: of all runs on all sets.
        kind: what the scores are, such as `proxy: 600 steps ...`, for the heading of each part.
        about: what the scores depend on.
    """
    parts = [f"# {name}, {kind}"]
    for data in dict.fromkeys(score.row.data for score in scores):
        of_set = [score for score in scores if score.row.data == data]
        metrics = [metric for metric in TABLE_METRICS if all(metric in score.row.after for score in of_set)]
        before = of_set[0].row
        head = ("variant", "parameters", *(METRICS[m].title for m in metrics), "seeds", "paper's PSNR on DPDD")
        inputs = ("input", "", *(_number(m, [before.before[m]]) for m in metrics), "", "")
        rows = [inputs]
        for variant in ABLATIONS[name]:
            of_variant = [score for score in of_set if score.run.variant == variant]
            if of_variant:
                means = (_number(m, [score.row.after[m] for score in of_variant]) for m in metrics)
                paper = "" if variant.psnr is None else f"{variant.psnr:.2f}"
                rows.append((variant.label, f"{of_variant[0].parameters:,}", *means, str(len(of_variant)), paper))
        parts += [f"## {data}, {before.count} of {before.sizes} ({kind})", grid(head, rows)]
        if "psnr" not in metrics:
            continue
        psnr = {
            variant.label: [score.row.after["psnr"] for score in of_set if score.run.variant == variant]
            for variant in ABLATIONS[name]
        }
        order = ordering_rows(orderings(ABLATIONS[name], psnr))
        if order:
            parts += [
                "Does the order of the variants agree with the paper?",
                grid(list(order[0]), [r.values() for r in order]),
            ]
    identical = {f"{score.row.data}: {name}": None for score in scores for name in score.row.identical}
    if identical:
        about = about | {"identical": f"left out of all means, because PSNR is infinite. {'; '.join(identical)}"}
    parts.append("\n".join(f"- {key}: {value}" for key, value in about.items()))
    return "\n\n".join(parts) + "\n"


def rows(name: str, scores: Sequence[Score], kind: str) -> str:
    """CSV with a line for each variant, seed and set."""
    text = io.StringIO(newline="")
    fields = ["table", "kind", "variant", "recipe", "parameters", "seed", "data", "images", "identical", "sizes"]
    fields += [f"{metric}_{when}" for metric in TABLE_METRICS for when in ("before", "after")] + ["paper psnr on DPDD"]
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    for score in scores:
        variant, row = score.run.variant, score.row
        line = {
            "table": name,
            "kind": kind,
            "variant": variant.label,
            "recipe": variant.recipe,
            "parameters": score.parameters,
            "seed": score.run.seed,
            "data": row.data,
            "images": row.images,
            "identical": len(row.identical),
            "sizes": row.sizes,
            "paper psnr on DPDD": variant.psnr,
        }
        for when, means in (("before", row.before), ("after", row.after)):
            line |= {f"{metric}_{when}": f"{means[metric]:.5f}" for metric in TABLE_METRICS if metric in means}
        writer.writerow(line)
    return text.getvalue()


def _number(metric: str, values: Sequence[float]) -> str:
    """The mean and, for several values, the largest deviation from it."""
    mean = sum(values) / len(values)
    deviation = max(abs(value - mean) for value in values)
    digits = METRICS[metric].digits
    return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if len(values) > 1 else "")
