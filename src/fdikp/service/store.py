"""The jobs of a service, in a database and a folder: what was accepted survives a crash of any process.

    <data>/jobs.sqlite          a row for each job
    <data>/jobs/<id>/source     the photo; mask, preview, result and maps lie beside it

A job is `receiving` while its photo arrives, then `queued`, `running`, and at last `done`, `failed` or `cancelled`.
Each transition is one transaction, on the disk when the method returns. A result is published by the transition to
`done`, which only the attempt that holds the job can make, once, and whose files are complete by then.

Any number of processes and threads may use the stores of one folder at the same time.
"""

import errno
import hashlib
import hmac
import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from fdikp.errors import FdikpError, as_fdikp_error
from fdikp.files import atomic_write
from fdikp.service.job import (
    STATES,
    UNFINISHED,
    URGENT,
    Job,
    QueueFullError,
    State,
    StorageFullError,
    Ticket,
    UnknownJobError,
)
from fdikp.service.parameters import MASK, SOURCE, JobParameters
from fdikp.service.settings import ServiceSettings

_CANCELLED = "the job was cancelled while its photo arrived"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,
    client TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    has_mask INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    tiles_since REAL,
    finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    tiles_done INTEGER NOT NULL DEFAULT 0,
    tiles_total INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error_code TEXT,
    error_message TEXT,
    error_hint TEXT
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, priority DESC, attempts, number);
"""


_COLUMNS = ", ".join(Job.__annotations__)


class JobStore:
    """The jobs in a data folder, which is made if it is missing.

    Args:
        data: the folder.
        queue_length: the most unfinished jobs.
        jobs_per_client: the most unfinished jobs of one client.
        min_free_bytes: no job is accepted while the disk has less space left than this.
        max_attempts: a job that was claimed so often without coming to an end fails.

    Raises:
        FdikpError: the folder cannot be made or written.
    """

    def __init__(
        self,
        data: Path,
        *,
        queue_length: int = 64,
        jobs_per_client: int = 16,
        min_free_bytes: int = 0,
        max_attempts: int = 5,
    ) -> None:
        self.data = data
        self._queue_length = queue_length
        self._jobs_per_client = jobs_per_client
        self._min_free_bytes = min_free_bytes
        self._max_attempts = max_attempts
        self._local = threading.local()
        try:
            (data / "jobs").mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._transaction() as database:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    database.execute(statement)
        except OSError as error:
            raise as_fdikp_error(error) from error
        except sqlite3.Error as error:
            raise FdikpError(f"{data / 'jobs.sqlite'}: {error}", hint="choose another data folder") from error

    @classmethod
    def of(cls, settings: ServiceSettings) -> "JobStore":
        """The store of a service."""
        return cls(
            settings.data,
            queue_length=settings.queue_length,
            jobs_per_client=settings.jobs_per_client,
            min_free_bytes=settings.min_free_bytes,
            max_attempts=settings.max_attempts,
        )

    # Accepting

    def create(self, client: str, parameters: JobParameters, *, priority: int = 0, now: float | None = None) -> Ticket:
        """Begin a job that is `receiving`: its files are written with `receive`, and `enqueue` accepts it.

        Args:
            client: who asks. The limit on its jobs leaves out those that are `URGENT`: each has a connection open.
            parameters: of the job.
            priority: jobs of a higher one are claimed first: 0 or `URGENT`.
            now: the time.

        Raises:
            StorageFullError: the disk is nearly full.
            QueueFullError: there are too many unfinished jobs; its code is `client_limit` if they are the client's.
        """
        self.check_space()
        ticket = Ticket(secrets.token_urlsafe(16), secrets.token_urlsafe(24))
        with self._transaction() as database:
            (all_jobs, own) = database.execute(
                "SELECT count(*), coalesce(sum(client = ? AND priority < ?), 0) FROM jobs "
                "WHERE state IN ('receiving', 'queued', 'running')",
                (client, URGENT),
            ).fetchone()
            if all_jobs >= self._queue_length:
                raise QueueFullError(
                    f"{all_jobs} jobs are unfinished, which is the limit", hint="try again in a few seconds"
                )
            if priority < URGENT and own >= self._jobs_per_client:
                raise QueueFullError(
                    f"{own} jobs of this client are unfinished, which is the limit",
                    code="client_limit",
                    hint="wait for one of them, or cancel one",
                )
            database.execute(
                "INSERT INTO jobs (id, secret_hash, client, state, priority, parameters, created) "
                "VALUES (?, ?, ?, 'receiving', ?, ?, ?)",
                (ticket.id, _hash(ticket.secret), client, priority, parameters.to_json(), _time(now)),
            )
        try:
            with disk_errors():
                self.folder(ticket.id).mkdir(mode=0o700)
        except BaseException:
            self.discard(ticket.id)
            raise
        return ticket

    @contextmanager
    def receive(self, id: str, name: Literal["source", "mask"] = SOURCE) -> Iterator[BinaryIO]:
        """Open the file of a job's photo or mask for writing; it is complete, and on the disk, when the block ends.

        Raises:
            StorageFullError: the disk is full.
            UnknownJobError: the job was cancelled.
        """
        try:
            with disk_errors(), atomic_write(self.folder(id) / name, permissions=0o600) as file:
                yield file
        except FileNotFoundError:  # its folder is gone
            raise UnknownJobError(_CANCELLED) from None

    def enqueue(self, id: str) -> None:
        """Accept a job whose files are complete: from now on it survives a crash.

        Raises:
            UnknownJobError: it is not `receiving` any more, or has no photo.
        """
        folder = self.folder(id)
        has_mask = (folder / MASK).exists()
        with self._transaction() as database:
            changed = (folder / SOURCE).exists() and database.execute(
                "UPDATE jobs SET state = 'queued', has_mask = ? WHERE id = ? AND state = 'receiving'", (has_mask, id)
            ).rowcount
        if not changed:
            raise UnknownJobError(_CANCELLED)

    def accept(
        self,
        client: str,
        parameters: JobParameters,
        source: bytes | Path,
        mask: bytes | Path | None = None,
        *,
        priority: int = 0,
    ) -> Ticket:
        """Create a job, give it its files, and queue it.

        Args:
            client, parameters, priority: as for `create`.
            source: the photo: its bytes, or a file of another job, which is shared.
            mask: the same for the mask; None for none.

        Raises:
            StorageFullError, QueueFullError: as for `create` and `receive`; nothing is left then.
        """
        ticket = self.create(client, parameters, priority=priority)
        try:
            files: tuple[tuple[Literal["source", "mask"], bytes | Path | None], ...] = ((SOURCE, source), (MASK, mask))
            for name, content in files:
                if isinstance(content, Path):
                    with disk_errors():
                        (self.folder(ticket.id) / name).hardlink_to(content)
                elif content is not None:
                    with self.receive(ticket.id, name) as file:
                        file.write(content)
            self.enqueue(ticket.id)
        except BaseException:
            self.discard(ticket.id)
            raise
        return ticket

    def check_space(self, needed: int = 0) -> None:
        """Raise StorageFullError unless the disk has room for so many bytes and the reserve."""
        free = shutil.disk_usage(self.data).free
        if free < self._min_free_bytes + needed:
            raise StorageFullError("the disk of the service is nearly full", hint="try again later")

    # Working

    def claim(self, *, least_priority: int = 0, now: float | None = None) -> Job | None:
        """Start the first job of the highest priority; None if none is queued.

        Jobs that were attempted before come last, so that one that kills its worker holds up no other.

        Args:
            least_priority: leave jobs of a lower priority.
            now: the time.
        """
        query = (
            "SELECT id FROM jobs WHERE state = 'queued' AND priority >= ? "
            "ORDER BY priority DESC, attempts, number LIMIT 1"
        )
        if self._database().execute(query, (least_priority,)).fetchone() is None:  # without the write lock
            return None
        with self._transaction() as database:
            row = database.execute(query, (least_priority,)).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, tiles_since = NULL, "
                "tiles_done = 0, tiles_total = 0 WHERE id = ?",
                (_time(now), row[0]),
            )
            return self._get(database, row[0])

    def begin_tiles(self, job: Job, now: float | None = None) -> None:
        """Report that a claimed job begins with its first tile: the time left is estimated from here."""
        with self._transaction() as database:
            database.execute(f"UPDATE jobs SET tiles_since = ? WHERE {_HELD}", (_time(now), *_key(job)))

    def progress(self, job: Job, done: int, total: int) -> bool:
        """Report tiles of a job that this process has claimed; False if it was cancelled meanwhile."""
        with self._transaction() as database:
            return bool(
                database.execute(
                    f"UPDATE jobs SET tiles_done = ?, tiles_total = ? WHERE {_HELD}", (done, total, *_key(job))
                ).rowcount
            )

    def holds(self, job: Job) -> bool:
        """Whether a job that this process has claimed is still its own: False if it was cancelled meanwhile."""
        found = self._database().execute(f"SELECT 1 FROM jobs WHERE {_HELD}", _key(job)).fetchone()
        return found is not None

    def publish(self, job: Job, result: Mapping[str, Any], now: float | None = None) -> bool:
        """Make the result of a claimed job visible; its files must be complete.

        Args:
            job: as `claim` returned it.
            result: what is known of the result, for JSON.
            now: the time.

        Returns:
            Whether it was published: False if the job was cancelled.
        """
        return self._end(job, "done", now, result=json.dumps(result, allow_nan=False))

    def fail(self, job: Job, error: FdikpError, now: float | None = None) -> bool:
        """End a claimed job with an error; False if it was cancelled."""
        text = str(error)
        message = text.removesuffix(f"; {error.hint}") if error.hint else text
        return self._end(job, "failed", now, error_code=error.code, error_message=message, error_hint=error.hint)

    def release(self, job: Job) -> bool:
        """Put a claimed job back, as if it had not been claimed; False if it was cancelled."""
        with self._transaction() as database:
            query = f"UPDATE jobs SET state = 'queued', attempts = attempts - 1, started = NULL WHERE {_HELD}"
            return bool(database.execute(query, _key(job)).rowcount)

    def recover(self, *, died: bool = True, now: float | None = None) -> int:
        """Queue the jobs of a worker that gave them up; those that killed too many workers fail instead.

        Only the process that holds the lock of the workers may call it.

        Args:
            died: whether the worker died with them; an attempt that ended otherwise does not count.
            now: the time.

        Returns:
            How many jobs are queued again.
        """
        with self._transaction() as database:
            if not died:
                database.execute("UPDATE jobs SET attempts = attempts - 1 WHERE state = 'running'")
            database.execute(
                "UPDATE jobs SET state = 'failed', finished = ?, error_code = 'internal_error', error_message = ?, "
                "error_hint = '' WHERE state = 'running' AND attempts >= ?",
                (
                    _time(now),
                    f"the process that worked on this photo died {self._max_attempts} times",
                    self._max_attempts,
                ),
            )
            return database.execute("UPDATE jobs SET state = 'queued', started = NULL WHERE state = 'running'").rowcount

    def _end(self, job: Job, state: State, now: float | None, **columns: str) -> bool:
        """Move a claimed job to a final state; False if it is not this process's any more."""
        assignments = "".join(f", {name} = ?" for name in columns)
        with self._transaction() as database:
            return bool(
                database.execute(
                    f"UPDATE jobs SET state = ?, finished = ?{assignments} WHERE {_HELD}",
                    (state, _time(now), *columns.values(), *_key(job)),
                ).rowcount
            )

    # Asking

    def folder(self, id: str) -> Path:
        """The folder of a job's files. Only ids that the store has made name one: others come from clients."""
        return self.data / "jobs" / id

    def get(self, id: str) -> Job:
        """A job.

        Raises:
            UnknownJobError: there is none of this id.
        """
        job = self._get(self._database(), id)
        if job is None:
            raise UnknownJobError
        return job

    def open(self, id: str, secret: str) -> Job:
        """The job of a client that shows its secret.

        Raises:
            UnknownJobError: there is no such job, or its secret is another one; both take the same time.
        """
        row = self._database().execute("SELECT secret_hash FROM jobs WHERE id = ?", (id,)).fetchone()
        stored = row[0] if row is not None else _hash("")
        if not hmac.compare_digest(stored, _hash(secret)) or row is None:
            raise UnknownJobError
        return self.get(id)

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        rows = self._database().execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        return {state: dict(rows).get(state, 0) for state in STATES}

    def queue_length(self) -> int:
        """How many jobs are unfinished."""
        counts = self.counts()
        return sum(counts[state] for state in UNFINISHED)

    def client_jobs(self, client: str) -> int:
        """How many jobs of a client are unfinished."""
        query = "SELECT count(*) FROM jobs WHERE client = ? AND state IN ('receiving', 'queued', 'running')"
        return int(self._database().execute(query, (client,)).fetchone()[0])

    # Ending and cleaning up

    def cancel(self, id: str, now: float | None = None) -> bool:
        """Cancel a job that has not ended; its files are deleted, at once or when the worker comes to its next tile.

        Returns:
            Whether it was cancelled: False if it had ended before, or there is none.
        """
        with self._transaction() as database:
            row = database.execute(
                "SELECT state FROM jobs WHERE id = ? AND state IN ('receiving', 'queued', 'running')", (id,)
            ).fetchone()
            if row is None:
                return False
            database.execute("UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ?", (_time(now), id))
        if row[0] != "running":
            self.delete_files(id)
        return True

    def discard(self, id: str) -> None:
        """Delete a job and its files, whatever its state."""
        with self._transaction() as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (id,))
        self.delete_files(id)

    def delete_files(self, id: str) -> None:
        """Delete the files of a job."""
        shutil.rmtree(self.folder(id), ignore_errors=True)

    def expire(self, keep: float, now: float | None = None) -> int:
        """Delete the jobs that ended more than `keep` seconds ago, with their files.

        Returns:
            How many.
        """
        with self._transaction() as database:
            query = "SELECT id FROM jobs WHERE finished < ? AND state IN ('done', 'failed', 'cancelled')"
            old = [row[0] for row in database.execute(query, (_time(now) - keep,)).fetchall()]
            database.executemany("DELETE FROM jobs WHERE id = ?", [(id,) for id in old])
        for id in old:
            self.delete_files(id)
        return len(old)

    def sweep(self, now: float | None = None) -> int:
        """Delete what a crash has left: jobs whose photo was arriving, folders without a job, half-written files.

        Jobs that lost their photo fail. Call it when the service starts, before it accepts requests and before a worker
        runs.

        Returns:
            How many folders and jobs were deleted.
        """
        folders = {path.name for path in (self.data / "jobs").iterdir()}
        with self._transaction() as database:
            arriving = [row[0] for row in database.execute("SELECT id FROM jobs WHERE state = 'receiving'")]
            database.executemany("DELETE FROM jobs WHERE id = ?", [(id,) for id in arriving])
            states: dict[str, State] = dict(database.execute("SELECT id, state FROM jobs").fetchall())
            for id, state in states.items():
                if state in UNFINISHED and not (self.folder(id) / SOURCE).exists():
                    database.execute(
                        "UPDATE jobs SET state = 'failed', finished = ?, error_code = 'photo_not_found', "
                        "error_message = 'the photo was lost', error_hint = 'send it again' WHERE id = ?",
                        (_time(now), id),
                    )
        stray = {name for name in folders if states.get(name, "cancelled") == "cancelled"}
        for name in stray:
            self.delete_files(name)
        for part in (self.data / "jobs").glob("*/.fdikp-*.part"):
            part.unlink(missing_ok=True)
        return len(stray | {*arriving})

    # The database

    def close(self) -> None:
        """Close this thread's connection."""
        database = self._local.__dict__.pop("database", None)
        if database is not None:
            database.close()

    def _database(self) -> sqlite3.Connection:
        """This thread's connection."""
        database: sqlite3.Connection | None = getattr(self._local, "database", None)
        if database is None:
            database = sqlite3.connect(self.data / "jobs.sqlite", timeout=30, isolation_level=None)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            self._local.database = database
        return database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; an exception undoes it."""
        database = self._database()
        with disk_errors():
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @staticmethod
    def _get(database: sqlite3.Connection, id: str) -> Job | None:
        row = database.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (id,)).fetchone()
        if row is None:
            return None
        values = dict(zip(Job.__annotations__, row, strict=True))
        values["parameters"] = JobParameters.from_json(values["parameters"])
        values["has_mask"] = bool(values["has_mask"])
        values["result"] = json.loads(values["result"]) if values["result"] else None
        return Job(**values)


_HELD = "id = ? AND state = 'running' AND attempts = ?"
"""Whether a job is still the one that `claim` returned; `_key` gives the values."""


def _key(job: Job) -> tuple[str, int]:
    return job.id, job.attempts


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _time(now: float | None) -> float:
    return time.time() if now is None else now


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk becomes a StorageFullError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFullError("the disk of the service is full", hint="try again later") from error
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        raise StorageFullError("the disk of the service is full", hint="try again later") from error
