"""Ctrl-C and SIGTERM end a run at once, with nothing half written and a way to go on."""

import re
import signal
import subprocess
import sys

import pytest
from PIL import Image

COMMAND = [sys.executable, "-c", "import sys; from fdikp.cli import main; sys.exit(main())", "deblur"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_from_outside(picture, weights_file, tree, tmp_path, sent, code):
    for number in range(60):
        picture(f"x/{number:02}.png", (120, 160))
    arguments = ["x", "-o", "out", "--model", str(weights_file), "--precision", "float32", "--blur-map"]
    process = subprocess.Popen(
        COMMAND + arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # As in a terminal: where tests run in the background, Ctrl-C is ignored by all that they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.stdout.readline()  # the first photograph is done, the second under way
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, (out, err)
    stopped = re.fullmatch(
        r"fdikp: stopped; (\d+) of 60 photos are done; run again with --skip-existing to continue\n", err
    )
    assert stopped and 1 <= int(stopped[1]) < 60
    written = tree("out")
    assert len([name for name in written if "_blurmap" not in name]) in (int(stopped[1]), int(stopped[1]) + 1)
    for name in written:
        Image.open(tmp_path / "out" / name).load()  # whole
    assert not [name for name in written if name.startswith(".")]


def test_what_was_stopped_goes_on(deblur, picture, tree, monkeypatch):
    from fdikp.inference.deblurrer import Deblurrer

    for name in "abcd":
        picture(f"x/{name}.png")
    restore = Deblurrer.restore
    calls = []

    def interrupted(self, photo, **options):
        calls.append(photo)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return restore(self, photo, **options)

    monkeypatch.setattr(Deblurrer, "restore", interrupted)
    done = deblur("x", "-o", "out")
    assert done.code == 130
    assert done.err == "fdikp: stopped; 2 of 4 photos are done; run again with --skip-existing to continue\n"
    assert tree("out") == ["a.png", "b.png"]
    done = deblur("x", "-o", "out", "--skip-existing")
    assert (done.code, len(calls)) == (0, 5)
    assert tree("out") == ["a.png", "b.png", "c.png", "d.png"]


def test_a_photo_that_failed_is_not_done(deblur, picture, tmp_path, monkeypatch):
    from fdikp.inference.deblurrer import Deblurrer

    def interrupted(self, photo, **options):
        raise KeyboardInterrupt

    picture("x/b.png"), picture("x/c.png")
    (tmp_path / "x/a.png").write_text("text")
    monkeypatch.setattr(Deblurrer, "restore", interrupted)
    last = deblur("x", "-o", "out").errors[-1]
    assert last == "fdikp: stopped; 0 of 3 photos are done, 1 failed; run again with --skip-existing to continue"


def test_stopped_while_a_result_is_written(deblur, picture, tree, monkeypatch):
    import os

    def interrupted(descriptor):
        raise KeyboardInterrupt

    picture("a.png")
    monkeypatch.setattr(os, "fsync", interrupted)
    done = deblur("a.png", "--blur-map", "--compare")
    assert (done.code, len(done.errors)) == (130, 1)
    assert tree() == ["a.png"]


def test_stopped_in_another_subcommand(run, picture, tree, monkeypatch):
    from fdikp.inference.deblurrer import Deblurrer

    def interrupted(self, photo, **options):
        raise KeyboardInterrupt

    picture("a.png")
    monkeypatch.setattr(Deblurrer, "analyse", interrupted)
    done = run("analyse", "a.png", "-o", "out")
    assert (done.code, done.err) == (130, "fdikp: stopped\n")
    assert tree() == ["a.png"]


def test_signal_handlers_are_left_as_they_were(deblur, picture):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    picture("a.png")
    deblur("a.png")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
