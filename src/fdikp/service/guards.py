"""What stands between a client and the application: ASGI middlewares that refuse, count and record requests.

From the outside in: `Observed` answers with a request id, the security headers and a line in the log whatever happens
within; `Measured` counts the body and the time that it takes; `Addressed` checks Host and Origin; `Authorized` checks
tokens. Each raises a `Problem`, which `Observed` answers.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime, timezone
from typing import Any

from fdikp.service.headers import SECURITY_HEADERS
from fdikp.service.metrics import Metrics
from fdikp.service.problems import MEDIA_TYPE, Problem
from fdikp.service.tokens import TokenFile

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MIN_BYTES_PER_SECOND = 1024
"""A body must arrive at this rate on average, after the idle time-out."""

DRAINED_BYTES = 1024 * 1024
"""How much of a refused body is read before the answer: a client that still sends would miss it."""

DRAIN_SECONDS = 1.0
"""For how long it is read."""

access = logging.getLogger("fdikp.service.access")
"""One JSON object a request: no names, contents, secrets or ids of jobs."""

faults = logging.getLogger("fdikp.service")


class Observed:
    """Gives each request an id, each response the security headers, and each a line in the log."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status, sent = 0, 0

        async def complete(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = completed(message.get("headers", ()), request_id)
            else:
                sent += len(message.get("body", b""))
            await send(message)

        with self.metrics.in_progress.track_inprogress():
            try:
                await self.app(scope, receive, complete)
            except Problem as problem:
                await answer(problem, request_id, complete if status == 0 else None)
            except Exception as error:  # a bug: the client gets no details
                faults.exception("request %s: unexpected %s", request_id, type(error).__name__)
                bug = Problem("internal_error", "an unexpected error", "report it with the request id")
                await answer(bug, request_id, complete if status == 0 else None)
                if status != 500:
                    raise
        seconds = time.perf_counter() - began
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.observe(scope["method"], route, status, seconds)
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "client": (scope.get("client") or ("",))[0],
            "method": scope["method"],
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "bytes_in": scope["state"].get("bytes_in", 0),
            "bytes_out": sent,
        }
        access.info(json.dumps(line))


def completed(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of a response with the security headers, the request id, and no caching unless it says so."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    added = {**SECURITY_HEADERS, "Cache-Control": "no-store", "X-Request-Id": request_id}
    return given + [(n.lower().encode(), v.encode()) for n, v in added.items() if n.lower().encode() not in names]


async def answer(problem: Problem, request_id: str, send: Send | None) -> None:
    """Send a problem as a whole response; nothing if the response has begun (`send` is None)."""
    if send is None:
        return
    body = problem.body(request_id)
    headers = {**problem.headers, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


class Measured:
    """Refuses bodies that are too large, declared or not, and clients that stop sending or send too slowly.

    Args:
        app: what is guarded.
        max_bytes: the largest body.
        idle_timeout: seconds without a byte after which the client is refused.
    """

    def __init__(self, app: App, max_bytes: int, idle_timeout: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.idle_timeout = idle_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length")
        seen = 0
        done = b"transfer-encoding" not in headers and declared in (None, b"0")
        refused = False
        began = time.monotonic()

        def check(size: int) -> None:
            nonlocal refused
            if size > self.max_bytes:
                refused = True
                limit = f"{self.max_bytes / 2**20:.4g} MiB"
                raise Problem("body_too_large", f"the body has more than {limit}", "send a smaller file")

        async def counted() -> Message:
            nonlocal seen, done, refused
            if done:
                return await receive()
            if declared is not None and declared.isdigit():
                check(int(declared))
            allowed = self.idle_timeout + seen / MIN_BYTES_PER_SECOND - (time.monotonic() - began)
            try:
                message = await asyncio.wait_for(receive(), max(0.0, min(self.idle_timeout, allowed)))
            except (asyncio.TimeoutError, TimeoutError):
                refused = True
                detail = f"the body stalled or came slower than {MIN_BYTES_PER_SECOND} bytes a second"
                raise Problem("client_too_slow", detail, "send it again over a better connection") from None
            if message["type"] != "http.request":
                done = True
                return message
            seen += len(message.get("body", b""))
            scope["state"]["bytes_in"] = seen
            done = not message.get("more_body")
            check(seen)
            return message

        async def drain() -> None:
            """Read a little more of a body that nobody wants."""
            nonlocal done
            read = 0
            while not done and read < DRAINED_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                done = message["type"] != "http.request" or not message.get("more_body")

        async def finished(message: Message) -> None:
            if message["type"] == "http.response.start" and not done:
                expects = headers.get(b"expect", b"").lower() == b"100-continue" and seen == 0
                if not expects and not refused_slow():
                    with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                        await asyncio.wait_for(drain(), DRAIN_SECONDS)
                if not done:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        def refused_slow() -> bool:
            return refused and seen <= self.max_bytes and not (declared or b"").isdigit()

        try:
            await self.app(scope, counted, finished)
        except Problem as problem:
            await answer(problem, scope["state"]["request_id"], finished)


class Addressed:
    """Refuses requests that a page of another site makes, also one whose name was pointed at this machine.

    The Host of a request must be an address, `localhost`, or one of `allowed_hosts`; its Origin, if any, this host.
    """

    def __init__(self, app: App, allowed_hosts: Iterable[str]) -> None:
        self.app = app
        self.allowed = {"localhost", *(name.lower() for name in allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
            host = hosts[0] if len(hosts) == 1 else ""
            if not self.allows(host):
                hint = "start fdikp serve with --allowed-hosts and its name"
                raise Problem("host_refused", "this server does not answer for the Host of the request", hint)
            for name, value in scope["headers"]:
                if name == b"origin" and value.decode("latin-1").lower().partition("://")[2] != host:
                    raise Problem(
                        "origin_refused", "the request comes from a page of another site", "open the page here"
                    )
        await self.app(scope, receive, send)

    def allows(self, host: str) -> bool:
        """Whether this is a host that the service answers for, with or without a port.

        >>> guard = Addressed(None, ["photos.example"])
        >>> [guard.allows(h) for h in ("127.0.0.1:8080", "[::1]", "photos.example:443", "evil.example", "")]
        [True, True, True, False, False]
        """
        name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
        if port and not 0 < int(port[:6]) < 65536:
            return False
        if name in self.allowed:
            return True
        try:
            ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
        except ValueError:
            return False
        return True


OPEN = ("/healthz", "/readyz", "/")
"""What needs no token, beside the files of the page: probes, and the page, which asks for one."""


class Authorized:
    """Lets requests with a valid bearer token pass; all, if there are no tokens."""

    def __init__(self, app: App, tokens: TokenFile | None) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            scope["state"]["client"] = (scope.get("client") or ("",))[0]
            if self.tokens is not None and scope["path"] not in OPEN and not scope["path"].startswith("/static/"):
                scope["state"]["client"] = self._identify(self.tokens, scope)
        await self.app(scope, receive, send)

    @staticmethod
    def _identify(tokens: TokenFile, scope: Scope) -> str:
        """The name of the token that a request carries."""
        challenge = {"WWW-Authenticate": 'Bearer realm="fdikp"'}
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        if scheme.lower() != b"bearer":
            hint = "send the header Authorization: Bearer TOKEN"
            raise Problem("token_missing", "the request has no bearer token", hint, challenge)
        client = tokens.client_of(token.strip())
        if client is None:
            raise Problem("token_wrong", "the bearer token is not valid", "ask the operator for a token", challenge)
        return client
