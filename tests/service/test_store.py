"""The jobs of a service: each transition happens once, and what was accepted stays."""

import errno
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fdikp.errors import FdikpError, PhotoError
from fdikp.service.job import URGENT, Job, QueueFullError, StorageFullError, Ticket, UnknownJobError
from fdikp.service.parameters import JobParameters
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore

PARAMETERS = JobParameters(strength=0.5, regions=("0,0,5,5",))


def accept(store: JobStore, client: str = "ann", priority: int = 0) -> Ticket:
    return store.accept(client, PARAMETERS, b"photo", priority=priority)


def claimed(store: JobStore) -> Job:
    accept(store)
    job = store.claim()
    assert job is not None
    return job


def test_a_job_from_its_acceptance_to_its_result(store: JobStore, settings: ServiceSettings) -> None:
    ticket = store.create("ann", PARAMETERS)
    with store.receive(ticket.id) as file:
        file.write(b"pho")
        assert not (store.folder(ticket.id) / "source").exists()
        file.write(b"to")
    assert (store.get(ticket.id).state, store.claim()) == ("receiving", None)
    store.enqueue(ticket.id)
    job = store.claim(now=100.0)
    assert job is not None
    assert (job.id, job.state, job.attempts, job.parameters, job.has_mask) == (
        ticket.id,
        "running",
        1,
        PARAMETERS,
        False,
    )
    store.begin_tiles(job, now=104.0)
    assert store.progress(job, 1, 4)
    assert store.get(job.id).time_left(now=106.0) == 6.0
    assert store.publish(job, {"files": {"result": "result.png"}}, now=110.0)
    done = JobStore.of(settings).open(ticket.id, ticket.secret)  # what another process sees
    assert (done.state, done.ended, done.finished) == ("done", True, 110.0)
    assert done.result == {"files": {"result": "result.png"}}
    assert done.time_left() is None


def test_transactions_are_on_the_disk_when_they_end(store: JobStore) -> None:
    pragmas = [store._database().execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]


@pytest.mark.parametrize("id", ["", "none", "../jobs", "a' OR '1'='1", "é\0"])
def test_there_is_no_job_of_another_id(store: JobStore, id: str) -> None:
    accept(store)
    with pytest.raises(UnknownJobError, match=r"^no such job, or another secret; check"):
        store.open(id, "")
    assert not store.cancel(id)


@pytest.mark.parametrize("change", [str.upper, lambda secret: secret[:-1], lambda secret: "", lambda secret: "\udcff"])
def test_a_job_opens_with_its_secret_alone(store: JobStore, change: Callable[[str], str]) -> None:
    ticket = accept(store)
    assert store.open(ticket.id, ticket.secret).id == ticket.id
    with pytest.raises(UnknownJobError):
        store.open(ticket.id, change(ticket.secret))


def test_the_secret_is_stored_as_a_hash(store: JobStore) -> None:
    ticket = accept(store)
    store.close()
    assert not any(ticket.secret.encode() in path.read_bytes() for path in store.data.rglob("*") if path.is_file())


def test_urgent_jobs_are_claimed_first_then_older_ones(store: JobStore) -> None:
    tickets = [accept(store, "a"), accept(store, "b"), accept(store, "c", URGENT)]
    claimed = [store.claim() for _ in range(4)]
    assert [job and job.id for job in claimed] == [tickets[2].id, tickets[0].id, tickets[1].id, None]


def test_urgent_jobs_can_be_claimed_alone(store: JobStore) -> None:
    accept(store)
    assert store.claim(least_priority=URGENT) is None
    urgent = accept(store, priority=URGENT)
    job = store.claim(least_priority=URGENT)
    assert job is not None
    assert job.id == urgent.id


def test_a_job_that_was_attempted_comes_last(store: JobStore) -> None:
    first, second = accept(store), accept(store)
    job = store.claim()
    assert job is not None
    assert job.id == first.id
    store.recover()
    claimed = [store.claim(), store.claim()]
    assert [job and job.id for job in claimed] == [second.id, first.id]


