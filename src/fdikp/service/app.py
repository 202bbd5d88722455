"""The application: routes, guards and the answers to errors, put together."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import fdikp
from fdikp.errors import FdikpError
from fdikp.service.catalogue import catalogue
from fdikp.service.guards import Addressed, Authorized, Measured, Observed
from fdikp.service.metrics import Metrics
from fdikp.service.options import invalid
from fdikp.service.page import add_page, page_files
from fdikp.service.problems import MEDIA_TYPE, Problem, problem_of
from fdikp.service.routes import deblur, health, jobs, models
from fdikp.service.settings import ServiceSettings
from fdikp.service.state import Service
from fdikp.service.store import JobStore
from fdikp.service.tokens import TokenFile
from fdikp.service.watcher import Watcher

CHILDREN = 2
"""How many headers of photos are read at the same time."""

DESCRIPTION = """Restores photos that are out of focus.

Every error is a problem by RFC 9457: programs tell them apart by `code`. A job is reached by its id together with its
secret, which travels in the header `X-Job-Secret`."""


def create_app(settings: ServiceSettings, store: JobStore, working: Callable[[], bool]) -> FastAPI:
    """The application.

    Args:
        settings: of the service.
        store: of the jobs, on which a worker works.
        working: whether that worker runs.

    Raises:
        FdikpError: a model or the file of the tokens cannot be used.
    """
    app = FastAPI(
        title="fdikp", version=fdikp.__version__, description=DESCRIPTION, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    metrics = Metrics(store.counts)
    app.state.service = Service(
        settings, store, catalogue(settings), Watcher(store), metrics, working, asyncio.Semaphore(CHILDREN)
    )
    for part in (deblur, jobs, models, health):
        app.include_router(part.router)
    add_page(app, page_files())
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(FdikpError, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_problem)
    app.add_exception_handler(ClientDisconnect, _answer_problem)
    tokens = TokenFile(settings.tokens) if settings.tokens is not None else None
    app.add_middleware(Authorized, tokens=tokens)  # the last one that is added is the outermost
    app.add_middleware(Addressed, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(Measured, max_bytes=settings.max_body_bytes, idle_timeout=settings.idle_timeout)
    app.add_middleware(Observed, metrics=metrics)
    return app


def _answer_problem(request: Request, error: Exception) -> Response:
    """Answer an exception that a route raises."""
    problem = _problem(error)
    content = problem.to_dict(request.scope["state"]["request_id"])
    return JSONResponse(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, FdikpError):
        return problem_of(error)
    if isinstance(error, RequestValidationError):
        return invalid(error.errors())
    if isinstance(error, ClientDisconnect):
        return Problem("client_too_slow", "the client went away before the end of the body", "")
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return Problem("not_found", "there is nothing at this path", "see /openapi.json")
    if error.status_code == 405:
        return Problem("method_not_allowed", "this path has no such method", "see /openapi.json", error.headers)
    return Problem("http_malformed", f"the request is malformed: {error.detail}", "see /openapi.json")
