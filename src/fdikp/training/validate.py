"""How the network does on fixed pairs while it trains: cheap, and the same crops each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fdikp.data import PairSet, find_pairs, read_picture
from fdikp.data.pictures import as_unit, each
from fdikp.errors import DataError
from fdikp.evaluation.quality import Summary, score, summarise
from fdikp.network import GRID
from fdikp.training.data import Batch

WATCHED = 4
"""Crops of the training data that are watched where there are no pairs to validate on, and pairs of the strip."""


@dataclass(frozen=True)
class Watched:
    """Centre crops of a pair, each [3, H, W] in 0..1; sides are multiples of the network's grid."""

    name: str
    source: Tensor
    target: Tensor


def validation_pairs(folder: Path) -> PairSet:
    """The pairs of a folder that are not for training: its split `val`, else `test`, else all that is in it.

    Raises:
        DataError: there are none, or they do not match.
    """
    found = find_pairs(folder, "val") or find_pairs(folder, "test") or find_pairs(folder)
    if found is None:
        raise DataError(f"{folder}: no pairs to validate on; give a folder with source/ and target/, or a data set")
    return found


def load_watched(pairs: PairSet, crop: int) -> list[Watched]:
    """Centre crops of at most crop x crop pixels.

    Raises:
        DataError: pictures cannot be read, do not match, or are smaller than the network's grid.
    """
    pairs.check(smallest=GRID)

    def crop_of(file: Path) -> Tensor:
        image = read_picture(file)
        height, width = (min(crop, side) // GRID * GRID for side in image.shape[:2])
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        piece = as_unit(image[top : top + height, left : left + width])
        return torch.from_numpy(piece).permute(2, 0, 1).contiguous()

    sources = each(crop_of, [pair.source for pair in pairs.pairs])
    targets = each(crop_of, [pair.target for pair in pairs.pairs])
    return [Watched(p.name, s, t) for p, s, t in zip(pairs.pairs, sources, targets, strict=True)]


def watched_batch(batch: Batch) -> list[Watched]:
    """Each pair of a batch."""
    pairs = zip(batch.blurred.cpu(), batch.target.cpu(), strict=True)
    return [Watched(f"crop {n}", source, target) for n, (source, target) in enumerate(pairs, 1)]


@torch.inference_mode()
def validate(network: nn.Module, pairs: Sequence[Watched], device: torch.device, bf16: bool) -> tuple[Summary, Tensor]:
    """Run the network on each crop, in evaluation mode, and compare; returns also the picture strip.

    The strip is [3, rows, columns] in 0..1: a row for each of the first pairs, from left to right what the network
    saw, what it made of that, and what it should have been.
    """
    training = network.training
    network.eval()
    scores, rows = [], []
    for n, pair in enumerate(pairs):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            output = network(pair.source[None].to(device))[0].float().cpu()
        scores.append(score(pair.name, pair.source, output, pair.target))
        if n < WATCHED:
            rows.append(torch.cat((pair.source, output.clamp(0.0, 1.0), pair.target), dim=2))
    network.train(training)
    width = max(row.shape[2] for row in rows)
    rows = [nn.functional.pad(row, (0, width - row.shape[2])) for row in rows]
    return summarise(scores), torch.cat(rows, dim=1)
