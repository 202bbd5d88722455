"""Streams of training pairs: rendered out of focus from sharp photographs, or cut from real pairs.

Pair n of a stream is a function of (pictures, seed, n, crop): a stream goes on exactly from anywhere with nothing to
remember, and depends neither on the batch size nor on how many processes share it.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.data import PairFiles, PairSet, read_image
from fdikp.data.faults import map_all
from fdikp.data.readers import needs_libvips
from fdikp.imaging import as_unit
from fdikp.synthesis import RenderSettings, render_pair
from fdikp.synthesis.rng import RandomStream


@dataclass(frozen=True)
class Batch:
    """Pairs, sRGB 0..1 float32."""

    blurred: Tensor
    """[B, 3, crop, crop]"""
    target: Tensor
    """[B, 3, crop, crop]"""
    radius: Tensor | None
    """[B, 1, crop, crop] blur radius in pixels; None for real pairs, of which nobody knows it."""


class Stream(Protocol):
    """An endless stream of pairs."""

    def __len__(self) -> int:
        """Pairs in an epoch."""
        ...

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        ...


class RenderedStream:
    """Pieces of sharp photographs, turned at random, each rendered out of focus.

    Args:
        pictures: uint8 [H, W, 3]; those smaller than a crop with its margins are enlarged.
        margin: pixels rendered around each crop and cut off.
        seed: another gives another stream.
        settings: of the renderer.
    """

    def __init__(self, pictures: Sequence[np.ndarray], margin: int, seed: int, settings: RenderSettings) -> None:
        self.pictures = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in pictures]
        self.margin, self.seed, self.settings = margin, seed, settings
        self._order = _Order(len(pictures), seed + 1)

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        numbers = range(first, first + count)
        seeds = [_mix(self.seed, n) for n in numbers]
        size = crop + 2 * self.margin
        sharp = torch.stack([self._sharp(n, seed, size) for n, seed in zip(numbers, seeds, strict=True)])
        pair = render_pair(sharp.to(device), seeds, self.settings)
        inner = slice(self.margin, self.margin + crop)
        return Batch(*(part[..., inner, inner] for part in (pair.blurred, pair.target, pair.radius)))

    def _sharp(self, number: int, seed: int, size: int) -> Tensor:
        """[3, size, size] float32 0..1: a random piece of a picture, scaled, flipped, turned.

        Reduced, soft photographs become sharp. Enlarged, sharp ones become soft, as most are at full size: what is in
        focus there is not blurred, and a network that has seen crisp targets only sharpens it all the same.
        """
        draws = RandomStream(seed + 1)
        picture = self.pictures[self._order[number]]
        reduction = 1.0 if draws.chance(0.3) else draws.log_uniform(0.6, 2.0)
        side = min(round(size * reduction), *picture.shape[-2:])
        top = draws.integer(0, picture.shape[-2] - side)
        left = draws.integer(0, picture.shape[-1] - side)
        piece = picture[:, top : top + side, left : left + side].float() / 255.0
        if side != size:
            piece = F.interpolate(piece[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0.0, 1.0)
        if draws.chance(0.5):
            piece = piece.flip(-1)
        return torch.rot90(piece, draws.integer(0, 3), (-2, -1)).contiguous()


class PairedStream:
    """Crops of real pairs, flipped both ways and turned by quarters (the paper's augmentation).

    Decoded pictures stay in memory as far as `memory` GiB go; others are decoded ahead of their turn by threads.

    Args:
        pairs: what is on disk.
        seed: another gives another stream.
        crop: the largest that will be asked for.
        memory: GiB of decoded pictures to keep.

    Raises:
        DataError: pictures cannot be read, do not fit each other or are too small. Those kept are read at once, of
            others the headers.
    """

    def __init__(self, pairs: PairSet, seed: int, crop: int, memory: float) -> None:
        sizes = pairs.check(smallest=crop)
        self.pairs: Sequence[PairFiles] = pairs.pairs
        self.seed = seed
        self._order = _Order(len(self.pairs), seed + 1)
        self._kept = _load(sizes, memory * 2**30)
        self._pool = ThreadPoolExecutor(thread_name_prefix="pairs")
        self._ahead: dict[tuple[int, int], Future[Tensor]] = {}
        self._before = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        pieces = [self._begin(n, crop) for n in range(first, first + count)]
        following = first + max(count, first - self._before)  # processes that share the stream take turns
        self._ahead = {(n, crop): self._begin(n, crop) for n in range(following, following + count)}
        self._before = first
        both = torch.stack([piece.result() for piece in pieces]).to(device)  # [B, 2, 3, crop, crop]
        return Batch(both[:, 0], both[:, 1], None)

    def _begin(self, number: int, crop: int) -> "Future[Tensor]":
        known = self._ahead.get((number, crop))
        return known or self._pool.submit(self._piece, number, self.pairs[self._order[number]], crop)

    def _piece(self, number: int, pair: PairFiles, crop: int) -> Tensor:
        """[2, 3, crop, crop] float32 0..1: the same piece of source and target, flipped and turned alike."""
        draws = RandomStream(_mix(self.seed, number))
        source, target = (self._kept[f] if f in self._kept else read_image(f) for f in (pair.source, pair.target))
        top, left = (draws.integer(0, side - crop) for side in source.shape[:2])
        both = np.stack([as_unit(image[top : top + crop, left : left + crop]) for image in (source, target)])
        piece = torch.from_numpy(both).permute(0, 3, 1, 2)
        if draws.chance(0.5):
            piece = piece.flip(-1)
        if draws.chance(0.5):
            piece = piece.flip(-2)
        return torch.rot90(piece, draws.integer(0, 3), (-2, -1)).contiguous()


def _load(sizes: dict[Path, tuple[int, int]], most: float) -> dict[Path, np.ndarray]:
    """As many of the pictures, in their order, as `most` bytes hold."""
    files = []
    for file, (height, width) in sizes.items():
        most -= height * width * (6 if needs_libvips(file) else 3)
        if most < 0:
            break
        files.append(file)
    return dict(zip(files, map_all(read_image, files), strict=True))


class _Order:
    """Which of `count` items comes as the n-th: each once before any comes again, in another order each time."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._epoch = -1
        self._order: list[int] = []

    def __getitem__(self, number: int) -> int:
        epoch, place = divmod(number, self._count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(_mix(self._seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self._count, generator=generator).tolist()
        return self._order[place]


def _mix(seed: int, number: int) -> int:
    """A seed below 2**62 for the number-th draw, far from those of its neighbours (splitmix64)."""
    z = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) >> 2
