import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

from fdikp import files
from fdikp.errors import TrainingError
from fdikp.training import session
from fdikp.training.checkpoint import (
    CHECKPOINT_FILE,
    FILES,
    PREVIOUS_FILE,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from fdikp.training.loop import train


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, {"step": step, "tensor": torch.arange(1000.0)})


def test_the_newest_is_read(tmp_path):
    assert load_checkpoint(tmp_path) is None and not has_checkpoint(tmp_path)
    save(tmp_path, 1, 2)
    assert load_checkpoint(tmp_path)["step"] == 2 and has_checkpoint(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, damage):
    save(tmp_path, 1, 2)
    newest = tmp_path / CHECKPOINT_FILE
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1  # within a tensor, where torch itself would not notice
    broken = {"cut": data[:3000], "flipped": data, "empty": b""}
    newest.write_bytes(broken[damage]) if damage in broken else newest.unlink()
    warnings: list[str] = []
    assert load_checkpoint(tmp_path, warnings.append)["step"] == 1
    assert [CHECKPOINT_FILE in line and "damaged" in line for line in warnings] == [True] * (damage in broken)


def test_an_error_if_all_are_damaged(tmp_path):
    save(tmp_path, 1, 2)
    for name in (CHECKPOINT_FILE, PREVIOUS_FILE):
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"every checkpoint is damaged.*output="):
        load_checkpoint(tmp_path)


def test_a_whole_one_is_there_at_every_moment_of_saving(tmp_path, monkeypatch):
    """As a kill would find it before each rename; beginning with the newest damaged, the hardest case."""
    save(tmp_path, 1, 2)
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"nonsense")
    steps = []
    rename = os.replace

    def look(old, new):
        copy = tmp_path / f"copy-{len(steps)}"
        copy.mkdir()
        for name in FILES:
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, copy)
        steps.append(load_checkpoint(copy)["step"])
        rename(old, new)

    monkeypatch.setattr(os, "replace", look)  # what Path.replace calls, too
    save(tmp_path, 3)
    assert steps == [1, 3, 3]
    assert load_checkpoint(tmp_path)["step"] == 3


class TestFullDisk:
    @pytest.fixture
    def full(self, monkeypatch):
        """While the list that is returned is not empty, nothing can be synced to disk."""
        state: list[bool] = []
        sync = os.fsync

        def fsync(number):
            if state:
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(number)

        monkeypatch.setattr(files.os, "fsync", fsync)
        return state

    def test_the_checkpoints_before_stay(self, tmp_path, full):
        save(tmp_path, 1, 2)
        full.append(True)
        with pytest.raises(OSError, match="No space"):
            save(tmp_path, 3)
        assert load_checkpoint(tmp_path)["step"] == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CHECKPOINT_FILE, PREVIOUS_FILE])

    def test_training_goes_on_and_saves_when_there_is_room_again(self, recipe, full, monkeypatch, capfd):
        from fdikp.training import loop

        step = loop._step

        def full_for_a_while(run, *more):
            result = step(run, *more)
            full[:] = [True] * (run.step in (3, 4))
            return result

        monkeypatch.setattr(loop, "_step", full_for_a_while)
        train(recipe.override(save_every=1e-9))
        assert load_checkpoint(recipe.runtime.output)["step"] == 6
        messages = [line for line in capfd.readouterr().err.splitlines() if "No space" in line]
        assert len(messages) == 2 and all("training continues" in line for line in messages)

    def test_a_disk_full_at_the_end_is_an_error(self, recipe, full, monkeypatch):
        monkeypatch.setattr(session.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1 << 40}))
        from fdikp.training import loop

        step = loop._step
        monkeypatch.setattr(loop, "_step", lambda run, *more: (step(run, *more), full.append(True))[0])
        with pytest.raises(TrainingError, match=r"cannot be written: No space left on device; free some space"):
            train(recipe.override(steps=1))
