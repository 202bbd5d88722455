"""A photo in, the restored photo out, in one request."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from fdikp.service.artefacts import artefact, file_response
from fdikp.service.job import URGENT, Job, UnknownJobError
from fdikp.service.openapi import ACCEPTING, photo_body, photo_response, problems
from fdikp.service.options import Options
from fdikp.service.problems import Problem
from fdikp.service.state import Service, ServiceOf, client_of
from fdikp.service.uploads import received
from fdikp.service.views import TicketView, problem_of_job

router = APIRouter(prefix="/v1", tags=["restore"])

PATIENCE = 0.5
"""Seconds between looks at whether the client is still there."""

SAVED_AS = "photo_deblurred"
"""The name under which browsers save a result."""


@router.post(
    "/deblur",
    response_class=Response,
    openapi_extra=photo_body(Options.model_json_schema()["properties"]),
    responses={
        **problems(*ACCEPTING),
        200: photo_response("The restored photo, with its metadata."),
        202: {"model": TicketView, "description": "The photo is large and has become a job."},
    },
)
async def deblur(request: Request, service: ServiceOf, options: Annotated[Options, Query()]) -> Response:
    """Restore a photo and wait for it. A photo of more pixels than the service allows here becomes a job."""
    async with received(request, options, service.store) as upload:
        if upload.photo is None:
            raise Problem("request_invalid", "the request has no photo", "send it as the body or in the field image")
        waited_for = await service.pixels_of(upload.photo) <= service.settings.sync_pixels
        parameters = upload.options.parameters(service.models, waited_for=waited_for)
        ticket = await asyncio.to_thread(
            service.store.accept,
            client_of(request),
            parameters,
            upload.photo,
            upload.mask,
            priority=URGENT if waited_for else 0,
        )
    if not waited_for:
        return JSONResponse(
            TicketView(id=ticket.id, secret=ticket.secret).model_dump(),
            202,
            headers={"Location": f"/v1/jobs/{ticket.id}"},
        )
    try:
        job = await _ended(request, service, ticket.id)
        problem = problem_of_job(job)
        if problem is not None:
            raise problem
        path = artefact(job, service.store.folder(job.id), "result")
        if path is None:
            raise UnknownJobError
        file = await asyncio.to_thread(path.open, "rb")
        headers = result_headers(job)
        return file_response(file, path.stat().st_size, path.suffix, SAVED_AS, headers)
    finally:
        await asyncio.shield(asyncio.to_thread(_finish, service, ticket.id))


async def _ended(request: Request, service: Service, id: str) -> Job:
    """The job once it has ended.

    Raises:
        Problem: the client has gone.
    """
    job = await asyncio.to_thread(service.store.get, id)
    while not job.ended:
        job = await service.watcher.changed(job, PATIENCE)
        if not job.ended and await request.is_disconnected():
            raise Problem("cancelled", "the client has gone")
    return job


def _finish(service: Service, id: str) -> None:
    """Delete a job that nobody waits for any more; its worker stops before the next tile."""
    if not service.store.cancel(id):
        service.store.discard(id)


def result_headers(job: Job) -> dict[str, str]:
    """What is known of a result, as headers."""
    result = job.result or {}
    names = {"X-Model": "model", "X-Weights-SHA256": "weights_sha256", "X-Seconds": "seconds"}
    return {header: str(result[name]) for header, name in names.items() if result.get(name) is not None}
