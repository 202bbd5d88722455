"""Validation of the averaged weights during a run: cheap, and always on the same crops."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from fdikp.data import PairSet, find_pairs, layouts, read_image
from fdikp.data.faults import map_all, raise_faults
from fdikp.errors import DataError
from fdikp.imaging import as_unit
from fdikp.metrics.before_after import score, summarise
from fdikp.metrics.lpips import LPIPS
from fdikp.network import FDIKP, SIZE_MULTIPLE
from fdikp.training.data import Batch
from fdikp.training.numerics import Numerics

STRIP_ROWS = 4
"""Rows of the strip of images, and the number of crops where there is no validation set."""

HELD_OUT = "held-out"
"""In place of a path: the pairs rendered from the held-out photos."""

Loss = Callable[[list[Tensor], Tensor], Tensor]
"""A function of the three stages' images, coarse to fine, and the target; returns a scalar."""


@dataclass(frozen=True)
class ValidationCrop:
    """A pair, or the centre of one, each [3, H, W] in 0..1; sides are multiples of the network's grid."""

    name: str
    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class ValidationSet:
    """Crops whose means are reported together."""

    name: str
    crops: list[ValidationCrop]
    about: str
    """What the crops are, for notes and summaries."""
    has_loss: bool = False
    """Whether the recipe's loss is reported too."""

    @property
    def identical_note(self) -> str:
        """Which crops have a source that equals the target; empty if none."""
        names = [crop.name for crop in self.crops if torch.equal(crop.source, crop.target)]
        if not names:
            return ""
        return (
            f"{self.name}: source equals target in {len(names)} of {len(self.crops)} crops, which are left out of all "
            f"means: {', '.join(names)}"
        )


def parse_set(text: str) -> tuple[str, str]:
    """Name and path of a set, given as NAME=PATH or PATH.

    >>> parse_set("lytro=data/eval/lytro"), parse_set("data/kodak24/"), parse_set("held-out")
    (('lytro', 'data/eval/lytro'), ('kodak24', 'data/kodak24/'), ('held-out', 'held-out'))
    """
    name, equals, path = text.partition("=")
    if equals and name and "/" not in name:
        return name, path
    return Path(text).resolve().name if text != HELD_OUT else text, text


def load_set(name: str, folder: Path, crop: int) -> ValidationSet:
    """Centre crops, of at most crop x crop pixels, of the pairs in a folder; the Kodak photos are rendered.

    Of a data set with splits, the split `val`, else `test`.

    Raises:
        DataError: there are no pairs, they cannot be read, do not match or are smaller than the network's grid.
    """
    listing = layouts.kodak(folder, None) if folder.is_dir() else None
    if listing is not None:
        raise_faults(listing.faults)
        from fdikp.synthesis.kodak import kodak_pair

        rendered = [kodak_pair(entry.source) for entry in listing.entries]
        crops = [ValidationCrop(p.name, _centre(p.blurred, crop), _centre(p.target, crop)) for p in rendered]
        return ValidationSet(name, crops, f"{len(crops)} Kodak photos, rendered")
    return load_pairs(name, validation_pairs(folder), crop, str(folder))


def validation_pairs(folder: Path) -> PairSet:
    """The pairs of a folder to validate on: its split `val`, else `test`, else all of them.

    Raises:
        DataError: there are no pairs, or they do not match.
    """
    pairs = find_pairs(folder, "val") or find_pairs(folder, "test") or find_pairs(folder)
    if pairs is None:
        raise DataError(f"{folder}: no pairs to validate on; give a folder with source/ and target/, or a data set")
    return pairs


def load_pairs(name: str, pairs: PairSet, crop: int, where: str) -> ValidationSet:
    """Centre crops of pairs.

    Raises:
        DataError: images cannot be read, do not match, or are smaller than the network's grid.
    """
    pairs.check(smallest=SIZE_MULTIPLE)

    def crop_of(file: Path) -> Tensor:
        image = read_image(file)
        rows, columns = _central(image.shape[0], crop), _central(image.shape[1], crop)
        return torch.from_numpy(as_unit(image[rows, columns])).permute(2, 0, 1).contiguous()

    sources = map_all(crop_of, [pair.source for pair in pairs.pairs])
    targets = map_all(crop_of, [pair.target for pair in pairs.pairs])
    crops = [ValidationCrop(p.name, s, t) for p, s, t in zip(pairs.pairs, sources, targets, strict=True)]
    return ValidationSet(name, crops, f"{len(crops)} pairs of {where}")


def crops_of(batch: Batch) -> list[ValidationCrop]:
    """Each pair of a batch."""
    pairs = zip(batch.blurred.cpu(), batch.target.cpu(), strict=True)
    return [ValidationCrop(f"crop {n}", source, target) for n, (source, target) in enumerate(pairs, 1)]


def _centre(image: Tensor, side: int) -> Tensor:
    """The centre of [3, H, W], at most side x side; both sides are multiples of the network's grid."""
    return image[:, _central(image.shape[-2], side), _central(image.shape[-1], side)].contiguous()


def _central(length: int, most: int) -> slice:
    """The centre of an axis, at most `most` long and a multiple of the network's grid."""
    size = min(most, length) // SIZE_MULTIPLE * SIZE_MULTIPLE
    first = (length - size) // 2
    return slice(first, first + size)


@torch.inference_mode()
def validate(
    network: FDIKP, data: ValidationSet, numerics: Numerics, lpips: LPIPS | None = None, loss: Loss | None = None
) -> tuple[dict[str, Any], Tensor]:
    """Score the network on each crop, in evaluation mode.

    Args:
        network: on the device of `numerics`.
        data: the crops.
        numerics: how the network computes.
        lpips: on the same device; None leaves it out.
        loss: the recipe's; reported if the set asks for it.

    Returns:
        Mean scores by name (those of `before_after.Summary` that could be measured, and `loss`), and the strip
        [3, H, W] in 0..1: a row for each of the first crops, from left to right source, result and target. Crops whose
        source or result equals the target are left out of every mean; `identical` holds their names, if there are any.
    """
    training = network.training
    network.eval()
    scores, losses, rows = [], [], []
    for n, pair in enumerate(data.crops):
        source, target = pair.source.to(numerics.device), pair.target.to(numerics.device)
        with numerics.autocast():
            stages = network.padded_stages(source[None])
        images = [stage.image.float() for stage in stages]
        output = images[-1][0, :, : source.shape[1], : source.shape[2]]
        scores.append(score(pair.name, source, output, target, lpips))
        if loss and data.has_loss and not scores[-1].is_identical:
            losses.append(float(loss(images, target[None])))
        if n < STRIP_ROWS:
            rows.append(torch.cat((pair.source, output.clamp(0.0, 1.0).cpu(), pair.target), dim=2))
    network.train(training)
    width = max(row.shape[2] for row in rows)
    rows = [nn.functional.pad(row, (0, width - row.shape[2])) for row in rows]
    means = {name: value for name, value in asdict(summarise(scores)).items() if value not in (None, ())}
    return means | ({"loss": fmean(losses)} if losses else {}), torch.cat(rows, dim=1)
