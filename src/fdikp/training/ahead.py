"""Rendering ahead: processes make the batches to come while the device works on this one."""

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fdikp.training.data import Batch, RenderedStream

AHEAD = 2
"""Batches that each process may be ahead."""

CPU = torch.device("cpu")


class Ahead:
    """A stream's batches, made on the CPU by `workers` processes before they are asked for.

    What a pair is does not depend on who renders it, so the batches are those of the stream itself, and a run goes on
    exactly with any number of workers. Each call is expected to ask for what follows the one before; another
    (a first, or one of a new size) begins the work anew.

    Args:
        stream: renders the pairs.
        workers: processes, at least 1.
        processes: how many share the stream in turn; each takes every so-manieth batch.
    """

    def __init__(self, stream: RenderedStream, workers: int, processes: int = 1) -> None:
        self.stream, self.workers, self.processes = stream, workers, processes
        self._expected: tuple[int, int, int] | None = None
        self._made: Iterator[tuple[Tensor, ...]] = iter(())

    def __len__(self) -> int:
        return len(self.stream)

    def batch(self, first: int, count: int, crop: int, device: torch.device) -> Batch:
        """Pairs first .. first + count - 1, of crop x crop pixels, on the device."""
        if (first, count, crop) != self._expected:
            self._made = self._begin(first, count, crop, pinned=device.type == "cuda")
        self._expected = (first + count * self.processes, count, crop)
        return Batch(*(part.to(device, non_blocking=True) for part in next(self._made)))

    def _begin(self, first: int, count: int, crop: int, pinned: bool) -> Iterator[tuple[Tensor, ...]]:
        loader: DataLoader[Any] = DataLoader(
            _Batches(self.stream, count, crop),
            sampler=itertools.count(first, count * self.processes),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=AHEAD,
            pin_memory=pinned,
            worker_init_fn=_outlive_signals,
        )
        return iter(loader)


class _Batches(Dataset[tuple[Tensor, ...]]):
    """Batches by the number of their first pair."""

    def __init__(self, stream: RenderedStream, count: int, crop: int) -> None:
        self.stream, self.count, self.crop = stream, count, crop

    def __getitem__(self, first: int) -> tuple[Tensor, ...]:
        batch = self.stream.batch(first, self.count, self.crop, CPU)
        assert batch.radius is not None
        return batch.blurred, batch.target, batch.radius


def _outlive_signals(worker: int) -> None:
    """Ctrl-C reaches these processes too, but the run decides when it ends; they end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
