"""What the API answers, as models for its JSON and its OpenAPI document."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fdikp.models.descriptor import ModelDescriptor
from fdikp.service.artefacts import available
from fdikp.service.job import Job, State
from fdikp.service.problems import Problem

_EXAMPLE_ID = "nTb8yXqkqfO3nX0sH1nV9Q"


class ProblemView(BaseModel):
    """An error, by RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [Problem("queue_full", "64 jobs are unfinished", "try again").to_dict("9f3a")]}
    )

    type: str = Field(description="A URN that ends with the code.")
    title: str = Field(description="The phrase of the status.")
    status: int
    detail: str = Field(description="One line: what failed.")
    code: str = Field(description="What kind of error it is. It stays the same when the detail is reworded.")
    hint: str = Field(description="What to do about it; may be empty.")
    request_id: str | None = Field(None, description="Also in the log of the service, and in X-Request-Id.")


class TicketView(BaseModel):
    """An accepted job."""

    id: str = Field(examples=[_EXAMPLE_ID])
    secret: str = Field(description="For the header X-Job-Secret. Only this answer has it.", examples=["Zk2…"])
    state: State = "queued"


class JobView(BaseModel):
    """A job."""

    id: str = Field(examples=[_EXAMPLE_ID])
    state: State
    tiles_done: int
    tiles_total: int = Field(description="0 until the first tile is done.")
    seconds_left: float | None = Field(description="An estimate from the tiles that are done; null without any.")
    created: float = Field(description="In seconds since 1970; so are the following.")
    started: float | None
    finished: float | None
    expires: float | None = Field(description="When the job and its files are deleted; null until it ends.")
    parameters: dict[str, Any]
    available: list[str] = Field(
        description="What can be fetched now.", examples=[["preview", "result", "display", "blur-map"]]
    )
    result: dict[str, Any] | None = Field(description="Facts about the result of a job that is done.")
    problem: ProblemView | None = Field(description="Why a job failed.")


class ModelView(BaseModel):
    """A model: its name, licence and size, and how it runs. Further members describe its network."""

    model_config = ConfigDict(extra="allow")

    name: str
    sha256: str
    parameters: int
    licence: str | None
    default: bool = Field(description="Whether it is used where a request names none.")


class ModelsView(BaseModel):
    """The models of the service."""

    models: list[ModelView]


class HealthView(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyView(BaseModel):
    """The service accepts jobs."""

    status: Literal["ready"] = "ready"
    unfinished_jobs: int


def problem_of_job(job: Job) -> Problem | None:
    """Why a job has no result; None if it may still get one, or has one."""
    if job.state == "cancelled":
        return Problem("cancelled", "the job was cancelled", "send the photo again")
    if job.state != "failed":
        return None
    return Problem(job.error_code or "failed", job.error_message or "the job failed", job.error_hint or "")


def job_view(job: Job, folder: Path, keep: float, now: float) -> JobView:
    """A job as the API answers it.

    Args:
        job: the job.
        folder: of its files.
        keep: seconds for which it is kept after its end.
        now: the time.
    """
    left = job.time_left(now)
    problem = problem_of_job(job) if job.state == "failed" else None
    return JobView(
        id=job.id,
        state=job.state,
        tiles_done=job.tiles_done,
        tiles_total=job.tiles_total,
        seconds_left=None if left is None else round(left, 1),
        created=job.created,
        started=job.started,
        finished=job.finished,
        expires=None if job.finished is None else job.finished + keep,
        parameters=asdict(job.parameters),
        available=available(job, folder),
        result=dict(job.result) if job.result is not None else None,
        problem=None if problem is None else ProblemView(**problem.to_dict()),
    )


def model_view(descriptor: ModelDescriptor, default: bool) -> ModelView:
    """A model as the API answers it: its descriptor without the path of its file."""
    fields = descriptor.to_dict()
    del fields["path"]
    return ModelView(**fields, default=default)
