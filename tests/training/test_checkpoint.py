import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fdikp import files
from fdikp.errors import TrainingError
from fdikp.training import setup
from fdikp.training.checkpoint import BEFORE, NAME, NEW, has_checkpoint, load_checkpoint, save_checkpoint
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
    newest = tmp_path / NAME
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1  # within a tensor, where torch itself would not notice
    broken = {"cut": data[:3000], "flipped": data, "empty": b""}
    newest.write_bytes(broken[damage]) if damage in broken else newest.unlink()
    said: list[str] = []
    assert load_checkpoint(tmp_path, said.append)["step"] == 1
    assert [NAME in line and "damaged" in line for line in said] == [True] * (damage in broken)


def test_when_all_are_damaged_that_is_said(tmp_path):
    save(tmp_path, 1, 2)
    for name in (NAME, BEFORE):
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"every checkpoint is damaged.*--out"):
        load_checkpoint(tmp_path)


def test_a_whole_one_is_there_at_every_moment_of_saving(tmp_path, monkeypatch):
    """As a kill would find it before each rename; beginning with the newest damaged, the hardest case."""
    save(tmp_path, 1, 2)
    (tmp_path / NAME).write_bytes(b"nonsense")
    found = []
    rename = os.replace

    def look(old, new):
        copy = tmp_path / f"copy-{len(found)}"
        copy.mkdir()
        for name in (NAME, NEW, BEFORE):
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, copy)
        found.append(load_checkpoint(copy)["step"])
        rename(old, new)

    monkeypatch.setattr(os, "replace", look)  # what Path.replace calls, too
    save(tmp_path, 3)
    assert found == [1, 3, 3]
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
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([NAME, BEFORE])

    def test_training_goes_on_and_saves_when_there_is_room_again(self, recipe, full, monkeypatch, capfd):
        from fdikp.training import loop

        step = loop._step

        def full_for_a_while(run, *more):
            result = step(run, *more)
            full[:] = [True] * (run.step in (3, 4))
            return result

        monkeypatch.setattr(loop, "_step", full_for_a_while)
        train(replace(recipe, save_every=1e-9))
        assert load_checkpoint(recipe.out)["step"] == 6
        told = [line for line in capfd.readouterr().err.splitlines() if "No space" in line]
        assert len(told) == 2 and all("training goes on" in line for line in told)

    def test_a_disk_full_at_the_end_is_an_error(self, recipe, full, monkeypatch):
        monkeypatch.setattr(setup.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1 << 40}))
        from fdikp.training import loop

        step = loop._step
        monkeypatch.setattr(loop, "_step", lambda run, *more: (step(run, *more), full.append(True))[0])
        with pytest.raises(TrainingError, match=r"cannot be written: No space left on device; free some space"):
            train(replace(recipe, steps=1))
