"""The API of the service with a sharpening filter for a network: everything the page needs, within milliseconds.

The selection and the files are the library's own, so that downloads are what `fdikp` would write.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import fdikp.service
from fdikp.errors import FdikpError
from fdikp.imaging import Photo, read_photo, write_photo
from fdikp.imaging.selection import Selection, read_mask
from fdikp.jobs.side_images import write_blur_map, write_confidence_map

PAGE = Path(fdikp.service.__file__).with_name("page")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TILES = 4
FILES = {"before": "before.png", "display": "display.png", "preview": "preview.png", "blur-map": "blur_map.png"}
FILES |= {"confidence": "confidence.png", "result": "result"}
MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "tiff": "image/tiff", "webp": "image/webp"}


def radius_map(height: int, width: int) -> np.ndarray:
    """The blur radius, 0 px at the left edge and 8 px at the right one, in steps that 16 bits hold exactly."""
    row = np.rint(np.linspace(0, 8, width) * 256) / 256
    return np.broadcast_to(row.astype(np.float32), (height, width))


def sharpened(values: np.ndarray) -> np.ndarray:
    """The stand-in for the network, [H, W, C] in 0..1, clamped."""
    padded = np.pad(values, ((2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = values.shape[:2]
    blurred = sum(padded[y : y + height, x : x + width] for y in range(5) for x in range(5)) / 25
    return (values + 1.5 * (values - blurred)).clip(0, 1)


def restored(photo: Photo, strength: float, selection: Selection) -> np.ndarray:
    """The formula of the library, on the result of `sharpened`."""
    white = np.iinfo(photo.pixels.dtype).max
    before = photo.pixels.astype(np.float64) / white
    height, width = before.shape[:2]
    weight = selection.blur_gate(radius_map(height, width)).astype(np.float64)
    spatial = selection.spatial_weight(height, width)
    weight = strength * (weight if spatial is None else weight * spatial)[..., None]
    return np.rint((before + weight * (sharpened(before) - before)).clip(0, 1) * white).astype(photo.pixels.dtype)


@dataclass
class Job:
    """A job of the fake."""

    folder: Path
    options: dict[str, str]
    secret: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "queued"
    done: int = 0
    media_type: str = ""
    problem: dict[str, Any] | None = None

    def view(self) -> dict[str, Any]:
        available = [name for name, file in FILES.items() if (self.folder / file).exists()]
        total = 0 if self.state == "queued" else TILES
        left = 2.0 if self.state == "running" and self.done else None
        fields = {"tiles_done": self.done, "tiles_total": total, "seconds_left": left, "available": available}
        return {"state": self.state, "problem": self.problem, **fields}


class FakeService:
    """A server on its own thread; `hold` stops running jobs after their first tile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, Job] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.token: str | None = None
        jobs = "/v1/jobs/{id}"
        app = Starlette(
            routes=[
                Route("/", self.page),
                Route("/v1/models", self.models),
                Route("/v1/jobs", self.create, methods=["POST"]),
                Route(jobs, self.delete, methods=["DELETE"]),
                Route(f"{jobs}/again", self.again, methods=["POST"]),
                Route(f"{jobs}/events", self.events),
                Route(f"{jobs}/{{name}}", self.file),
                Mount("/static", StaticFiles(directory=PAGE)),
            ],
            exception_handlers={KeyError: lambda *_: problem(404, "job_unknown", "no such job, or another secret")},
        )
        config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "FakeService":
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.should_exit = True
        self._thread.join()

    async def page(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    async def models(self, request: Request) -> Response:
        names = ("fdikp-lite", "fdikp-base")
        return JSONResponse({"models": [{"name": name, "default": name == names[0]} for name in names]})

    async def create(self, request: Request) -> Response:
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            return problem(401, "unauthorized", "the request has no valid token")
        async with request.form() as form:
            if self.refusal is not None:
                status, fields = self.refusal
                return problem(status, fields["code"], fields["detail"], fields["hint"])
            image = form["image"]
            assert isinstance(image, UploadFile)
            return await self._accept(await image.read(), form)

    async def again(self, request: Request) -> Response:
        job = self._job(request)
        async with request.form() as form:
            return await self._accept((job.folder / "source").read_bytes(), form)

    async def _accept(self, source: bytes, form: Any) -> Response:
        id = secrets.token_hex(8)
        job = self.jobs[id] = Job(self.folder / id, {k: v for k, v in form.items() if isinstance(v, str)})
        job.folder.mkdir(parents=True)
        (job.folder / "source").write_bytes(source)
        if "mask" in form:
            (job.folder / "mask.png").write_bytes(await form["mask"].read())
        threading.Thread(target=self._work, args=(job,), daemon=True).start()
        return JSONResponse({"id": id, "secret": job.secret, "state": "queued"}, status_code=202)

    def _work(self, job: Job) -> None:
        try:
            self._restore(job)
        except FdikpError as error:
            hint = error.hint or ""
            detail = str(error).replace(str(job.folder / "source"), "the photo").removesuffix(f"; {hint}")
            job.problem = {"code": error.code, "detail": detail, "hint": hint}
            job.state = "failed"

    def _restore(self, job: Job) -> None:
        folder, options = job.folder, job.options
        photo = read_photo(folder / "source")
        job.state, job.done = "running", 1
        limits = {name: float(options[name]) for name in ("min_blur", "max_blur") if name in options}
        mask = read_mask(folder / "mask.png") if (folder / "mask.png").exists() else None
        pixels = restored(photo, float(options.get("strength", 1)), Selection(mask, (), **limits))
        result = replace(photo, pixels=pixels)
        write_photo(eight_bits(replace(result, pixels=pixels[::2, ::2])), folder / "preview.png", strip=True)
        self.go_on.wait()
        if job.state == "cancelled":
            return
        radius = radius_map(photo.height, photo.width)
        write_blur_map(radius, folder / "blur_map.png")
        write_confidence_map(np.full_like(radius, 0.75), folder / "confidence.png")
        write_photo(eight_bits(photo), folder / "before.png", strip=True)
        write_photo(eight_bits(result), folder / "display.png", strip=True)
        format = options.get("format", photo.format)
        write_photo(result, folder / "result", format=format)
        job.media_type = MEDIA_TYPES[format]
        job.done = TILES
        job.state = "done"

    def _job(self, request: Request) -> Job:
        job = self.jobs[request.path_params["id"]]
        if job.secret != request.headers.get("x-job-secret"):
            raise KeyError
        return job

    async def delete(self, request: Request) -> Response:
        job = self._job(request)
        if job.state in ("done", "failed", "cancelled"):
            self.jobs = {id: other for id, other in self.jobs.items() if other is not job}
        else:
            job.state = "cancelled"
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        return StreamingResponse(self._events(self._job(request)), media_type="text/event-stream")

    async def _events(self, job: Job) -> AsyncIterator[str]:
        last = None
        while True:
            view = job.view()
            if view != last:
                yield f"event: job\ndata: {json.dumps(view)}\n\n"
            last = view
            if job.state in ("done", "failed", "cancelled"):
                return
            await asyncio.sleep(0.02)

    async def file(self, request: Request) -> Response:
        job = self._job(request)
        name = request.path_params["name"]
        return FileResponse(job.folder / FILES[name], media_type=job.media_type if name == "result" else "image/png")


def eight_bits(photo: Photo) -> Photo:
    """A copy for browsers."""
    if photo.pixels.dtype == np.uint8:
        return photo
    return replace(photo, pixels=np.rint(photo.pixels / 257).astype(np.uint8))


def problem(status: int, code: str, detail: str, hint: str = "") -> Response:
    """An error by RFC 9457."""
    fields = {"type": f"urn:fdikp:{code}", "status": status, "code": code, "detail": detail, "hint": hint}
    return JSONResponse(fields, status, media_type="application/problem+json")
