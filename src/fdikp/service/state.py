"""What the routes of one application share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Header, Request

from fdikp.models.descriptor import ModelDescriptor
from fdikp.service.codec import inspect
from fdikp.service.job import Job
from fdikp.service.metrics import Metrics
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.watcher import Watcher


@dataclass(frozen=True)
class Service:
    """The parts of a running service."""

    settings: ServiceSettings
    store: JobStore
    models: Mapping[str, ModelDescriptor]
    """By the name that clients give, the default one first."""
    watcher: Watcher
    metrics: Metrics
    working: Callable[[], bool]
    """Whether the process that has the network runs."""
    inspecting: asyncio.Semaphore
    """Bounds the child processes that read headers."""

    async def pixels_of(self, photo: Path) -> int:
        """How many pixels a photo declares.

        Raises:
            FdikpError: it is no photo, is damaged, or is larger than the service allows.
        """
        async with self.inspecting:
            header = await asyncio.to_thread(inspect, photo, self.settings)
        return header.width * header.height


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(_service)]
"""The service, as the parameter of a route."""


def _job(
    id: str,
    service: ServiceOf,
    secret: Annotated[
        str, Header(alias="X-Job-Secret", description="The secret that came with the id.", max_length=200)
    ] = "",
) -> Job:
    return service.store.open(id, secret)


JobOf = Annotated[Job, Depends(_job)]
"""The job of the path, if the request shows its secret."""


def client_of(request: Request) -> str:
    """Who makes a request: the holder of a token, or an address."""
    client: str = request.scope["state"]["client"]
    return client
