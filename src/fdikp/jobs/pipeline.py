"""Run three stages side by side: the next item is read while one is processed and the one before is written."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Processed = TypeVar("Processed")


def pipeline(
    items: Iterable[Item],
    read: Callable[[Item], Loaded],
    process: Callable[[Loaded], Processed],
    write: Callable[[Processed], object],
    *,
    weight: Callable[[Loaded], int],
    max_weight: int,
) -> None:
    """Take each item through all three stages; each stage takes the items in their order, one at a time.

    Reading and writing have a thread each; processing stays in the calling thread. At most three items are in flight:
    one read ahead, one processed, one being written. The fourth is read only when the first is done. An exception in
    any stage, Ctrl-C included, ends the run and leaves this call once both threads have ended. Items that are processed
    by then are still written; nothing else is started.

    Args:
        items: what to do, in order.
        read: the first stage.
        process: the second stage.
        write: the third stage.
        weight: what a loaded item weighs until it is written.
        max_weight: of the items in flight, while the next one, whose weight is not known yet, may be read.
    """
    remaining = iter(items)
    stopped = threading.Event()

    def read_after(item: Item, previous: "Future[object] | None") -> Loaded:
        if previous is not None:
            wait([previous])
        if stopped.is_set():
            raise CancelledError
        return read(item)

    def start_reading(previous: "Future[object] | None" = None) -> "Future[Loaded] | None":
        for item in remaining:
            return reader.submit(read_after, item, previous)
        return None

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        try:
            writing: Future[object] | None = None
            writing_weight = 0
            reading = start_reading()
            while reading is not None:
                loaded = reading.result()
                load = weight(loaded)
                too_full = load + writing_weight > max_weight
                reading = None if load > max_weight else start_reading(writing if too_full else None)
                processed = process(loaded)
                previous, writing, writing_weight = writing, writer.submit(write, processed), load
                del loaded, processed  # they would stay in memory until the next item takes their names
                if load > max_weight:
                    reading = start_reading(writing)
                if previous is not None:
                    previous.result()
            if writing is not None:
                writing.result()
        finally:
            stopped.set()
