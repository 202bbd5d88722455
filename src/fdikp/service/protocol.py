"""uvicorn's HTTP/1.1 protocol with what it lacks: time-outs of headers and of readers, and a limit of connections."""

import asyncio
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from fdikp.service.headers import SECURITY_HEADERS
from fdikp.service.problems import MEDIA_TYPE, Problem

MAX_HEADER_BYTES = 32 * 1024
"""The longest request line with headers."""


class GuardedProtocol(H11Protocol):
    """One connection. A problem ends it at once, before the application sees a request.

    `limited` makes the class that uvicorn instantiates.
    """

    max_connections = 256
    header_timeout = 10.0
    idle_timeout = 15.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._greeted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and wait for its first request."""
        super().connection_made(transport)
        # A single byte that the client does not read makes asyncio call pause_writing
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self.max_connections:
            self._refuse(
                Problem("too_many_connections", f"all {self.max_connections} connections are in use", "try again later")
            )
        else:
            self._header_timer = self.loop.call_later(self.header_timeout, self._headers_late)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the headers of a request must be complete in time from their first byte."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._greeted = self._greeted or self.cycle is not None
        waiting = self.conn.their_state is h11.IDLE and (not self._greeted or bool(self.conn.trailing_data[0]))
        if not waiting:
            self._cancel_header_timer()
        elif self._header_timer is None and not self.transport.is_closing():
            self._header_timer = self.loop.call_later(self.header_timeout, self._headers_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_header_timer()
        self._cancel_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what is sent."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.idle_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read what was sent."""
        self._cancel_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP/1.1."""
        self._refuse(Problem("http_malformed", "not a valid HTTP/1.1 request", "use an HTTP client"))

    def _headers_late(self) -> None:
        self._header_timer = None
        self._refuse(
            Problem("client_too_slow", f"no complete headers within {self.header_timeout:g} s", "send them at once")
        )

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem and close the connection."""
        self._cancel_header_timer()
        if self.transport.is_closing():
            return
        body = problem.body()
        headers = {
            **SECURITY_HEADERS,
            **problem.headers,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            lines = [f"HTTP/1.1 {problem.status} {problem.to_dict()['title']}", *map(": ".join, headers.items())]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.transport.close()

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def limited(max_connections: int, header_timeout: float, idle_timeout: float) -> type[GuardedProtocol]:
    """The protocol with these limits.

    Args:
        max_connections: how many clients may be connected at once.
        header_timeout: seconds for the headers of a request.
        idle_timeout: seconds after which a client that does not read what is sent is disconnected.
    """
    limits = {"max_connections": max_connections, "header_timeout": header_timeout, "idle_timeout": idle_timeout}
    return type("LimitedProtocol", (GuardedProtocol,), limits)
