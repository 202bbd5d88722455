"""The results of an evaluation as data, and their JSON form. Tables, reports and comparisons read them."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from statistics import fmean, median
from typing import Any

from fdikp.errors import DataError
from fdikp.evaluation.identical import Identical, find_identical, is_identical
from fdikp.metrics.registry import METRICS

FORMAT = 2
"""Version of the JSON format. Version 1, which is read too, has 100 in place of an infinite PSNR."""

_CAPPED_PSNR = 100.0
"""The PSNR of equal images in version 1, dB."""


@dataclass(frozen=True)
class ImageResult:
    """One image that one model restored."""

    model: str
    """The name of a shipped model or of a weights file, or the folder of a method."""
    data: str
    """The name of the data set."""
    image: str
    """The name of the image, unique in its set."""
    group: str | None
    """A part of the set that also gets rows of its own, such as DPDD's `indoor`."""
    width: int
    height: int
    """Size of the scored part, pixels."""
    before: dict[str, float]
    """Scores of the input, by names of `METRICS`; empty if it was not scored. PSNR may be infinite (`identical`)."""
    after: dict[str, float]
    """Scores of the restored image."""
    seconds: float | None
    """Time of the network, if it was measured."""

    def to_fields(self) -> dict[str, Any]:
        """The result as JSON holds it, which has no infinity: null stands for an infinite PSNR."""
        fields = asdict(self)
        for when in ("before", "after"):
            fields[when] = {name: None if value == math.inf else value for name, value in fields[when].items()}
        return fields

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "ImageResult":
        """The result that `to_fields` made these fields of, in this version or an earlier one.

        Raises:
            TypeError, AttributeError: they are other fields.
        """
        result = cls(**fields)
        for scores in (result.before, result.after):
            if scores.get("psnr", 0.0) in (None, _CAPPED_PSNR):
                scores["psnr"] = math.inf
        return result


@dataclass(frozen=True)
class ModelInfo:
    """Facts about an evaluated model or method."""

    name: str
    sha256: str | None
    """Hash of the weights file; None for a folder of results."""
    parameters: int | None
    gflop: float | None
    """Operations of one forward pass at 256×256, in billions; a multiply-add counts as two."""
    peak_mib: float | None
    """Peak memory of the process (CPU) or the device (GPU) while this model ran."""


