"""An application whose worker, with an engine that inverts photos, is a thread of the test."""

import asyncio
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fdikp.errors import Cancelled
from fdikp.inference.results import Restoration
from fdikp.service.app import create_app
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.worker import Worker


class Inverter:
    """An engine of three tiles, which waits in each while `gate` is closed."""

    descriptor = SimpleNamespace(name="fdikp-lite", sha256=hashlib.sha256(b"").hexdigest())

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def restore(self, photo: Any, *, progress: Any, cancel: Any, blur_map: bool, **_: Any) -> Restoration:
        for tile in range(3):
            while not self.gate.wait(0.02):
                if cancel is not None and cancel():
                    raise Cancelled
            if cancel is not None and cancel():
                raise Cancelled
            if progress is not None:
                progress(tile + 1, 3)
        plane = np.full(photo.pixels.shape[:2], 2.5, np.float32) if blur_map else None
        inverted = replace(photo, pixels=255 - photo.pixels)
        return Restoration(inverted, plane, None if plane is None else plane / 5, (), 3)


@dataclass
class Client:
    """Calls an application, each request in an event loop of its own."""

    app: Any

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        tmp_path / "data",
        min_free_bytes=0,
        queue_length=4,
        jobs_per_client=3,
        max_body_bytes=200_000,
        max_pixels=40_000,
        sync_pixels=10_000,
        idle_timeout=0.4,
        header_timeout=0.4,
    )


@pytest.fixture
def engine() -> Inverter:
    return Inverter()


@pytest.fixture
def store(settings: ServiceSettings) -> JobStore:
    return JobStore.of(settings)


@pytest.fixture
def serve(store: JobStore, engine: Inverter) -> Iterator[Callable[[ServiceSettings], Client]]:
    """Start the application with these settings, and its worker."""
    stops: list[Callable[[], None]] = []

    def serve(settings: ServiceSettings) -> Client:
        worker = Worker(settings, store, lambda settings, model: engine)
        thread = threading.Thread(target=worker.run)
        thread.start()

        def stop() -> None:
            worker.stop(0)
            engine.gate.set()
            thread.join()

        stops.append(stop)
        return Client(create_app(settings, store, lambda: True))

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def client(serve: Callable[[ServiceSettings], Client], settings: ServiceSettings) -> Client:
    return serve(settings)


@pytest.fixture
def photo() -> Callable[..., bytes]:
    """The bytes of a small photo."""

    def photo(width: int = 64, height: int = 48, format: str = "PNG", **options: Any) -> bytes:
        ramp = np.add.outer(np.arange(height), np.arange(width)) % 256
        file = io.BytesIO()
        Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], -1).astype(np.uint8)).save(file, format, **options)
        return file.getvalue()

    return photo
