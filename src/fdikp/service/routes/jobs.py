"""Jobs: photos that are restored in the background, and what can be fetched of them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from fdikp.service.artefacts import artefact, file_response
from fdikp.service.job import Job, UnknownJobError
from fdikp.service.openapi import ACCEPTING, JOB, file_types, photo_body, photo_response, problems
from fdikp.service.options import Options
from fdikp.service.parameters import SOURCE
from fdikp.service.problems import Problem
from fdikp.service.routes.deblur import SAVED_AS, result_headers
from fdikp.service.state import JobOf, Service, ServiceOf, client_of
from fdikp.service.uploads import Upload, received
from fdikp.service.views import JobView, TicketView, job_view, problem_of_job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

LOOK_SECONDS = 0.25
"""Seconds between looks at the files of a job whose row does not change."""

HEARTBEAT_SECONDS = 10.0
"""Seconds after which an event is sent although nothing has changed: proxies close silent connections."""

_OPTIONS = Options.model_json_schema()["properties"]
_FETCH = problems(*JOB, "not_ready", "not_available", *ACCEPTING[:7], "cancelled", "failed")


@router.post("", status_code=202, openapi_extra=photo_body(_OPTIONS), responses=problems(*ACCEPTING))
async def create(
    request: Request, response: Response, service: ServiceOf, options: Annotated[Options, Query()]
) -> TicketView:
    """Accept a photo as a job. From the answer on it survives a crash of the service."""
    async with received(request, options, service.store) as upload:
        if upload.photo is None:
            raise Problem("request_invalid", "the request has no photo", "send it as the body or in the field image")
        await service.pixels_of(upload.photo)  # what is no photo is refused at once
        return await _accept(request, response, service, upload, upload.photo, upload.mask)


@router.post(
    "/{id}/again",
    status_code=202,
    openapi_extra=photo_body(_OPTIONS, form_only=True),
    responses=problems(*ACCEPTING, *JOB),
)
async def again(
    request: Request, response: Response, job: JobOf, service: ServiceOf, options: Annotated[Options, Query()]
) -> TicketView:
    """Restore the photo of a job again, as a new job with other options or another mask.

    Without a mask in the request the new job has none.
    """
    async with received(request, options, service.store) as upload:
        is_form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
        if upload.photo is not None and is_form:
            raise Problem("request_invalid", "the photo is that of the job", "leave out the field image")
        if upload.photo is not None:
            raise Problem("request_invalid", "the body is not a form", "send the mask as multipart/form-data")
        source = service.store.folder(job.id) / SOURCE
        try:
            return await _accept(request, response, service, upload, source, upload.mask)
        except FileNotFoundError:
            raise UnknownJobError from None


@router.get("/{id}", responses=problems(*JOB))
def status(job: JobOf, service: ServiceOf) -> JobView:
    """How far a job is."""
    return _view(service, job)


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={
        **problems(*JOB),
        200: {
            "description": "Events named `job`; the data of each is a JobView.",
            "content": {"text/event-stream": {}},
        },
    },
)
async def events(job: JobOf, service: ServiceOf) -> StreamingResponse:
    """Server-sent events: the job, and again after each change, until it ends."""
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_events(service, job), media_type="text/event-stream", headers=headers)


@router.delete("/{id}", status_code=204, responses=problems(*JOB))
def delete(job: JobOf, service: ServiceOf) -> None:
    """Cancel a job, before its next tile; of one that has ended, delete the files and the row."""
    if not service.store.cancel(job.id):
        service.store.discard(job.id)


@router.get("/{id}/result", response_class=Response, responses={**_FETCH, 200: photo_response("The restored photo.")})
def result(job: JobOf, service: ServiceOf) -> Response:
    """The restored photo, with its metadata."""
    return _file(service, job, "result", SAVED_AS)


def _documented(name: str, description: str) -> dict[int | str, dict[str, object]]:
    return {**_FETCH, 200: {"description": description, "content": file_types(name)}}


@router.get("/{id}/preview", response_class=Response, responses=_documented("preview", "The preview."))
def preview(job: JobOf, service: ServiceOf) -> Response:
    """The photo restored at reduced size; it is there before the result."""
    return _file(service, job, "preview", "photo_preview")


@router.get("/{id}/display", response_class=Response, responses=_documented("display", "The result."))
def display(job: JobOf, service: ServiceOf) -> Response:
    """The result in a format that browsers show, whatever the format of the photo."""
    return _file(service, job, "display", "photo_display")


@router.get("/{id}/before", response_class=Response, responses=_documented("before", "The photo."))
def before(job: JobOf, service: ServiceOf) -> Response:
    """The photo as it was, in a format that browsers show, to lay beside `display`."""
    return _file(service, job, "before", "photo_before")


@router.get("/{id}/blur-map", response_class=Response, responses=_documented("blur-map", "The blur map."))
def blur_map(
    job: JobOf,
    service: ServiceOf,
    form: Annotated[
        Literal["raw", "figure"],
        Query(description="`raw`: 16 bits, in units of 1/256 pixel; `figure`: a drawing with its scale."),
    ] = "raw",
) -> Response:
    """The blur radius at each pixel."""
    return _file(service, job, "blur-map" if form == "raw" else "blur-map-figure", "photo_blurmap")


@router.get("/{id}/confidence", response_class=Response, responses=_documented("confidence", "The confidence map."))
def confidence(job: JobOf, service: ServiceOf) -> Response:
    """How certain the blur radius is: a PNG of 8 bits."""
    return _file(service, job, "confidence", "photo_confidence")


async def _accept(
    request: Request, response: Response, service: Service, upload: Upload, source: Path, mask: Path | None
) -> TicketView:
    parameters = upload.options.parameters(service.models, waited_for=False)
    ticket = await asyncio.to_thread(service.store.accept, client_of(request), parameters, source, mask)
    response.headers["Location"] = f"/v1/jobs/{ticket.id}"
    return TicketView(id=ticket.id, secret=ticket.secret)


def _view(service: Service, job: Job) -> JobView:
    return job_view(job, service.store.folder(job.id), service.settings.keep, time.time())


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    """A block of text for each event."""
    last, sent = None, 0.0
    while True:
        view = await asyncio.to_thread(_view, service, job)
        now = time.monotonic()
        state = view.model_copy(update={"seconds_left": None})
        if state != last or now - sent >= HEARTBEAT_SECONDS:
            last, sent = state, now
            yield f"event: job\ndata: {json.dumps(view.model_dump())}\n\n"
        if job.ended:
            return
        try:
            job = await service.watcher.changed(job, LOOK_SECONDS)
        except UnknownJobError:
            return


def _file(service: Service, job: Job, name: str, saved_as: str) -> Response:
    """A file of a job.

    Raises:
        Problem: it is not there: not yet, or never.
    """
    path = artefact(job, service.store.folder(job.id), name)
    if path is not None:
        try:
            file = path.open("rb")
        except FileNotFoundError:  # the job has just expired
            raise UnknownJobError from None
        return file_response(file, path.stat().st_size, path.suffix, saved_as, result_headers(job))
    problem = problem_of_job(job)
    if problem is not None:
        raise problem
    if not job.ended:
        raise Problem("not_ready", "the job has not come so far", "follow its events")
    raise Problem("not_available", f"this job has no {name}", "its model may have no calibration of the blur map")
