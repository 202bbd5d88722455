"""A browser, and a service that the page talks to."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    for package in ("starlette", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason="the extra serve is not installed")
    from page_service import FakeService

    with FakeService(tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture
def service(server):
    """The service, which holds no job, refuses none, and asks for no token."""
    server.go_on.set()
    server.refusal = server.token = None
    yield server
    server.go_on.set()


@pytest.fixture
def visit(browser, service):
    """Open the page; at the end there must have been no error, and no request to another host.

    Answers of status 400 and more, which Chromium logs, are allowed to the tests that name them.
    """
    contexts, faults, allowed = [], [], []

    def visit(statuses=(), **settings):
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True} | settings
        )
        contexts.append(context)
        allowed.extend(f"status of {status}" for status in statuses)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda r: None if r.url.startswith((service.url, "blob:")) else faults.append(r.url))
        tab.goto(service.url)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert [fault for fault in faults if not any(status in fault for status in allowed)] == []
