"""Streams of training pairs: rendered out of focus from sharp photos, or cropped from real pairs.

Pair n of a stream is a function of (images, seed, n, crop). A stream therefore continues exactly from any pair without
any stored state, and depends neither on the batch size nor on the number of processes that share it.
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
    """[B, 1, crop, crop] blur radius in pixels; None for real pairs, whose radius is unknown."""


class Stream(Protocol):
    """An endless stream of pairs."""

    def __len__(self) -> int:
        """Pairs in an epoch."""
        ...

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        ...


class RenderedStream:
    """Random crops of sharp photos, flipped and rotated at random, each rendered out of focus.

    Args:
        images: uint8 [H, W, 3]; images smaller than a crop with its margins are enlarged.
        margin: pixels rendered around each crop and then cropped off.
        seed: of the stream.
        settings: of the renderer.
    """

    def __init__(self, images: Sequence[np.ndarray], margin: int, seed: int, settings: RenderSettings) -> None:
        self.images = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]
        self.margin, self.seed, self.settings = margin, seed, settings
        self._order = _Order(len(images), seed + 1)

    def __len__(self) -> int:
        return len(self.images)

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
        """A random crop of an image, scaled, flipped and rotated, [3, size, size] float32 in 0..1.

        Downscaling makes soft photos sharp. Upscaling makes sharp photos soft, as most are at full size: a network that
        only ever trains on crisp targets would sharpen areas that are in focus but soft.
        """
        rng = RandomStream(seed + 1)
        image = self.images[self._order[number]]
        reduction = 1.0 if rng.chance(0.3) else rng.log_uniform(0.6, 2.0)
        side = min(round(size * reduction), *image.shape[-2:])
        top = rng.integer(0, image.shape[-2] - side)
        left = rng.integer(0, image.shape[-1] - side)
        crop = image[:, top : top + side, left : left + side].float() / 255.0
        if side != size:
            crop = F.interpolate(crop[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0.0, 1.0)
        if rng.chance(0.5):
            crop = crop.flip(-1)
        return torch.rot90(crop, rng.integer(0, 3), (-2, -1)).contiguous()


class PairedStream:
    """Random crops of real pairs, flipped and rotated by multiples of 90° (the paper's augmentation).

    Up to `memory` GiB of decoded images stay in memory; threads decode the others in advance.

    Args:
        pairs: the files.
        seed: of the stream.
        crop: the largest crop that will be requested.
        memory: GiB of decoded images to keep.

    Raises:
        DataError: images cannot be read, do not match or are too small. Images to keep are read at once; of the others
            only the headers are.
    """

    def __init__(self, pairs: PairSet, seed: int, crop: int, memory: float) -> None:
        sizes = pairs.check(smallest=crop)
        self.pairs: Sequence[PairFiles] = pairs.pairs
        self.seed = seed
        self._order = _Order(len(self.pairs), seed + 1)
        self._decoded = _decode(sizes, memory * 2**30)
        self._pool = ThreadPoolExecutor(thread_name_prefix="pairs")
        self._pending: dict[tuple[int, int], Future[Tensor]] = {}
        self._last_first = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        crops = [self._submit(n, crop) for n in range(first, first + count)]
        following = first + max(count, first - self._last_first)  # ranks that share the stream skip each other's pairs
        self._pending = {(n, crop): self._submit(n, crop) for n in range(following, following + count)}
        self._last_first = first
        both = torch.stack([future.result() for future in crops]).to(device)  # [B, 2, 3, crop, crop]
        return Batch(both[:, 0], both[:, 1], None)

    def _submit(self, number: int, crop: int) -> "Future[Tensor]":
        pending = self._pending.get((number, crop))
        return pending or self._pool.submit(self._crop_pair, number, self.pairs[self._order[number]], crop)

    def _crop_pair(self, number: int, pair: PairFiles, crop: int) -> Tensor:
        """The same crop of source and target, flipped and rotated alike, [2, 3, crop, crop] float32 in 0..1."""
        rng = RandomStream(_mix(self.seed, number))
        files = (pair.source, pair.target)
        source, target = (self._decoded[file] if file in self._decoded else read_image(file) for file in files)
        top, left = (rng.integer(0, side - crop) for side in source.shape[:2])
        both = np.stack([as_unit(image[top : top + crop, left : left + crop]) for image in (source, target)])
        pair_crop = torch.from_numpy(both).permute(0, 3, 1, 2)
        if rng.chance(0.5):
            pair_crop = pair_crop.flip(-1)
        if rng.chance(0.5):
            pair_crop = pair_crop.flip(-2)
        return torch.rot90(pair_crop, rng.integer(0, 3), (-2, -1)).contiguous()


def _decode(sizes: dict[Path, tuple[int, int]], budget: float) -> dict[Path, np.ndarray]:
    """The first images, as many as fit into `budget` bytes."""
    files = []
    for file, (height, width) in sizes.items():
        budget -= height * width * (6 if needs_libvips(file) else 3)
        if budget < 0:
            break
        files.append(file)
    return dict(zip(files, map_all(read_image, files), strict=True))


class _Order:
    """The index of the n-th item of an endless sequence: all of `count` items in random order, then again."""

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
    """A seed below 2**62 for the number-th draw, unrelated to those of neighbouring numbers (splitmix64)."""
    z = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) >> 2
