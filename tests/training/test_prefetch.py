import os
import signal

import numpy as np
import pytest
import torch

from fdikp.synthesis import RenderSettings
from fdikp.training.data import Batch, RenderedStream
from fdikp.training.prefetch import PrefetchedStream

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stream() -> RenderedStream:
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(5)]
    return RenderedStream(images, 8, 7, RenderSettings())


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("blurred", "target", "radius"))


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_those_of_the_stream_in_their_order(stream, workers):
    prefetched = PrefetchedStream(stream, workers)
    for first in (0, 2, 4, 6, 8, 10):
        assert same(prefetched.batch(first, 2, 64, CPU), stream.batch(first, 2, 64, CPU))
    assert len(prefetched) == len(stream)


def test_a_jump_and_another_size_are_followed(stream):
    prefetched = PrefetchedStream(stream, 2)
    for first, count, crop in ((0, 2, 64), (2, 2, 64), (40, 2, 64), (42, 3, 64), (45, 3, 80), (48, 3, 80)):
        assert same(prefetched.batch(first, count, crop, CPU), stream.batch(first, count, crop, CPU))


def test_ranks_that_share_a_stream_take_turns(stream):
    prefetched = PrefetchedStream(stream, 2, ranks=2)
    for first in (2, 6, 10):
        assert same(prefetched.batch(first, 2, 64, CPU), stream.batch(first, 2, 64, CPU))


def test_a_signal_to_all_processes_leaves_the_batches_coming(stream):
    prefetched = PrefetchedStream(stream, 1)
    prefetched.batch(0, 1, 64, CPU)
    worker = prefetched._batches._workers[0]  # type: ignore[attr-defined]
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert same(prefetched.batch(1, 1, 64, CPU), stream.batch(1, 1, 64, CPU))
