"""Run a service: its application in uvicorn, its worker beside it, until a signal ends both."""

import logging
import tempfile
from collections.abc import Callable

import uvicorn

from fdikp.service.app import create_app
from fdikp.service.protocol import MAX_HEADER_BYTES, limited
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.supervisor import Supervisor
from fdikp.service.uploads import sweep_uploads, uploads_folder
from fdikp.service.worker import LoadEngine, load_network


class Server(uvicorn.Server):
    """uvicorn, which tells where it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: object = None) -> None:
        """Listen, and tell the URL."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._tell(f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/")


def serve(settings: ServiceSettings, started: Callable[[str], None], load_engine: LoadEngine = load_network) -> None:
    """Serve until SIGTERM or SIGINT: requests and the running job then end first, within `drain_seconds`.

    Args:
        settings: of the service.
        started: called with the URL, once the service listens.
        load_engine: a function of a module, which the worker loads its models with.

    Raises:
        FdikpError: the data folder, a model or the tokens cannot be used, or the port is taken.
    """
    store = JobStore.of(settings)
    supervisor = Supervisor(settings, store, load_engine)
    app = create_app(settings, store, lambda: supervisor.ready)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="asyncio",
        http=limited(settings.connections, settings.header_timeout, settings.idle_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=int(max(1, settings.idle_timeout)),
        timeout_graceful_shutdown=int(settings.drain_seconds) + 1,
    )
    supervisor.start()
    try:
        sweep_uploads(settings.data)
        tempfile.tempdir = str(uploads_folder(settings.data))  # for forms, so that nothing else need be writable
        server = Server(config, started)
        server.run()
    finally:
        supervisor.stop()


def log_to_stderr() -> None:
    """Log requests as lines of JSON, and faults as lines of text, to standard error."""
    handler = logging.StreamHandler()
    for name, level in (("fdikp.service", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
