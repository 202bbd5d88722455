"""The worker: it does each job once, whatever happens between two of its steps."""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engines import TILES, Model, NegativeEngine

from fdikp import jobs
from fdikp.files import cannot_be_written
from fdikp.imaging import read_photo
from fdikp.service import codec
from fdikp.service.job import URGENT, Job, StorageFullError, Ticket
from fdikp.service.parameters import JobParameters
from fdikp.service.settings import ServiceSettings
from fdikp.service.store import JobStore
from fdikp.service.worker import Worker, locked

BARE = JobParameters(preview=False, maps=False, display=False)

CHECKPOINTS = ("claimed", "decoded", "previewed", "restored", "written")


class Killed(BaseException):
    """Stands for the end of the process."""


def work_all(worker: Worker, store: JobStore) -> None:
    while job := store.claim():
        worker.work(job)


def done(store: JobStore, ticket: Ticket) -> Job:
    job = store.get(ticket.id)
    assert (job.state, job.error_message) == ("done", None)
    return job


@pytest.fixture
def engine() -> NegativeEngine:
    return NegativeEngine()


@pytest.fixture
def worker(settings: ServiceSettings, store: JobStore, engine: NegativeEngine) -> Worker:
    return Worker(settings, store, lambda settings, model: engine)


def test_a_job_gives_what_the_command_line_gives(
    worker: Worker, store: JobStore, photo: Callable[..., bytes], tmp_path: Path
) -> None:
    content = photo(format="JPEG", quality=90, comment=b"mine")
    ticket = store.accept("ann", JobParameters(preview=False), content)
    work_all(worker, store)
    result = done(store, ticket).result
    assert result is not None
    (tmp_path / "a.jpg").write_bytes(content)
    expected = jobs.run(jobs.DeblurRequest(tmp_path / "a.jpg", tmp_path / "b.jpg"), NegativeEngine())
    assert (store.folder(ticket.id) / result["files"]["result"]).read_bytes() == (tmp_path / "b.jpg").read_bytes()
    assert (result["width"], result["height"], result["tiles"], result["model"]) == (30, 20, TILES, "negative")
    assert (result["media_type"], result["notes"]) == ("image/jpeg", [*expected.notes])
    assert {*result["files"]} == {"result", "display", "before", "blur_map", "blur_map_figure", "confidence"}
    assert (store.get(ticket.id).tiles_done, store.get(ticket.id).tiles_total) == (TILES, TILES)


def test_a_mask_keeps_what_it_keeps(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes], calibrated_weights: Path
) -> None:
    """With a real network, by the path of its weights; the pixels are those of the command line."""
    from fdikp.inference.load import load_model

    name = str(calibrated_weights)
    settings = replace(settings, models=(name,), default_model=name, device="cpu", tile=64)
    content, mask = photo(80, 70), photo(80, 70, seed=1)
    parameters = JobParameters("tiny", strength=0.5, format="tiff", max_blur=8.0)
    ticket = store.accept("ann", parameters, content, mask)
    work_all(Worker(settings, store), store)
    result = done(store, ticket).result
    assert result is not None
    folder = store.folder(ticket.id)
    request = jobs.DeblurRequest(
        folder / "source", folder / "expected.tif", strength=0.5, mask=folder / "mask", max_blur=8.0
    )
    assert jobs.run(request, load_model(name, "cpu", tile=64)).status == "ok"
    pixels = read_photo(folder / "result.tif").pixels
    assert np.array_equal(pixels, read_photo(folder / "expected.tif").pixels)
    assert (pixels != read_photo(folder / "source").pixels).any()
    assert {"blur_map", "confidence"} <= {*result["files"]}
    assert (result["model"], result["tiles"]) == ("tiny", 4)


def test_models_without_calibration_give_no_maps(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes], tiny_weights: Path
) -> None:
    name = str(tiny_weights)
    settings = replace(settings, models=(name,), default_model=name)
    ticket = store.accept("ann", JobParameters("tiny"), photo())
    work_all(Worker(settings, store, lambda settings, model: NegativeEngine(Model(model))), store)
    result = done(store, ticket).result
    assert result is not None
    assert {*result["files"]} == {"result", "display", "before"}
    assert result["model"] == name