@dataclass(frozen=True)
class Evaluation:
    """Results of models on data sets under one protocol, with everything that makes them comparable."""

    protocol: str
    """A name that `find_protocol` accepts."""
    about: dict[str, str]
    """Everything else that the results depend on: tile, precision, device, versions, machine, command."""
    models: tuple[ModelInfo, ...]
    images: tuple[ImageResult, ...]
    format: int = field(default=FORMAT)

    def to_json(self) -> str:
        """The evaluation as a JSON document, which `from_json` reads."""
        fields = asdict(self) | {"images": [image.to_fields() for image in self.images]}
        fields["identical"] = [asdict(identical) for identical in self.identical]
        return json.dumps(fields, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The evaluation that `to_json` wrote.

        Raises:
            DataError: the text is not such a document.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields.pop("format") not in (1, FORMAT):
                raise ValueError(f"its format is not 1 or {FORMAT}")
            fields.pop("identical", None)  # follows from the scores
            models = tuple(ModelInfo(**model) for model in fields.pop("models"))
            images = tuple(map(ImageResult.from_fields, fields.pop("images")))
            return cls(models=models, images=images, **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not results of an evaluation ({error}); create them with fdikp evaluate") from error

    @cached_property
    def identical(self) -> tuple[Identical, ...]:
        """The images that equal their target, for each set that has any."""
        return find_identical(self.images)

    @cached_property
    def _left_out(self) -> frozenset[tuple[str, str]]:
        """Set and name of the images that no model's means hold."""
        return frozenset((identical.data, name) for identical in self.identical for name in identical.left_out)

    def is_measured(self, result: ImageResult) -> bool:
        """Whether means, differences and counts hold a result; those of identical images are left out."""
        return (result.data, result.image) not in self._left_out and not is_identical(result)

    @property
    def measured(self) -> tuple[ImageResult, ...]:
        """The results that means, differences and counts hold."""
        return tuple(filter(self.is_measured, self.images))

    def depends_on(self) -> dict[str, str]:
        """`about`, and which images are left out of the means."""
        if not self.identical:
            return self.about
        names = ". ".join(identical.describe() for identical in self.identical)
        return self.about | {"identical": f"left out of all means, because PSNR is infinite. {names}"}

    def summary_rows(self) -> list["SummaryRow"]:
        """A row for each model on each set, then a row for each group of that set, in the order of evaluation."""
        wholes = dict.fromkeys((r.data, r.model, None) for r in self.images)
        parts = dict.fromkeys((r.data, r.model, r.group) for r in self.images if r.group)
        keys = sorted((*wholes, *parts), key=lambda key: list(wholes).index((*key[:2], None)))
        return [SummaryRow.of(key, [r for r in self.images if _belongs(r, key)], self.is_measured) for key in keys]


@dataclass(frozen=True)
class SummaryRow:
    """Means of one model over the images of a set, or of one group of it."""

    data: str
    model: str
    group: str | None
    images: int
    """Number of images in the means."""
    identical: tuple[str, ...]
    """Names of the images that the means leave out (`evaluation.identical`)."""
    sizes: str
    """The scored size, or the smallest and the largest."""
    before: dict[str, float]
    after: dict[str, float]
    """Means over images, never pooled errors (`means`); empty if no image is left."""
    worst: str
    """The image with the smallest PSNR gain, or without inputs the lowest PSNR; "" without PSNR."""
    worst_gain: float | None
    seconds: float | None
    """Median time of an image."""

    @property
    def count(self) -> str:
        """The number of images in words, with that of identical ones if there are any."""
        return f"{self.images} images" + (f" (and {len(self.identical)} identical)" if self.identical else "")

    @classmethod
    def of(
        cls,
        key: tuple[str, str, str | None],
        results: Sequence[ImageResult],
        is_measured: Callable[[ImageResult], bool] = lambda result: not is_identical(result),
    ) -> "SummaryRow":
        """The row of some results, at least one; `key` is data set, model and group, `is_measured` selects results."""
        sizes = sorted({(r.width, r.height) for r in results}, key=lambda size: size[0] * size[1])
        smallest_and_largest = [f"{w}×{h}" for w, h in dict.fromkeys((sizes[0], sizes[-1]))]
        times = [r.seconds for r in results if r.seconds is not None]
        measured = [r for r in results if is_measured(r)]
        gains = {r.image: gain_of(r) for r in measured if "psnr" in r.after}
        worst = min(gains, key=lambda name: gains[name]) if gains else ""
        return cls(
            *key,
            images=len(measured),
            identical=tuple(r.image for r in results if not is_measured(r)),
            sizes=" to ".join(smallest_and_largest),
            before=means(r.before for r in measured),
            after=means(r.after for r in measured),
            worst=worst,
            worst_gain=gains[worst] if worst and all("psnr" in r.before for r in measured) else None,
            seconds=median(times) if times else None,
        )


def means(scores: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric that all images have; other metrics need not exist everywhere (`Metric.everywhere`).

    >>> means([{"psnr": 20.0, "ssim": 0.5}, {"psnr": 30.0, "focus": 1e-4}])
    {'psnr': 25.0, 'focus': 0.0001}
    """
    images = list(scores)
    values = {name: [each[name] for each in images if name in each] for name in METRICS}
    shared = [name for name, has in values.items() if len(has) == len(images) or not METRICS[name].everywhere]
    return {name: fmean(values[name]) for name in shared if values[name]}


def gain_of(result: ImageResult) -> float:
    """PSNR gain over the input, dB, or the PSNR itself if the input was not scored."""
    return result.after["psnr"] - result.before.get("psnr", 0.0)


def _belongs(result: ImageResult, key: tuple[str, str, str | None]) -> bool:
    data, model, group = key
    return (result.data, result.model) == (data, model) and group in (None, result.group)
