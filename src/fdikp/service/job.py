"""A job of a service as data: its row in the database, its ticket, and the errors of accepting and finding one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fdikp.errors import FdikpError
from fdikp.service.parameters import JobParameters

State = Literal["receiving", "queued", "running", "done", "failed", "cancelled"]

UNFINISHED: tuple[State, ...] = ("receiving", "queued", "running")
STATES: tuple[State, ...] = get_args(State)

URGENT = 1
"""Priority of a job whose client waits for it with an open request; others have 0."""


class StorageFullError(FdikpError):
    """The disk has too little space left for another job; those that exist are not affected."""

    default_code = "storage_full"


class QueueFullError(FdikpError):
    """The service, or one client, has as many unfinished jobs as it may have."""

    default_code = "queue_full"


class UnknownJobError(FdikpError):
    """There is no such job, or its secret is another one: a client cannot tell which."""

    default_code = "job_unknown"

    def __init__(self, message: str = "no such job, or another secret") -> None:
        super().__init__(message, hint="check the id and the header X-Job-Secret; results are deleted after a time")


@dataclass(frozen=True)
class Ticket:
    """What a client needs to come back to its job."""

    id: str
    secret: str


@dataclass(frozen=True)
class Job:
    """A row of the database: times are in seconds since 1970."""

    id: str
    client: str
    state: State
    priority: int
    parameters: JobParameters
    has_mask: bool
    created: float
    started: float | None
    """When its present attempt began."""
    tiles_since: float | None
    """When the present attempt began with the first tile of the photo, after reading it and making the preview."""
    finished: float | None
    attempts: int
    tiles_done: int
    tiles_total: int
    """0 until the first tile is done."""
    result: Mapping[str, Any] | None
    """What `publish` was given, once the job is done."""
    error_code: str | None
    error_message: str | None
    error_hint: str | None

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state not in UNFINISHED

    def time_left(self, now: float | None = None) -> float | None:
        """Seconds until it is done, estimated from its tiles so far; None before the first tile."""
        if self.state != "running" or self.tiles_since is None or not self.tiles_done:
            return None
        spent = max(0.0, (time.time() if now is None else now) - self.tiles_since)
        return spent * (self.tiles_total - self.tiles_done) / self.tiles_done
