"""How averages do on fixed sets while a run goes on: cheap, and the same crops each time."""

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

WATCHED = 4
"""Crops of the training data that are validated on where there is no set, and rows of the strip."""

HELD_OUT = "held-out"
"""Names the pairs rendered from photographs that are set aside, in place of a path."""

Loss = Callable[[list[Tensor], Tensor], Tensor]
"""The three stages' images, coarse to fine, and the target, to a scalar."""


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
    """What they are, for notes and summaries."""
    has_loss: bool = False
    """Whether the recipe's loss is reported too."""


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
    """Centre crops, of at most crop x crop pixels, of the pairs in a folder; the Kodak photographs are rendered.

    Of a set that is divided, its split `val`, else `test`.

    Raises:
        DataError: there are no pairs, they cannot be read, do not match or are smaller than the network's grid.
    """
    listing = layouts.kodak(folder, None) if folder.is_dir() else None
    if listing is not None:
        raise_faults(listing.faults)
        from fdikp.synthesis.kodak import kodak_pair

        rendered = [kodak_pair(entry.source) for entry in listing.entries]
        crops = [ValidationCrop(p.name, _centre(p.blurred, crop), _centre(p.target, crop)) for p in rendered]
        return ValidationSet(name, crops, f"{len(crops)} Kodak photographs, rendered")
    return load_pairs(name, validation_pairs(folder), crop, str(folder))


def validation_pairs(folder: Path) -> PairSet:
    """The pairs of a folder that are not for training: its split `val`, else `test`, else all that is in it.

    Raises:
        DataError: there are none, or they do not match.
    """
    found = find_pairs(folder, "val") or find_pairs(folder, "test") or find_pairs(folder)
    if found is None:
        raise DataError(f"{folder}: no pairs to validate on; give a folder with source/ and target/, or a data set")
    return found


def load_pairs(name: str, pairs: PairSet, crop: int, where: str) -> ValidationSet:
    """Centre crops of pairs.

    Raises:
        DataError: pictures cannot be read, do not match, or are smaller than the network's grid.
    """
    pairs.check(smallest=SIZE_MULTIPLE)

    def crop_of(file: Path) -> Tensor:
        image = read_image(file)
        rows, columns = _middle(image.shape[0], crop), _middle(image.shape[1], crop)
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
    """The middle of [3, H, W], at most side x side, its sides multiples of the network's grid."""
    return image[:, _middle(image.shape[-2], side), _middle(image.shape[-1], side)].contiguous()


def _middle(length: int, most: int) -> slice:
    """The middle of an axis, at most `most` long and a multiple of the network's grid."""
    size = min(most, length) // SIZE_MULTIPLE * SIZE_MULTIPLE
    first = (length - size) // 2
    return slice(first, first + size)


@torch.inference_mode()
def validate(
    network: FDIKP, data: ValidationSet, numerics: Numerics, lpips: LPIPS | None = None, loss: Loss | None = None
) -> tuple[dict[str, Any], Tensor]:
    """Run the network on each crop, in evaluation mode, and compare.

    Args:
        network: on the device of `numerics`.
        data: the crops.
        numerics: how the network computes.
        lpips: on the same device; None to leave it out.
        loss: of the recipe; reported where the set asks for it.

    Returns:
        Means by name (those of `focus.Summary` that are known, and `loss`), and the strip [3, rows, columns] in 0..1:
        a row for each of the first crops, from left to right source, result and target.
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
        if loss and data.has_loss:
            losses.append(float(loss(images, target[None])))
        if n < WATCHED:
            rows.append(torch.cat((pair.source, output.clamp(0.0, 1.0).cpu(), pair.target), dim=2))
    network.train(training)
    width = max(row.shape[2] for row in rows)
    rows = [nn.functional.pad(row, (0, width - row.shape[2])) for row in rows]
    facts = {name: value for name, value in asdict(summarise(scores)).items() if value is not None}
    return facts | ({"loss": fmean(losses)} if losses else {}), torch.cat(rows, dim=1)
