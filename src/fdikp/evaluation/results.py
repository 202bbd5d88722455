"""What an evaluation found, as data: tables, reports and comparisons read these, and JSON holds them."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from fdikp.errors import DataError
from fdikp.metrics.registry import METRICS, MOST_PSNR

FORMAT = 1
"""Version of the JSON."""


@dataclass(frozen=True)
class ImageResult:
    """One picture that one model restored."""

    model: str
    """A shipped model's name, or a weights file's; or a method's folder."""
    data: str
    """The data set's name."""
    image: str
    """The picture's name, unique in its set."""
    group: str | None
    """A part of the set that is also reported alone, such as DPDD's `indoor`."""
    width: int
    height: int
    """The size that was scored."""
    before: dict[str, float]
    """The input's scores, by names of `METRICS`; empty if it was not scored."""
    after: dict[str, float]
    """The restored picture's scores."""
    seconds: float | None
    """Time the network took, if it was measured."""


@dataclass(frozen=True)
class ModelInfo:
    """What was evaluated."""

    name: str
    sha256: str | None
    """Of the weights file; None for a folder of results."""
    parameters: int | None
    gflop: float | None
    """Of one forward pass at 256×256, a multiplication and an addition counted as two."""
    peak_mib: float | None
    """Most memory of the process (CPU) or the device (GPU) while this model ran."""


@dataclass(frozen=True)
class Evaluation:
    """Results of models on data sets under one protocol, with what makes the numbers comparable."""

    protocol: str
    """A key of `PROTOCOLS`, with its variant."""
    about: dict[str, str]
    """Everything else that the numbers depend on: tile, precision, device, versions, machine, command."""
    models: tuple[ModelInfo, ...]
    images: tuple[ImageResult, ...]
    format: int = field(default=FORMAT)

    def to_json(self) -> str:
        """One document; `from_json` reads it."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """What `to_json` wrote.

        Raises:
            DataError: it is not such a document.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields["format"] != FORMAT:
                raise ValueError(f"it is of format {fields['format']}, not {FORMAT}")
            models = tuple(ModelInfo(**model) for model in fields.pop("models"))
            images = tuple(ImageResult(**image) for image in fields.pop("images"))
            return cls(models=models, images=images, **fields)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not results of an evaluation ({error}); make them with fdikp evaluate") from error

    def summary_rows(self) -> list["SummaryRow"]:
        """A row for each model on each set, and for each group of a set, in the order they were evaluated in."""
        wholes = dict.fromkeys((r.data, r.model, None) for r in self.images)
        parts = dict.fromkeys((r.data, r.model, r.group) for r in self.images if r.group)
        keys = sorted((*wholes, *parts), key=lambda key: list(wholes).index((*key[:2], None)))
        return [SummaryRow.of(key, [r for r in self.images if _belongs(r, key)]) for key in keys]


@dataclass(frozen=True)
class SummaryRow:
    """Means over the pictures of one set, or of one of its groups, that one model restored."""

    data: str
    model: str
    group: str | None
    images: int
    sizes: str
    """The size that was scored, or the range of them."""
    before: dict[str, float]
    after: dict[str, float]
    """Means of pictures, never of pooled errors (`means`)."""
    worst: str
    """The picture whose PSNR gained least, or without inputs the one with the least PSNR; "" without PSNR."""
    worst_gain: float | None
    seconds: float | None
    """Median time for a picture."""

    @classmethod
    def of(cls, key: tuple[str, str, str | None], results: Sequence[ImageResult]) -> "SummaryRow":
        """The row of some results, at least one."""
        sizes = sorted({(r.width, r.height) for r in results}, key=lambda size: size[0] * size[1])
        shown = [f"{w}×{h}" for w, h in dict.fromkeys((sizes[0], sizes[-1]))]
        times = [r.seconds for r in results if r.seconds is not None]
        gains = {r.image: gain_of(r) for r in results if "psnr" in r.after}
        worst = min(gains, key=lambda name: gains[name]) if gains else ""
        return cls(
            *key,
            images=len(results),
            sizes=" to ".join(shown),
            before=means(r.before for r in results),
            after=means(r.after for r in results),
            worst=worst,
            worst_gain=gains[worst] if worst and all("psnr" in r.before for r in results) else None,
            seconds=median(times) if times else None,
        )


def means(scores: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric that all of them have, or of one that not every picture has that some of them have.

    >>> means([{"psnr": 20.0, "ssim": 0.5}, {"psnr": 30.0, "focus": 1e-4}])
    {'psnr': 25.0, 'focus': 0.0001}
    """
    known = list(scores)
    values = {name: [each[name] for each in known if name in each] for name in METRICS}
    shared = [name for name, has in values.items() if len(has) == len(known) or not METRICS[name].everywhere]
    return {name: fmean(values[name]) for name in shared if values[name]}


def gain_of(result: ImageResult) -> float:
    """PSNR gained over the input, dB, or the PSNR itself where the input was not scored."""
    return result.after["psnr"] - result.before.get("psnr", 0.0)


def finite(psnr: float) -> float:
    """A PSNR as JSON can hold it."""
    return min(psnr, MOST_PSNR) if not math.isnan(psnr) else psnr


def _belongs(result: ImageResult, key: tuple[str, str, str | None]) -> bool:
    data, model, group = key
    return (result.data, result.model) == (data, model) and group in (None, result.group)
