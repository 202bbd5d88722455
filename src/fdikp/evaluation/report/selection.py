"""Which pictures a report shows, and the one number that orders them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fdikp.evaluation.compare import lead
from fdikp.evaluation.results import Evaluation, ImageResult
from fdikp.metrics.registry import METRICS


@dataclass(frozen=True)
class RankingMetric:
    """The number that says how well a picture came out: what it gained in a metric, or the metric where inputs were
    not scored."""

    metric: str
    gained: bool

    @classmethod
    def of(cls, results: Sequence[ImageResult]) -> "RankingMetric | None":
        """PSNR if every picture has it, else the first metric that every one has; None where there is none."""
        for metric in METRICS:
            if results and all(metric in r.after for r in results):
                return cls(metric, all(metric in r.before for r in results))
        return None

    def __call__(self, result: ImageResult) -> float:
        """More is better, whichever way the metric points."""
        return lead(self.metric, result.after[self.metric] - (result.before[self.metric] if self.gained else 0.0))


def merits(evaluation: Evaluation) -> dict[str, RankingMetric]:
    """The merit of each set that has one."""
    sets = {
        data: RankingMetric.of([r for r in evaluation.images if r.data == data])
        for data in dict.fromkeys(r.data for r in evaluation.images)
    }
    return {data: merit for data, merit in sets.items() if merit}


@dataclass(frozen=True)
class BestWorst:
    """The pictures of one set on which one model did worst and best."""

    data: str
    model: str
    worst: tuple[ImageResult, ...]
    best: tuple[ImageResult, ...]


def extremes(evaluation: Evaluation) -> list[BestWorst]:
    """For each model on each set, up to three of each kind, fewer if there are many models and sets; none twice."""
    rows = _by_merit(evaluation)
    count = max(1, min(3, 12 // max(len(rows), 1)))
    found = []
    for (data, model), ordered in rows.items():
        worst = ordered[: min(count, (len(ordered) + 1) // 2)]
        best = ordered[len(worst) :][::-1][:count]
        found.append(BestWorst(data, model, tuple(worst), tuple(best)))
    return found


def _by_merit(evaluation: Evaluation) -> dict[tuple[str, str], list[ImageResult]]:
    """The results of each model on each set that has a merit, the worst first."""
    rows: dict[tuple[str, str], list[ImageResult]] = {}
    of_set = merits(evaluation)
    for result in evaluation.images:
        if result.data in of_set:
            rows.setdefault((result.data, result.model), []).append(result)
    return {key: sorted(row, key=of_set[key[0]]) for key, row in rows.items()}


@dataclass(frozen=True)
class Scene:
    """One picture, and what every model made of it."""

    data: str
    image: str
    results: tuple[ImageResult, ...]


def scenes(evaluation: Evaluation, most: int) -> list[Scene]:
    """The pictures to show, in the order they were evaluated in: all, if that is no more than `most` results; else the
    worst and the best of each model on each set in turn."""
    results: dict[tuple[str, str], list[ImageResult]] = {}
    for result in evaluation.images:
        results.setdefault((result.data, result.image), []).append(result)
    chosen: dict[tuple[str, str], int] = {}
    for key in results if len(evaluation.images) <= most else _in_turn(evaluation):
        if key not in chosen:
            if chosen and sum(chosen.values()) + len(results[key]) > most:
                break
            chosen[key] = len(results[key])
    return [Scene(*key, tuple(of_one)) for key, of_one in results.items() if key in chosen]


def _in_turn(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    ordered = _by_merit(evaluation).values()
    alternating = [[each for two in zip(row, row[::-1], strict=True) for each in two] for row in ordered]
    for turn in zip_longest(*alternating):
        yield from ((result.data, result.image) for result in turn if result)