@pytest.mark.parametrize("point", CHECKPOINTS)
def test_a_job_is_published_once_wherever_its_worker_dies(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdikp.service.worker.PREVIEW_SIDE", 16)
    ticket = store.accept("ann", JobParameters(maps=False, display=False), photo())
    published = []
    publish = store.publish
    monkeypatch.setattr(store, "publish", lambda job, result: published.append(publish(job, result)) or published[-1])
    reached = []

    def checkpoint(name: str) -> None:
        reached.append(name)
        if name == point:
            raise Killed

    with pytest.raises(Killed):
        work_all(Worker(settings, store, lambda settings, model: NegativeEngine(), checkpoint), store)
    assert reached[-1] == point
    assert (store.get(ticket.id).state, published) == ("running", [])

    heir = Worker(
        settings, store, lambda settings, model: NegativeEngine(), lambda name: name == "ended" and heir.stop(0)
    )
    heir.run()
    job = done(store, ticket)
    assert (job.attempts, published) == (2, [True])
    assert job.result is not None
    assert {*job.result["files"]} == {"result", "preview"}
    result = read_photo(store.folder(ticket.id) / "result.png").pixels
    assert np.array_equal(result, 255 - read_photo(store.folder(ticket.id) / "source").pixels)
    assert store.recover() == 0


def test_a_job_that_ended_is_not_done_again(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes], engine: NegativeEngine
) -> None:
    def checkpoint(name: str) -> None:
        if name == "ended":
            raise Killed

    ticket = store.accept("ann", BARE, photo())
    with pytest.raises(Killed):
        work_all(Worker(settings, store, lambda settings, model: engine, checkpoint), store)
    assert store.recover() == 0
    assert store.claim() is None
    assert done(store, ticket).attempts == 1


def test_a_cancelled_job_ends_before_its_next_tile(
    worker: Worker, store: JobStore, engine: NegativeEngine, photo: Callable[..., bytes]
) -> None:
    ticket = store.accept("ann", BARE, photo())
    engine.before_tile = lambda photo, tile: tile == 1 and store.cancel(ticket.id)
    work_all(worker, store)
    assert engine.tiles == 2
    assert store.get(ticket.id).state == "cancelled"
    assert not store.folder(ticket.id).exists()


@pytest.mark.parametrize("point", ["restored", "written"])
def test_a_job_that_is_cancelled_after_its_last_tile_gives_nothing(
    settings: ServiceSettings, store: JobStore, photo: Callable[..., bytes], point: str
) -> None:
    ticket = store.accept("ann", BARE, photo())

    def checkpoint(name: str) -> None:
        if name == point:
            store.cancel(ticket.id)

    work_all(Worker(settings, store, lambda settings, model: NegativeEngine(), checkpoint), store)
    assert store.get(ticket.id).state == "cancelled"
    assert not store.folder(ticket.id).exists()


