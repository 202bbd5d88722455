"""Images that equal their target: their PSNR is infinite, so no mean may hold them.

All means, differences and counts of an evaluation are over the same images, so an image that one model restored
exactly, or whose source equals its target, is left out for every model and in every metric. Only a model all of whose
results equal the targets, such as a copy of them, has no means itself and takes no image from the others.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdikp.evaluation.results import ImageResult


@dataclass(frozen=True)
class Identical:
    """The images of one set that equal their target, by name."""

    data: str
    """The name of the set."""
    sources: tuple[str, ...]
    """Images whose source equals the target."""
    results: dict[str, tuple[str, ...]]
    """By model, the images that it restored exactly."""
    copies: tuple[str, ...]
    """Models that restored every image exactly."""
    left_out: tuple[str, ...]
    """Images that are left out of the means of every model."""

    def describe(self) -> str:
        """One line."""
        partly = [(f"result of {model}", names) for model, names in self.results.items() if model not in self.copies]
        whose = [("source", self.sources), *partly]
        parts = [f"{who} equals target: {', '.join(names)}" for who, names in whose if names]
        parts += [f"every result of {model} equals its target" for model in self.copies]
        return f"{self.data}: {'; '.join(parts)}"


def find_identical(results: Sequence["ImageResult"]) -> tuple[Identical, ...]:
    """The identical images of each set that has any."""
    found = []
    for data in dict.fromkeys(result.data for result in results if is_identical(result)):
        of_set = [result for result in results if result.data == data]
        counts = Counter(result.model for result in of_set)
        sources = tuple(dict.fromkeys(r.image for r in of_set if r.before.get("psnr") == math.inf))
        exact: dict[str, tuple[str, ...]] = {}
        for result in of_set:
            if result.after.get("psnr") == math.inf:
                exact[result.model] = (*exact.get(result.model, ()), result.image)
        copies = tuple(model for model, names in exact.items() if len(names) == counts[model])
        partly = [name for model, names in exact.items() if model not in copies for name in names]
        found.append(Identical(data, sources, exact, copies, tuple(dict.fromkeys((*sources, *partly)))))
    return tuple(found)


def is_identical(result: "ImageResult") -> bool:
    """Whether the source or the restored image equals the target, in the pixels that are scored."""
    return math.inf in (result.before.get("psnr"), result.after.get("psnr"))
