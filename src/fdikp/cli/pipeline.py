"""Three stages side by side: an item is read while the one before is worked on, and the one before that written."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Seen = TypeVar("Seen")
Made = TypeVar("Made")


def pipeline(
    items: Iterable[Item],
    read: Callable[[Item], Seen],
    work: Callable[[Seen], Made],
    write: Callable[[Made], object],
    *,
    weight: Callable[[Seen], int],
    room: int,
) -> None:
    """Take each item through all three stages; each stage takes the items in their order, one at a time.

    Reading and writing have a thread each, work stays in the calling one. At most three items are under way: one read
    ahead, one worked on, one being written; a fourth is read only when the first is out. An exception of any stage,
    Ctrl-C among them, ends the run and comes out of this call, once both threads have ended. What was worked on by
    then is still written, and nothing else begun.

    Args:
        items: what to do, in order.
        read: runs ahead.
        work: between them.
        write: runs behind.
        weight: how much an item that was read weighs until it is written.
        room: the next item, whose weight nobody knows yet, is read only while those under way weigh no more.
    """
    remaining = iter(items)
    stopped = threading.Event()

    def reading(item: Item, after: "Future[object] | None") -> Seen:
        if after is not None:
            wait([after])
        if stopped.is_set():
            raise CancelledError
        return read(item)

    def begin(after: "Future[object] | None" = None) -> "Future[Seen] | None":
        for item in remaining:
            return reader.submit(reading, item, after)
        return None

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        try:
            writing: Future[object] | None = None
            ahead, behind = begin(), 0
            while ahead is not None:
                seen = ahead.result()
                load = weight(seen)
                ahead = None if load > room else begin(writing if load + behind > room else None)
                made = work(seen)
                last, writing, behind = writing, writer.submit(write, made), load
                del seen, made  # or they would stay until the next item takes their names
                if load > room:
                    ahead = begin(writing)
                if last is not None:
                    last.result()
            if writing is not None:
                writing.result()
        finally:
            stopped.set()
