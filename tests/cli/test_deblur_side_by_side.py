"""The next photograph is read, and the last one's result written, while the network works on this one."""

import itertools
import json
import threading
import time
from types import SimpleNamespace

import pytest
from PIL import Image


@pytest.fixture
def meet(monkeypatch):
    """Make calls of the given functions wait for each other: they end only if they run at the same time."""

    def meet(*places: tuple[object, str, int]):
        meeting = threading.Barrier(len(places), timeout=30)

        def waiting(function, number):
            calls = itertools.count(1)

            def call(*args, **options):
                if next(calls) == number:
                    meeting.wait()
                return function(*args, **options)

            return call

        for owner, name, number in places:
            monkeypatch.setattr(owner, name, waiting(getattr(owner, name), number), raising=False)

    return meet


def test_read_restored_and_written_at_once(deblur, picture, tree, meet):
    import fdikp.imaging
    from fdikp.inference.deblurrer import Deblurrer

    for name in "abcd":
        picture(f"x/{name}.png")
    meet((fdikp.imaging, "read_photo", 3), (Deblurrer, "restore", 2), (fdikp.imaging, "write_photo", 1))
    done = deblur("x", "-o", "out")
    assert (done.code, len(done.errors)) == (0, 1)
    assert [line.split()[0] for line in done.out.splitlines()] == [f"x/{name}.png" for name in "abcd"]
    assert tree("out") == [f"{name}.png" for name in "abcd"]


def test_seconds_are_those_of_the_photograph(deblur, picture, monkeypatch):
    """On a clock of each thread's own, which only the network's work moves."""
    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.jobs import steps as module

    restore = Deblurrer.restore
    clock = threading.local()

    def slow(self, photo, **options):
        clock.now = getattr(clock, "now", 0.0) + 100.0
        return restore(self, photo, **options)

    monkeypatch.setattr(Deblurrer, "restore", slow)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: getattr(clock, "now", 0.0)))
    picture("x/a.png"), picture("x/b.png")  # b is read, and then waits, while a is worked on
    done = deblur("x", "-o", "out", "--json")
    assert [json.loads(line)["seconds"] for line in done.out.splitlines()] == [100.0, 100.0]


@pytest.mark.parametrize("existing", [[], ["--skip-existing"], ["--overwrite"]])
def test_what_was_just_written_is_seen_however_far_ahead_it_was_read(deblur, picture, tmp_path, monkeypatch, existing):
    """Two names for one result, the second photograph read before the first is written or long after."""
    import fdikp.imaging

    write = fdikp.imaging.write_photo

    def slow(photo, path, **options):
        time.sleep(pause)
        return write(photo, path, **options)

    monkeypatch.setattr(fdikp.imaging, "write_photo", slow, raising=False)
    picture("x/a.png"), picture("x/b.png"), picture("y/a.png", (8, 8))
    for pause in (0, 0.2):
        out = tmp_path / f"out{pause}"
        (out / "x").mkdir(parents=True)
        (out / "y").symlink_to("x")
        done = deblur("x", "y", "-o", out, *existing)
        assert (done.code, len(done.errors), len(done.out.splitlines())) == (1, 2, 2)
        assert f"y/a.png: {out}/y/a.png was just written for another photo" in done.err
        assert Image.open(out / "x/a.png").size == (30, 20)


def test_every_outcome_in_the_order_of_the_jobs(deblur, picture, tmp_path):
    """Those that fail or are skipped at once do not overtake those that take time."""
    picture("x/a.png", (150, 150)), picture("x/c.png", (150, 150)), picture("x/e.png"), picture("out/d.png")
    picture("x/d.png")
    (tmp_path / "x/b.png").write_text("text")
    done = deblur("x", "-o", "out", "--skip-existing", "--json")
    outcomes = [json.loads(line) for line in done.out.splitlines()]
    assert [outcome["input"] for outcome in outcomes] == [f"x/{name}.png" for name in "abcde"]
    assert [outcome["status"] for outcome in outcomes] == ["ok", "failed", "ok", "skipped", "ok"]