def test_each_job_is_claimed_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path, queue_length=40, jobs_per_client=40)
    ids = {accept(store).id for _ in range(40)}

    def claim_all(_: int) -> list[str]:
        found = []
        while job := store.claim():
            found.append(job.id)
        store.close()
        return found

    with ThreadPoolExecutor(4) as threads:
        found = [id for ids in threads.map(claim_all, range(4)) for id in ids]
    assert len(found) == 40
    assert {*found} == ids


def test_the_queue_is_limited(store: JobStore) -> None:
    for number in range(6):
        accept(store, f"client {number}")
    for priority in (0, URGENT):
        with pytest.raises(QueueFullError, match=r"^6 jobs are unfinished, which is the limit; try again") as caught:
            accept(store, "another", priority)
        assert caught.value.code == "queue_full"
    job = store.claim()
    assert job is not None
    assert store.publish(job, {})
    accept(store, "another")


def test_the_jobs_of_a_client_are_limited(store: JobStore) -> None:
    tickets = [accept(store) for _ in range(3)]
    with pytest.raises(QueueFullError, match=r"^3 jobs of this client are unfinished") as caught:
        accept(store)
    assert (caught.value.code, store.client_jobs("ann"), store.queue_length()) == ("client_limit", 3, 3)
    accept(store, "bob")
    accept(store, priority=URGENT)
    store.cancel(tickets[0].id)
    store.cancel(tickets[1].id)
    accept(store)


def test_a_full_disk_refuses_new_jobs_and_keeps_the_old(
    settings: ServiceSettings, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = accept(store)
    strict = JobStore(settings.data, min_free_bytes=1000)
    usage = shutil.disk_usage(settings.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=999))
    with pytest.raises(StorageFullError, match=r"^the disk of the service is nearly full; try again later$"):
        accept(strict)
    assert strict.counts()["queued"] == 1
    assert (strict.folder(old.id) / "source").read_bytes() == b"photo"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    accept(strict)


def test_a_disk_that_fills_while_a_photo_arrives(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFullError) as caught:
        accept(store)
    assert caught.value.code == "storage_full"
    monkeypatch.undo()
    assert store.queue_length() == 0
    assert [*(store.data / "jobs").iterdir()] == []


def test_a_database_that_cannot_grow(store: JobStore) -> None:
    accept(store)
    database = store._database()
    database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
    large = JobParameters(regions=tuple(f"{x},0,5,5" for x in range(2000)))
    with pytest.raises(StorageFullError):
        store.create("ann", large)
    assert store.queue_length() == 1


def test_a_result_is_published_once(store: JobStore) -> None:
    job = claimed(store)
    assert [store.publish(job, {"a": 1}), store.publish(job, {"a": 2})] == [True, False]
    assert not store.fail(job, FdikpError("late"))
    assert not store.progress(job, 1, 4)
    assert not store.cancel(job.id)
    assert store.get(job.id).result == {"a": 1}


def test_an_attempt_that_was_given_up_publishes_nothing(store: JobStore) -> None:
    first = claimed(store)
    assert store.recover() == 1
    second = store.claim()
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    assert not store.holds(first)
    assert not store.publish(first, {"by": 1})
    assert store.publish(second, {"by": 2})
    assert store.get(first.id).result == {"by": 2}


def test_an_error_keeps_its_code_and_hint(store: JobStore) -> None:
    job = claimed(store)
    assert store.fail(job, PhotoError("is empty", code="photo_damaged", hint="send it again"))
    failed = store.get(job.id)
    assert (failed.state, failed.error_code, failed.error_message, failed.error_hint) == (
        "failed",
        "photo_damaged",
        "is empty",
        "send it again",
    )


def test_a_job_that_kills_its_workers_fails(store: JobStore) -> None:
    job = claimed(store)
    for _ in range(2):
        assert store.recover() == 1
        assert store.claim() is not None
    assert store.recover() == 0
    failed = store.get(job.id)
    assert (failed.state, failed.error_code) == ("failed", "internal_error")
    assert failed.error_message == "the process that worked on this photo died 3 times"


