"""The server on a real socket: what only bytes and time can show. All time-outs are short."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from fdikp.service.headers import SECURITY_HEADERS
from fdikp.service.protocol import limited
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore

CONNECTIONS = 5


@pytest.fixture
def address(client: Any, settings: ServiceSettings) -> Iterator[tuple[str, int]]:
    """Of a server of the application."""
    protocol = limited(CONNECTIONS, settings.header_timeout, settings.idle_timeout)
    config = uvicorn.Config(
        client.app, port=0, loop="asyncio", http=protocol, ws="none", lifespan="off", log_config=None,
        server_header=False, h11_max_incomplete_event_size=4096, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join()


@pytest.fixture
def connect(address: tuple[str, int]) -> Iterator[Callable[[bytes], socket.socket]]:
    """Open a connection and send these bytes."""
    with contextlib.ExitStack() as stack:

        def connect(data: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(address, timeout=20))
            connection.sendall(data)
            return connection

        yield connect


def read(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what a server sends until it closes."""
    data = b""
    while part := connection.recv(65536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def code(connection: socket.socket) -> str:
    """The code of the problem that ends a connection, which must carry the security headers."""
    status, headers, body = read(connection)
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json" and problem["status"] == status
    assert {headers[name.lower()] for name in SECURITY_HEADERS} == set(SECURITY_HEADERS.values())
    return str(problem["code"])


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/deblur HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x16\x03\x01 nonsense\r\n\r\n", "http_malformed"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "http_malformed"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "http_malformed"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10000, "http_malformed"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", "http_malformed"),
        (b"", "client_too_slow"),
        (b"GET /healthz HTTP/1.1\r\nHost: loc", "client_too_slow"),
        (POST % 100 + b"ten bytes.", "client_too_slow"),
        (POST % 300_000 + b"x" * 50, "body_too_large"),
        (POST % 300_000 + b"x" * 300_000, "body_too_large"),
    ],
    ids=[
        "tls",
        "no host",
        "two hosts",
        "long header",
        "length",
        "silent",
        "slow headers",
        "slow body",
        "declared",
        "sent",
    ],
)
def test_bytes_that_are_refused(data: bytes, expected: str, connect: Callable[[bytes], socket.socket]) -> None:
    assert code(connect(data)) == expected
    assert read(connect(HEALTH))[0] == 200


def test_a_request_after_another_must_come_in_time(connect: Callable[[bytes], socket.socket]) -> None:
    connection = connect(HEALTH.replace(b"Connection: close\r\n", b""))
    while b"ok" not in connection.recv(65536):
        pass
    connection.sendall(b"GET /heal")
    assert code(connection) == "client_too_slow"


def test_too_many_connections_are_refused(connect: Callable[[bytes], socket.socket]) -> None:
    held = [connect(b"G") for _ in range(CONNECTIONS)]
    assert code(connect(b"")) == "too_many_connections"
    for connection in held:
        connection.close()
    while True:  # until the server has noticed
        status = read(connect(HEALTH))[0]
        if status == 200:
            return
        time.sleep(0.02)


def test_a_client_that_goes_away_frees_its_slot(
    connect: Callable[[bytes], socket.socket], engine: Any, store: JobStore, photo: Callable[..., bytes]
) -> None:
    engine.gate.clear()
    body = photo()
    connection = connect(POST % len(body) + body)
    while store.counts()["running"] != 1:
        time.sleep(0.01)
    connection.close()
    while store.queue_length():
        time.sleep(0.01)


def test_a_client_that_does_not_read_is_disconnected(
    client: Any, address: tuple[str, int], connect: Callable[[bytes], socket.socket]
) -> None:
    @client.app.get("/endless")
    async def endless() -> Any:
        from starlette.responses import StreamingResponse

        async def chunks() -> Any:
            try:
                while True:
                    yield b"x" * 65536
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return StreamingResponse(chunks())

    ended = threading.Event()
    connect(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ended.wait(60)
