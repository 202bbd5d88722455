"""Which images a report shows, and the value that ranks them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fdikp.evaluation.compare import lead
from fdikp.evaluation.results import Evaluation, ImageResult
from fdikp.metrics.registry import METRICS


@dataclass(frozen=True)
class RankingMetric:
    """The value that ranks the results of a set: the gain in a metric, or the metric if inputs were not scored."""

    metric: str
    by_gain: bool

    @classmethod
    def of(cls, results: Sequence[ImageResult]) -> "RankingMetric | None":
        """By the first metric of `METRICS`, PSNR, that all results have; None if there is none."""
        for metric in METRICS:
            if results and all(metric in r.after for r in results):
                return cls(metric, all(metric in r.before for r in results))
        return None

    def __call__(self, result: ImageResult) -> float:
        """The value of a result; higher is better for every metric."""
        return lead(self.metric, result.after[self.metric] - (result.before[self.metric] if self.by_gain else 0.0))


def ranking_metrics(evaluation: Evaluation) -> dict[str, RankingMetric]:
    """The ranking metric of each set that has one."""
    sets = {
        data: RankingMetric.of([r for r in evaluation.measured if r.data == data])
        for data in dict.fromkeys(r.data for r in evaluation.images)
    }
    return {data: ranking for data, ranking in sets.items() if ranking}


@dataclass(frozen=True)
class BestWorst:
    """The images of one set on which one model did worst and best."""

    data: str
    model: str
    worst: tuple[ImageResult, ...]
    best: tuple[ImageResult, ...]


def best_and_worst(evaluation: Evaluation) -> list[BestWorst]:
    """For each model on each set up to three best and worst images, fewer with many models and sets; none twice."""
    rows = _ranked(evaluation)
    count = max(1, min(3, 12 // max(len(rows), 1)))
    selected = []
    for (data, model), ordered in rows.items():
        worst = ordered[: min(count, (len(ordered) + 1) // 2)]
        best = ordered[len(worst) :][::-1][:count]
        selected.append(BestWorst(data, model, tuple(worst), tuple(best)))
    return selected


def _ranked(evaluation: Evaluation) -> dict[tuple[str, str], list[ImageResult]]:
    """The results of each model on each set that has a ranking metric, the worst first."""
    rows: dict[tuple[str, str], list[ImageResult]] = {}
    of_set = ranking_metrics(evaluation)
    for result in evaluation.measured:
        if result.data in of_set:
            rows.setdefault((result.data, result.model), []).append(result)
    return {key: sorted(row, key=of_set[key[0]]) for key, row in rows.items()}


@dataclass(frozen=True)
class ReportScene:
    """One image of a set, with every model's result, as the page shows them together."""

    data: str
    image: str
    results: tuple[ImageResult, ...]


def select_scenes(evaluation: Evaluation, max_results: int) -> list[ReportScene]:
    """The scenes to show, in the order of evaluation.

    All of them if they have at most `max_results` results; otherwise the worst and best of each model and set in turn.
    """
    results: dict[tuple[str, str], list[ImageResult]] = {}
    for result in evaluation.images:
        results.setdefault((result.data, result.image), []).append(result)
    chosen: dict[tuple[str, str], int] = {}
    for key in results if len(evaluation.images) <= max_results else _worst_and_best_in_turn(evaluation):
        if key not in chosen:
            if chosen and sum(chosen.values()) + len(results[key]) > max_results:
                break
            chosen[key] = len(results[key])
    return [ReportScene(*key, tuple(of_one)) for key, of_one in results.items() if key in chosen]


def _worst_and_best_in_turn(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    ordered = _ranked(evaluation).values()
    alternating = [[each for two in zip(row, row[::-1], strict=True) for each in two] for row in ordered]
    for turn in zip_longest(*alternating):
        yield from ((result.data, result.image) for result in turn if result)
