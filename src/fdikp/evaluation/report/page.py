"""The page: templates filled with the results of an evaluation."""

import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fdikp.errors import FdikpError
from fdikp.evaluation.report.distribution import axis_title, distribution
from fdikp.evaluation.report.embedded_images import MAX_RESULTS, ImageSource, embed
from fdikp.evaluation.report.escaping import plain, script_data, text
from fdikp.evaluation.report.html_tables import Published, about, change, listing, summary
from fdikp.evaluation.report.selection import RankingMetric, ReportScene, best_and_worst, ranking_metrics, select_scenes
from fdikp.evaluation.results import Evaluation, ImageResult
from fdikp.files import atomic_write, cannot_be_written
from fdikp.metrics.registry import METRICS

NAME = "report.html"

HEADINGS = {
    "summary": ("Summary", "Means over images, and their change from the input."),
    "distribution": ("Distribution", "Means hide losses: each block is one image, each triangle a mean."),
    "extremes": (
        "Worst and best",
        "Left of the handle is the input, right of it the result. Drag it, or use arrow keys.",
    ),
    "look": ("Look closer", ""),
    "images": ("All images", ""),
    "about": ("What these results depend on", ""),
}
"""The sections of the page in order: title, and a sentence below it."""


def write_report(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    images: ImageSource | None = None,
    *,
    published: Sequence[Published] = (),
    max_results: int = MAX_RESULTS,
) -> Path:
    """Write `report.html` into a folder, which is created if it does not exist; returns its path.

    Args:
        evaluation: at least one result.
        folder: where to write the page.
        images: returns the images of a result (see `ImageSource`). Without it the page has numbers alone.
        published: published numbers for the same sets, as further rows of the summary.
        max_results: number of results whose images are shown: the worst and best of each model on each set, with the
            results of the other models on the same images.

    Raises:
        FdikpError: the file cannot be written.
        ValueError: there is no result, or images of one result differ in size.
    """
    if not evaluation.images:
        raise ValueError("a report needs at least one result")
    file = Path(folder) / NAME
    page = _page(evaluation, images, published, max_results)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as written:
            written.write(page.encode())
    except OSError as error:
        raise FdikpError(cannot_be_written(file, error)) from error
    return file


def _page(evaluation: Evaluation, images: ImageSource | None, published: Sequence[Published], max_results: int) -> str:
    chosen = select_scenes(evaluation, max_results) if images else []
    embedded = embed(chosen, images) if images else []
    kept = [(scene, content) for scene, content in zip(chosen, embedded, strict=True) if content["layers"]]
    numbers = {(scene.data, scene.image): n for n, (scene, _) in enumerate(kept)}
    sections = {
        "summary": summary(evaluation, published),
        "distribution": _distributions(evaluation, numbers),
        "extremes": _best_and_worst_cards(evaluation, numbers, kept),
        "look": _resource("look.html") if kept else "",
        "images": _listing(evaluation, numbers),
        "about": about(evaluation),
    }
    present = {name: content for name, content in sections.items() if content}
    parts = {
        "title": text(
            f"{_joined(dict.fromkeys(r.model for r in evaluation.images))} on "
            f"{_joined(dict.fromkeys(r.data for r in evaluation.images))}"
        ),
        "protocol": text(evaluation.protocol),
        "links": "".join(f'<a href="#{name}">{HEADINGS[name][0]}</a>' for name in present),
        "sections": "".join(_section(name, content) for name, content in present.items()),
        "data": script_data([_scene(scene, content) for scene, content in kept]),
        "style": _resource("report.css"),
        "script": _resource("report.js"),
    }
    return Template(_resource("report.html")).substitute(parts)


def _section(name: str, content: str) -> str:
    title, lead = HEADINGS[name]
    sentence = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}"><h2>{title}</h2>{sentence}{content}</section>'


def _listing(evaluation: Evaluation, numbers: dict[tuple[str, str], int]) -> str:
    return Template(_resource("list.html")).substitute(
        sets=_options(dict.fromkeys(r.data for r in evaluation.images)),
        models=_options(dict.fromkeys(r.model for r in evaluation.images)),
        hidden="" if any(ranking.by_gain for ranking in ranking_metrics(evaluation).values()) else " hidden",
        rows=listing(evaluation, numbers),
    )


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _joined(names: Iterable[str]) -> str:
    """Up to three names for a heading, and the number of further ones."""
    *most, last = names
    if len(most) > 3:
        return f"{', '.join(most[:3])} and {len(most) - 2} more"
    return f"{', '.join(most)} and {last}" if most else last


def _options(names: Iterable[str]) -> str:
    return "".join(f'<option value="{text(name)}">{text(name)}</option>' for name in names)


def _distributions(evaluation: Evaluation, numbers: dict[tuple[str, str], int]) -> str:
    figures = []
    for data, ranking in ranking_metrics(evaluation).items():
        rows: dict[str, list[ImageResult]] = {}
        for result in evaluation.measured:
            if result.data == data:
                rows.setdefault(result.model, []).append(result)
        drawn = distribution(rows, ranking, numbers)
        figures.append(
            f'<figure class="set"><figcaption><h3>{text(data)} <small>{axis_title(ranking)}</small></h3></figcaption>'
            f'<div class="wide" tabindex="0" role="region" aria-label="Distribution on {text(data)}">{drawn}</div>'
            "</figure>"
        )
    return f'<div class="figures">{"".join(figures)}</div>' if figures else ""


def _best_and_worst_cards(
    evaluation: Evaluation, numbers: dict[tuple[str, str], int], kept: Sequence[tuple[ReportScene, dict[str, Any]]]
) -> str:
    of_set = ranking_metrics(evaluation)
    parts = []
    for one in best_and_worst(evaluation):
        for title, results in (("worst", one.worst), ("best", one.best)):
            in_page = [(r, numbers[r.data, r.image]) for r in results if (r.data, r.image) in numbers]
            cards = "".join(_card(r, n, kept[n][1], of_set[r.data]) for r, n in in_page)
            if cards:
                place = f"{text(one.model)} on {text(one.data)}"
                parts.append(
                    f'<h3><span class="tag {title}">{title}</span> {place}</h3><div class="cards">{cards}</div>'
                )
    return "".join(parts)


def _card(result: ImageResult, number: int, content: dict[str, Any], ranking: RankingMetric) -> str:
    metric = METRICS[ranking.metric]
    difference = change(ranking.metric, result)
    after = metric.text(result.after[ranking.metric])
    before = f"{metric.text(result.before[ranking.metric])} → " if difference else ""
    name = text(result.image)
    return (
        f'<figure class="card"><div class="slider" data-scene="{number}" data-model="{text(result.model)}" '
        f'style="aspect-ratio:{content["width"]}/{content["height"]}"></div><figcaption>'
        f'<button type="button" data-scene="{number}" data-model="{text(result.model)}" '
        f'title="Look closer at {name}">{name}</button><span>{difference}</span>'
        f"<small>{metric.title} {before}{after}</small></figcaption></figure>"
    )


def _scene(scene: ReportScene, content: dict[str, Any]) -> dict[str, Any]:
    """A scene as the page's script reads it: images, and scores as text."""
    rows = [
        {
            "model": plain(r.model),
            "scores": [
                {
                    "title": METRICS[m].title,
                    "before": METRICS[m].text(r.before[m]) if m in r.before else "",
                    "after": METRICS[m].text(r.after[m]),
                }
                for m in METRICS
                if m in r.after
            ],
        }
        for r in scene.results
    ]
    return {"data": plain(scene.data), "image": plain(scene.image), "results": rows, **content}
