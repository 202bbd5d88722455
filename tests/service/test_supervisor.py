"""Real processes that are really killed: no accepted job is lost, and none is published twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import engines
import numpy as np
import pytest

from fdikp.errors import FdikpError
from fdikp.imaging import read_photo
from fdikp.service.job import Job, Ticket
from fdikp.service.parameters import JobParameters
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.supervisor import Supervisor
from fdikp.service.worker import LoadEngine

BARE = JobParameters(preview=False, maps=False, display=False)


@contextmanager
def running(settings: ServiceSettings, store: JobStore, load_engine: LoadEngine) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings, store, load_engine)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the test fails if it does not come about."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come about within a minute")


def ended(store: JobStore, ticket: Ticket) -> Job:
    until(lambda: store.get(ticket.id).ended)
    return store.get(ticket.id)


def check_result(store: JobStore, ticket: Ticket) -> None:
    folder = store.folder(ticket.id)
    assert np.array_equal(read_photo(folder / "result.png").pixels, 255 - read_photo(folder / "source").pixels)


def test_a_job_whose_worker_is_killed_is_done_by_the_next(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes]
) -> None:
    tickets = [store.accept("ann", BARE, photo(seed=seed)) for seed in range(3)]
    deadly = store.accept("bob", BARE, photo(engines.DEADLY_WIDTH))
    with running(
        replace(settings, max_attempts=2), JobStore.of(replace(settings, max_attempts=2)), engines.load_deadly
    ) as supervisor:
        jobs = [ended(store, ticket) for ticket in tickets]
        assert [(job.state, job.attempts) for job in jobs] == [("done", 2), ("done", 1), ("done", 1)]
        for ticket in tickets:
            check_result(store, ticket)
        poison = ended(store, deadly)
        assert (poison.state, poison.error_code, poison.attempts) == ("failed", "internal_error", 2)
        until(lambda: supervisor.ready and supervisor.restarts == 3)
        after = store.accept("bob", BARE, photo(seed=9))
        assert ended(store, after).state == "done"


def test_a_service_that_is_stopped_leaves_its_job_to_the_next(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes]
) -> None:
    ticket = store.accept("ann", BARE, photo())
    with running(replace(settings, drain_seconds=0), store, engines.load_stuck) as supervisor:
        assert supervisor.wait_ready(60)
        until((settings.data / "waiting").exists)
        pid = supervisor.worker_pid
        with pytest.raises(FdikpError, match="another service uses this folder; stop it"):
            Supervisor(settings, store, engines.load).start()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (store.get(ticket.id).state, supervisor.ready) == ("queued", False)
    (settings.data / "go").touch()
    with running(settings, store, engines.load_stuck):
        assert ended(store, ticket).state == "done"
    check_result(store, ticket)


def test_a_service_that_is_killed_takes_its_worker_along(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes]
) -> None:
    """The web process dies in the middle of a job; the next service does all that was accepted."""
    tickets = [store.accept("ann", BARE, photo(seed=seed)) for seed in range(2)]
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(engines.__file__).parent)!r})
from pathlib import Path
import engines
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.supervisor import Supervisor
if __name__ == "__main__":
    settings = ServiceSettings(Path({str(settings.data)!r}), min_free_bytes=0)
    supervisor = Supervisor(settings, JobStore.of(settings), engines.load_stuck)
    supervisor.start()
    print(supervisor.worker_pid, flush=True)
    time.sleep(600)
"""
    script = settings.data / "service.py"
    script.write_text(program)
    service = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        worker = int(service.stdout.readline())
        until((settings.data / "waiting").exists)
        until(lambda: store.get(tickets[0].id).state == "running")
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()
        assert service.stdout is not None
        service.stdout.close()
    until(lambda: not _alive(worker))
    assert [store.get(ticket.id).state for ticket in tickets] == ["running", "queued"]
    with running(settings, store, engines.load):
        assert [ended(store, ticket).state for ticket in tickets] == ["done", "done"]
    assert [store.get(ticket.id).attempts for ticket in tickets] == [2, 1]
    for ticket in tickets:
        check_result(store, ticket)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_model_that_cannot_be_loaded_is_reported(settings: ServiceSettings, store: JobStore) -> None:
    with running(settings, store, engines.load_nothing) as supervisor:
        until(lambda: supervisor.restarts >= 1 and supervisor.error)
        assert supervisor.error == "fdikp-lite: the device is not there"
        assert not supervisor.ready