def test_a_job_that_is_put_back_was_not_attempted(store: JobStore) -> None:
    for _ in range(5):
        job = claimed(store) if store.queue_length() == 0 else store.claim()
        assert job is not None
        assert job.attempts == 1
        assert store.release(job)
    assert not store.release(job)


@pytest.mark.parametrize("state", ["receiving", "queued", "running"])
def test_an_unfinished_job_is_cancelled(store: JobStore, state: str) -> None:
    ticket = store.create("ann", PARAMETERS) if state == "receiving" else accept(store)
    job = store.claim() if state == "running" else None
    assert store.get(ticket.id).state == state
    assert [store.cancel(ticket.id), store.cancel(ticket.id)] == [True, False]
    assert store.get(ticket.id).state == "cancelled"
    assert store.folder(ticket.id).exists() == (state == "running")  # the worker deletes its files when it notices
    if job is not None:
        assert not store.progress(job, 1, 4)
        assert not store.publish(job, {})
    with pytest.raises(UnknownJobError):
        store.enqueue(ticket.id)
    assert store.claim() is None


def test_a_job_without_a_photo_is_not_accepted(store: JobStore) -> None:
    ticket = store.create("ann", PARAMETERS)
    with pytest.raises(UnknownJobError):
        store.enqueue(ticket.id)
    assert store.get(ticket.id).state == "receiving"


def test_a_photo_of_a_cancelled_job_is_not_taken(store: JobStore) -> None:
    ticket = store.create("ann", PARAMETERS)
    store.cancel(ticket.id)
    with (
        pytest.raises(UnknownJobError, match="the job was cancelled while its photo arrived"),
        store.receive(ticket.id),
    ):
        pytest.fail("its folder is gone")


def test_a_photo_is_shared_by_another_job(store: JobStore) -> None:
    first = store.accept("ann", PARAMETERS, b"photo", b"mask")
    second = store.accept("ann", PARAMETERS, store.folder(first.id) / "source", b"another mask")
    store.discard(first.id)
    assert (store.folder(second.id) / "source").read_bytes() == b"photo"
    assert (store.folder(second.id) / "mask").read_bytes() == b"another mask"
    assert store.get(second.id).has_mask
    with pytest.raises(UnknownJobError):
        store.get(first.id)


def test_a_job_whose_shared_photo_is_gone_leaves_nothing(store: JobStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.accept("ann", PARAMETERS, store.folder("gone") / "source")
    assert store.queue_length() == 0


def test_ended_jobs_expire(store: JobStore) -> None:
    old, young, running = claimed(store), claimed(store), claimed(store)
    store.publish(old, {}, now=1000.0)
    store.publish(young, {}, now=1090.0)
    assert store.expire(60.0, now=1100.0) == 1
    assert [path.name for path in (store.data / "jobs").iterdir() if path.name == old.id] == []
    assert store.counts() == {"receiving": 0, "queued": 0, "running": 1, "done": 1, "failed": 0, "cancelled": 0}
    assert store.get(running.id).state == "running"
    with pytest.raises(UnknownJobError):
        store.get(old.id)


def test_a_sweep_deletes_what_a_crash_has_left(store: JobStore) -> None:
    done, kept, lost = claimed(store), accept(store), accept(store)
    store.publish(done, {})
    arriving = store.create("bob", PARAMETERS)
    (store.folder("stray") / "deeper").mkdir(parents=True)
    half = store.folder(kept.id) / ".fdikp-0123456789abcdef.part"
    half.touch()
    store.delete_files(lost.id)
    assert store.sweep() == 2
    assert {path.name for path in (store.data / "jobs").iterdir()} == {done.id, kept.id}
    assert not half.exists()
    assert store.get(lost.id).error_message == "the photo was lost"
    assert [store.get(id).state for id in (done.id, kept.id)] == ["done", "queued"]
    with pytest.raises(UnknownJobError):
        store.get(arriving.id)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FdikpError, match=r"file.*: not a directory"):
        JobStore(tmp_path / "file" / "data")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(FdikpError, match=r"jobs\.sqlite: file is not a database; choose another data folder$"):
        JobStore(tmp_path)
