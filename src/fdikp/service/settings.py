"""How a service runs: where it listens, where it keeps its data, and what it allows. Imports no web framework."""

from dataclasses import dataclass
from pathlib import Path

from fdikp.errors import ArgumentError
from fdikp.models.descriptor import DEFAULT, SHIPPED

MIB = 2**20


@dataclass(frozen=True)
class ServiceSettings:
    """The settings of a service. Every limit is checked when they are made.

    Raises:
        ArgumentError: a value is out of range; one line names it.
    """

    data: Path
    """The folder for the jobs; it is made if it is missing."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8080
    """The port to listen on; 0 for any that is free."""
    models: tuple[str, ...] = tuple(SHIPPED)
    """The models that clients can choose by name: names of shipped ones and paths of weights files."""
    default_model: str = DEFAULT
    """One of `models`, for requests that name none."""
    loaded_models: int = 2
    """How many models are kept in memory."""
    device: str = "auto"
    """Where the network runs, as for `load_model`."""
    tile: int | None = None
    """Side of the tiles in pixels; None for that of the model."""
    max_body_bytes: int = 64 * MIB
    """The largest body of a request."""
    max_pixels: int = 100_000_000
    """The most pixels that a photo may declare."""
    sync_pixels: int = 2_000_000
    """Photos with more pixels become jobs, whatever the client asked for."""
    queue_length: int = 64
    """The most unfinished jobs."""
    jobs_per_client: int = 16
    """The most unfinished jobs of one client."""
    connections: int = 256
    """The most open connections."""
    idle_timeout: float = 15.0
    """Seconds without a byte after which a body is given up."""
    header_timeout: float = 10.0
    """Seconds within which the headers of a request must arrive."""
    keep: float = 24 * 3600.0
    """Seconds for which an ended job and its files are kept."""
    min_free_bytes: int = 512 * MIB
    """While less than this is free on the disk, no job is accepted."""
    decode_memory: int = 2048 * MIB
    """The most address space of the process that decodes or encodes a photo, in bytes."""
    decode_seconds: float = 60.0
    """The most time for decoding or encoding a photo."""
    max_attempts: int = 5
    """A job that was started so often without coming to an end has failed."""
    drain_seconds: float = 30.0
    """How long a service that is stopped waits for its running job; the job is then left for the next start."""
    tokens: Path | None = None
    """A file with one bearer token a line, of which a request must show one; None to ask for none."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which clients reach the service, besides its address."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", Path(self.data))
        for name in ("max_body_bytes", "max_pixels", "queue_length", "jobs_per_client", "connections", "max_attempts"):
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("sync_pixels", "min_free_bytes", "drain_seconds"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("idle_timeout", "header_timeout", "keep", "decode_seconds"):
            self._require(name, 0 < getattr(self, name) < float("inf"), "must be a number of seconds above 0")
        self._require("port", 0 <= self.port <= 65535, "must be between 0 and 65535")
        self._require("loaded_models", self.loaded_models >= 1, "must be at least 1")
        self._require("decode_memory", self.decode_memory >= 256 * MIB, "must be at least 256 MiB (268435456)")
        self._require("models", bool(self.models), "must name at least one model")
        self._require(
            "default_model", self.default_model in self.models, f"must be one of the models: {', '.join(self.models)}"
        )

    def _require(self, name: str, holds: bool, reason: str) -> None:
        if not holds:
            raise ArgumentError(reason, argument=name, value=getattr(self, name))

    def describe(self) -> list[str]:
        """The limits in words, a line for each group, for the start of the service.

        >>> print(*ServiceSettings(Path("data")).describe(), sep="\\n")
        data in data; ended jobs are kept for 24 h; no job is accepted while less than 512 MiB are free
        bodies up to 64 MiB, photos up to 100 megapixels; above 2 megapixels a photo becomes a job
        64 unfinished jobs, 16 for each client; 256 connections
        headers within 10 s, bodies without a pause of 15 s
        decoding and encoding within 2048 MiB and 60 s; 5 attempts for each job
        models: fdikp-lite, fdikp-base; default fdikp-lite
        """
        return [
            f"data in {self.data}; ended jobs are kept for {self.keep / 3600:g} h; "
            f"no job is accepted while less than {self.min_free_bytes / MIB:g} MiB are free",
            f"bodies up to {self.max_body_bytes / MIB:g} MiB, photos up to {self.max_pixels / 1e6:g} megapixels; "
            f"above {self.sync_pixels / 1e6:g} megapixels a photo becomes a job",
            f"{self.queue_length} unfinished jobs, {self.jobs_per_client} for each client; "
            f"{self.connections} connections",
            f"headers within {self.header_timeout:g} s, bodies without a pause of {self.idle_timeout:g} s",
            f"decoding and encoding within {self.decode_memory / MIB:g} MiB and {self.decode_seconds:g} s; "
            f"{self.max_attempts} attempts for each job",
            f"models: {', '.join(self.models)}; default {self.default_model}",
        ]
