"""Waits for changes of jobs: one look at the database serves all who wait."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from fdikp.service.job import Job, UnknownJobError
from fdikp.service.store import JobStore

INTERVAL = 0.04
"""Seconds between looks at the database while somebody waits."""


class Watcher:
    """Waits for changes of the jobs in a store. Its methods belong to one event loop."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._wanted: Counter[str] = Counter()
        self._latest: dict[str, Job | None] = {}
        self._round: asyncio.Task[None] | None = None

    async def changed(self, job: Job, timeout: float) -> Job:
        """The job once it differs from `job`, or after `timeout` seconds.

        Raises:
            UnknownJobError: it was deleted.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        self._wanted[job.id] += 1
        try:
            while True:
                if self._round is None or self._round.done():
                    self._round = loop.create_task(self._look())
                await asyncio.shield(self._round)
                latest = self._latest.get(job.id, job)
                if latest is None:
                    raise UnknownJobError
                if latest != job or loop.time() >= deadline:
                    return latest
        finally:
            self._wanted[job.id] -= 1
            if not self._wanted[job.id]:
                del self._wanted[job.id]

    async def _look(self) -> None:
        await asyncio.sleep(INTERVAL)
        self._latest = await asyncio.to_thread(self._read, tuple(self._wanted))

    def _read(self, ids: Iterable[str]) -> dict[str, Job | None]:
        found: dict[str, Job | None] = {}
        for id in ids:
            try:
                found[id] = self._store.get(id)
            except UnknownJobError:
                found[id] = None
        return found
