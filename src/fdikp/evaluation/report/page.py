"""The page: templates filled with what an evaluation found."""

import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fdikp.errors import FdikpError
from fdikp.evaluation.report.distribution import axis_title, distribution
from fdikp.evaluation.report.embedded_images import MOST_RESULTS, Pictures, pack
from fdikp.evaluation.report.escaping import plain, script_data, text
from fdikp.evaluation.report.html_tables import Published, about, change, listing, summary
from fdikp.evaluation.report.selection import RankingMetric, Scene, extremes, merits, scenes
from fdikp.evaluation.results import Evaluation, ImageResult
from fdikp.files import atomic_write, cannot_be_written
from fdikp.metrics.registry import METRICS

NAME = "report.html"

HEADINGS = {
    "summary": ("Summary", "Means over pictures, and how they moved from the input."),
    "distribution": ("Distribution", "Means hide who loses: each block is one picture, each triangle a mean."),
    "extremes": ("Worst and best", "Left of the handle the input, right of it the result. Drag it, or use arrow keys."),
    "look": ("Look closer", ""),
    "pictures": ("All pictures", ""),
    "about": ("What these numbers depend on", ""),
}
"""Each section of the page, in their order: its title, and a sentence below."""


def write_report(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    pictures: Pictures | None = None,
    *,
    published: Sequence[Published] = (),
    most: int = MOST_RESULTS,
) -> Path:
    """Write `report.html` into a folder, which is made if need be, and return its path.

    Args:
        evaluation: what was found; at least one result.
        folder: where to.
        pictures: gives what there is to see of a result; see `Pictures`. Without it the page has numbers alone.
        published: numbers of others for the same sets, as further rows of the summary.
        most: of so many results at most the pictures are shown. They are the worst and the best of each model on each
            set, and whatever other models made of the same pictures.

    Raises:
        FdikpError: the file cannot be written.
        ValueError: there is no result, or pictures of one result differ in size.
    """
    if not evaluation.images:
        raise ValueError("a report needs at least one result")
    file = Path(folder) / NAME
    page = _page(evaluation, pictures, published, most)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as written:
            written.write(page.encode())
    except OSError as error:
        raise FdikpError(cannot_be_written(file, error)) from error
    return file


def _page(evaluation: Evaluation, pictures: Pictures | None, published: Sequence[Published], most: int) -> str:
    chosen = scenes(evaluation, most) if pictures else []
    packed = pack(chosen, pictures) if pictures else []
    kept = [(scene, content) for scene, content in zip(chosen, packed, strict=True) if content["layers"]]
    numbers = {(scene.data, scene.image): n for n, (scene, _) in enumerate(kept)}
    sections = {
        "summary": summary(evaluation, published),
        "distribution": _distributions(evaluation, numbers),
        "extremes": _extremes(evaluation, numbers, kept),
        "look": _resource("look.html") if kept else "",
        "pictures": _listing(evaluation, numbers),
        "about": about(evaluation),
    }
    present = {name: content for name, content in sections.items() if content}
    parts = {
        "title": text(
            f"{_listed(dict.fromkeys(r.model for r in evaluation.images))} on "
            f"{_listed(dict.fromkeys(r.data for r in evaluation.images))}"
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
    said = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}"><h2>{title}</h2>{said}{content}</section>'


def _listing(evaluation: Evaluation, numbers: dict[tuple[str, str], int]) -> str:
    return Template(_resource("list.html")).substitute(
        sets=_options(dict.fromkeys(r.data for r in evaluation.images)),
        models=_options(dict.fromkeys(r.model for r in evaluation.images)),
        hidden="" if any(merit.gained for merit in merits(evaluation).values()) else " hidden",
        rows=listing(evaluation, numbers),
    )


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _listed(names: Iterable[str]) -> str:
    """Names in a heading: three, and how many more there are."""
    *most, last = names
    if len(most) > 3:
        return f"{', '.join(most[:3])} and {len(most) - 2} more"
    return f"{', '.join(most)} and {last}" if most else last


def _options(names: Iterable[str]) -> str:
    return "".join(f'<option value="{text(name)}">{text(name)}</option>' for name in names)


def _distributions(evaluation: Evaluation, numbers: dict[tuple[str, str], int]) -> str:
    figures = []
    for data, merit in merits(evaluation).items():
        rows: dict[str, list[ImageResult]] = {}
        for result in evaluation.images:
            if result.data == data:
                rows.setdefault(result.model, []).append(result)
        drawn = distribution(rows, merit, numbers)
        figures.append(
            f'<figure class="set"><figcaption><h3>{text(data)} <small>{axis_title(merit)}</small></h3></figcaption>'
            f'<div class="wide" tabindex="0" role="region" aria-label="Distribution on {text(data)}">{drawn}</div>'
            "</figure>"
        )
    return f'<div class="figures">{"".join(figures)}</div>' if figures else ""


def _extremes(
    evaluation: Evaluation, numbers: dict[tuple[str, str], int], kept: Sequence[tuple[Scene, dict[str, Any]]]
) -> str:
    of_set = merits(evaluation)
    parts = []
    for one in extremes(evaluation):
        for title, results in (("worst", one.worst), ("best", one.best)):
            shown = [r for r in results if (r.data, r.image) in numbers]
            cards = "".join(_card(r, numbers[r.data, r.image], kept, of_set[r.data]) for r in shown)
            if cards:
                place = f"{text(one.model)} on {text(one.data)}"
                parts.append(
                    f'<h3><span class="tag {title}">{title}</span> {place}</h3><div class="cards">{cards}</div>'
                )
    return "".join(parts)


def _card(result: ImageResult, number: int, kept: Sequence[tuple[Scene, dict[str, Any]]], merit: RankingMetric) -> str:
    content = kept[number][1]
    digits = METRICS[merit.metric].digits
    moved = change(merit.metric, result)
    after = f"{result.after[merit.metric]:.{digits}f}"
    before = f"{result.before[merit.metric]:.{digits}f} → " if moved else ""
    name = text(result.image)
    return (
        f'<figure class="card"><div class="slider" data-scene="{number}" data-model="{text(result.model)}" '
        f'style="aspect-ratio:{content["width"]}/{content["height"]}"></div><figcaption>'
        f'<button type="button" data-scene="{number}" data-model="{text(result.model)}" '
        f'title="Look closer at {name}">{name}</button><span>{moved}</span>'
        f"<small>{METRICS[merit.metric].title} {before}{after}</small></figcaption></figure>"
    )


def _scene(scene: Scene, content: dict[str, Any]) -> dict[str, Any]:
    """A scene as the page's script reads it: pictures, and the scores as text."""
    rows = [
        {
            "model": plain(r.model),
            "scores": [
                {
                    "title": METRICS[m].title,
                    "before": f"{r.before[m]:.{METRICS[m].digits}f}" if m in r.before else "",
                    "after": f"{r.after[m]:.{METRICS[m].digits}f}",
                }
                for m in METRICS
                if m in r.after
            ],
        }
        for r in scene.results
    ]
    return {"data": plain(scene.data), "image": plain(scene.image), "results": rows, **content}
