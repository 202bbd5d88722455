"""Prefetching: worker processes render the next batches while the device computes this one."""

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fdikp.training.data import Batch, RenderedStream

PREFETCH_FACTOR = 2
"""Batches that each worker renders in advance."""

CPU = torch.device("cpu")


class PrefetchedStream:
    """The batches of a stream, rendered on the CPU by worker processes before they are requested.

    A pair does not depend on the process that renders it: the batches are those of the stream itself, and a run
    continues exactly with any number of workers. Each request is expected to follow the one before it; any other (the
    first one, or another batch size) restarts the workers.

    Args:
        stream: renders the pairs.
        workers: number of worker processes, at least 1.
        ranks: number of training processes that share the stream; rank r takes batches r, r + ranks, r + 2 ranks, …
    """

    def __init__(self, stream: RenderedStream, workers: int, ranks: int = 1) -> None:
        self.stream, self.workers, self.ranks = stream, workers, ranks
        self._expected: tuple[int, int, int] | None = None
        self._batches: Iterator[tuple[Tensor, ...]] = iter(())

    def __len__(self) -> int:
        return len(self.stream)

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        if (first, count, crop) != self._expected:
            self._batches = self._restart(first, count, crop, pinned=device.type == "cuda")
        self._expected = (first + count * self.ranks, count, crop)
        return Batch(*(part.to(device, non_blocking=True) for part in next(self._batches)))

    def _restart(self, first: int, count: int, crop: int, pinned: bool) -> Iterator[tuple[Tensor, ...]]:
        loader: DataLoader[Any] = DataLoader(
            _Batches(self.stream, count, crop),
            sampler=itertools.count(first, count * self.ranks),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=PREFETCH_FACTOR,
            pin_memory=pinned,
            worker_init_fn=_ignore_signals,
        )
        return iter(loader)


class _Batches(Dataset[tuple[Tensor, ...]]):
    """Batches, indexed by the number of their first pair."""

    def __init__(self, stream: RenderedStream, count: int, crop: int) -> None:
        self.stream, self.count, self.crop = stream, count, crop

    def __getitem__(self, first: int) -> tuple[Tensor, ...]:
        batch = self.stream.batch(first, self.count, self.crop, CPU)
        assert batch.radius is not None
        return batch.blurred, batch.target, batch.radius


def _ignore_signals(worker: int) -> None:
    """Ctrl-C reaches the workers too, but the training process decides when it ends; the workers end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
