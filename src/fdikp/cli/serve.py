"""`fdikp serve`: the page and the HTTP API."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.deblur import parse_size
from fdikp.extras import install_hint
from fdikp.models.descriptor import DEFAULT, SHIPPED
from fdikp.service.settings import ServiceSettings

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
"""The packages of the serve extra, by their import names."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Serve a page and an HTTP API that restore photos.

    It needs the serve extra. The service listens on this machine alone unless
    --host says otherwise. At the start it prints its limits and its URL; then
    it logs one JSON object for each request, on stderr, without contents or
    names of photos.

    Photos and results are kept in the data folder until they expire. Jobs that
    were accepted are finished after a crash or a restart. SIGTERM and Ctrl-C
    let the running job end first, or leave it for the next start.

    Examples:
      fdikp serve                                    then open the URL it prints
      fdikp serve --port 9000 --data /srv/fdikp --keep 2
      fdikp serve --host 0.0.0.0 --tokens tokens.txt --allowed-hosts photos.example
    """

    # The address to listen on; 0.0.0.0 for all of this machine.
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"

    # The port to listen on; 0 for any that is free.
    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8080

    # The folder for jobs and their photos; it is created if it does not exist.
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("fdikp-data")

    # The models that clients can choose: shipped ones, or paths of .safetensors files. The first is the default.
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = tuple(
        sorted(SHIPPED, key=lambda name: name != DEFAULT)
    )

    # How many models are kept in memory.
    loaded_models: Annotated[int, tyro.conf.arg(metavar="N")] = 2

    # The device to compute on; auto is a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Side of the tiles that a photo is processed in, in pixels.
    tile: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the model's)")] = None

    # A file with one bearer token a line, of at least 16 characters; every request must then carry one. The file may
    # change while the service runs.
    tokens: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: no tokens)")] = None

    # Names under which clients reach the service, besides localhost and addresses.
    allowed_hosts: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint="(default: none)")
    ] = ()

    # How long ended jobs and their files are kept, in hours.
    keep: Annotated[float, tyro.conf.arg(metavar="HOURS")] = 24.0

    # The largest body of a request.
    max_body: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "64M"

    # Refuse photos that declare more pixels than this, before they are decoded.
    max_pixels: Annotated[int, tyro.conf.arg(metavar="N")] = 100_000_000

    # Larger photos that are sent to /v1/deblur become jobs.
    sync_pixels: Annotated[int, tyro.conf.arg(metavar="N")] = 2_000_000

    # The most unfinished jobs.
    queue_length: Annotated[int, tyro.conf.arg(metavar="N")] = 64

    # The most unfinished jobs of one client.
    jobs_per_client: Annotated[int, tyro.conf.arg(metavar="N")] = 16

    # The most open connections.
    connections: Annotated[int, tyro.conf.arg(metavar="N")] = 256

    # Seconds after which a client that sends or reads nothing is disconnected.
    idle_timeout: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 15.0

    # Seconds within which the headers of a request must arrive.
    header_timeout: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0

    # Accept no job while less space than this is free.
    min_free: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "512M"

    # The most memory for decoding or encoding a photo.
    decode_memory: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "2G"

    # The most time for decoding or encoding a photo.
    decode_seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 60.0

    # How long a stop waits for requests and for the running job.
    drain: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 30.0

    def settings(self) -> ServiceSettings:
        """The settings of the service.

        Raises:
            ArgumentError: a value is out of range.
        """
        if not self.models:
            raise UsageError("--models: names no model")
        return ServiceSettings(
            data=self.data,
            host=self.host,
            port=self.port,
            models=self.models,
            default_model=self.models[0],
            loaded_models=self.loaded_models,
            device=self.device,
            tile=self.tile,
            max_body_bytes=_size("--max-body", self.max_body),
            max_pixels=self.max_pixels,
            sync_pixels=self.sync_pixels,
            queue_length=self.queue_length,
            jobs_per_client=self.jobs_per_client,
            connections=self.connections,
            idle_timeout=self.idle_timeout,
            header_timeout=self.header_timeout,
            keep=self.keep * 3600,
            min_free_bytes=_size("--min-free", self.min_free),
            decode_memory=_size("--decode-memory", self.decode_memory),
            decode_seconds=self.decode_seconds,
            drain_seconds=self.drain,
            tokens=self.tokens,
            allowed_hosts=self.allowed_hosts,
        )


def run(options: Options) -> int:
    """Serve until a signal; returns the exit code."""
    from importlib.util import find_spec

    settings = options.settings()
    if any(find_spec(package) is None for package in PACKAGES):
        raise UsageError(f"serve: its packages are missing; {install_hint('serve')}")
    from fdikp.service.server import log_to_stderr, serve

    for line in settings.describe():
        console.status(line)
    log_to_stderr()
    try:
        serve(settings, lambda url: console.status(f"listening on {url}"))
    except KeyboardInterrupt:  # the usual end: everything is stopped by now
        console.status("stopped")
    return 0


def _size(flag: str, text: str) -> int:
    """Bytes from a number with a unit."""
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(str(error).replace("--memory", flag, 1)) from None