@pytest.mark.parametrize("method", ["progress", "publish"])
def test_a_job_outlives_a_full_database(
    settings: ServiceSettings,
    store: JobStore,
    photo: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr("fdikp.service.worker.FULL_DISK_SECONDS", 0.01)
    ticket = store.accept("ann", BARE, photo())
    faults = [StorageFullError("the disk is full")] * 5  # more often than a job may be attempted
    write = getattr(store, method)

    def write_at_last(*args: object) -> bool:
        if faults:
            raise faults.pop()
        return bool(write(*args))

    monkeypatch.setattr(store, method, write_at_last)
    worker = Worker(
        settings, store, lambda settings, model: NegativeEngine(), lambda name: name == "ended" and worker.stop(0)
    )
    worker.run()
    assert (done(store, ticket).attempts, faults) == (1, [])


def test_a_result_that_does_not_fit_on_the_disk_fails(
    worker: Worker, store: JobStore, photo: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_result(*args: object) -> None:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise codec.JobError(cannot_be_written("result.png", error), code="output_unwritable")

    monkeypatch.setattr("fdikp.service.codec.write_result", write_result)
    ticket = store.accept("ann", BARE, photo())
    work_all(worker, store)
    job = store.get(ticket.id)
    assert (job.state, job.error_code, job.error_hint) == ("failed", "storage_full", "try again later")


def test_a_waiting_client_is_served_between_two_tiles(
    worker: Worker, store: JobStore, engine: NegativeEngine, photo: Callable[..., bytes]
) -> None:
    long = store.accept("ann", BARE, photo())
    urgent: list[Ticket] = []

    def before_tile(image: object, tile: int) -> None:
        if tile == 1 and not urgent:
            urgent.append(store.accept("bob", BARE, photo(seed=1), priority=URGENT))
        elif tile == 2 and store.get(urgent[0].id).state == "queued":
            pytest.fail("the urgent job still waits")

    engine.before_tile = before_tile
    job = store.claim()
    assert job is not None
    worker.work(job)
    first, second = done(store, urgent[0]), done(store, long)
    assert first.finished is not None
    assert second.finished is not None
    assert first.finished <= second.finished
    for ticket in (long, urgent[0]):
        folder = store.folder(ticket.id)
        assert np.array_equal(read_photo(folder / "result.png").pixels, 255 - read_photo(folder / "source").pixels)


@pytest.mark.parametrize(
    ("parameters", "content", "code", "message"),
    [
        (BARE, b"hello" * 9, "photo_unsupported", "the photo: is not a photo in a format that fdikp reads"),
        (replace(BARE, model="x"), b"", "model_unknown", "x: the service has no such model"),
        (replace(BARE, regions=("500,500,5,5",)), None, "request_invalid", "the photo: the region"),
    ],
    ids=["photo", "model", "region"],
)
def test_a_job_that_cannot_be_done_fails(
    worker: Worker,
    store: JobStore,
    photo: Callable[..., bytes],
    parameters: JobParameters,
    content: bytes | None,
    code: str,
    message: str,
) -> None:
    bad = store.accept("ann", parameters, photo() if content is None else content)
    good = store.accept("ann", BARE, photo())
    work_all(worker, store)
    job = store.get(bad.id)
    assert (job.state, job.error_code, job.attempts) == ("failed", code, 1)
    assert job.error_message is not None
    assert job.error_message.startswith(message)
    assert str(store.data) not in job.error_message
    done(store, good)


def test_a_bug_of_an_engine_fails_its_job_alone(
    worker: Worker, store: JobStore, engine: NegativeEngine, photo: Callable[..., bytes]
) -> None:
    def before_tile(image: object, tile: int) -> None:
        engine.before_tile = lambda photo, tile: None
        raise ZeroDivisionError("division by zero")

    engine.before_tile = before_tile
    bad, good = store.accept("ann", BARE, photo()), store.accept("ann", BARE, photo())
    work_all(worker, store)
    assert store.get(bad.id).error_code == "internal_error"
    done(store, good)


def test_a_worker_that_is_stopped_puts_its_job_back(
    worker: Worker, store: JobStore, engine: NegativeEngine, photo: Callable[..., bytes]
) -> None:
    ticket = store.accept("ann", BARE, photo())
    engine.before_tile = lambda photo, tile: worker.stop(0)
    worker.run()
    job = store.get(ticket.id)
    assert (job.state, job.attempts, engine.tiles) == ("queued", 0, 1)
    assert (store.folder(ticket.id) / "source").exists()


def test_a_worker_that_is_stopped_may_end_its_job(
    worker: Worker, store: JobStore, engine: NegativeEngine, photo: Callable[..., bytes]
) -> None:
    running, waiting = store.accept("ann", BARE, photo()), store.accept("ann", BARE, photo())
    engine.before_tile = lambda photo, tile: worker.stop(60)
    worker.run()
    done(store, running)
    assert store.get(waiting.id).state == "queued"


def test_the_models_used_last_stay_loaded(settings: ServiceSettings, store: JobStore) -> None:
    loaded: list[str] = []
    worker = Worker(
        replace(settings, loaded_models=1), store, lambda settings, model: loaded.append(model) or NegativeEngine()
    )
    for name in (None, "fdikp-lite", "fdikp-base", "fdikp-base", "fdikp-lite"):
        worker.load(name)
    assert loaded == ["fdikp-lite", "fdikp-base", "fdikp-lite"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(BlockingIOError), locked(tmp_path / "lock", wait=False):
        pytest.fail("it was locked twice")
    with locked(tmp_path / "lock", wait=False):
        pass
