"""Runs that are killed with SIGKILL at random moments end in the same weights as an uninterrupted run."""

import multiprocessing
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fdikp.training.checkpoint import has_checkpoint, load_checkpoint
from fdikp.training.recipe import Recipe

KILLS = 4


def begin(recipe: Recipe) -> None:
    """Train, in a process of its own."""
    from fdikp.training import loop, summary

    torch.set_num_threads(1)
    summary._plot, loop.STATISTICS_BATCHES = lambda *_: None, 2
    loop.train(recipe)


@pytest.fixture(scope="module")
def processes():
    """Makes processes as forks of one that has imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fdikp.training.loop", "lightning_fabric", "torch.utils.tensorboard"])
    return context


OPTIONS = {
    "adam": {
        "batch": (2, 1),
        "crop": (64, 80),
        "phase_lengths": (4, 1),
        "averaging": ("ema", "swa"),
        "blur": 0.1,
        "radius_hint": 0.1,
    },
    "muon": {"optimizer": "muon", "ema_decay": (0.5, 0.9), "schedule": "linear", "decay_start": 5},
    "soap": {"optimizer": "soap", "ema_decay": (0.9,), "schedule": "constant", "precision": "float32"},
}
"""Options of the killed runs. Together they have everything that a checkpoint holds."""


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_weights(
    processes, photos, tiny_weights, tmp_path, log_of, name
):
    recipe = Recipe().override(
        **{
            "start": str(tiny_weights),
            "paths": (Path(photos),),
            "output": tmp_path / "killed",
            "resume": True,
            "steps": 10,
            "batch": (2,),
            "crop": (64,),
            "warmup": 2,
            "save_every": 1e-9,
            "log_every": 1,
            "device": "cpu",
        }
        | OPTIONS[name]
    )
    undisturbed = recipe.override(output=tmp_path / "undisturbed")
    begin_undisturbed = processes.Process(target=begin, args=(undisturbed,))
    begin_undisturbed.start()
    begin_undisturbed.join()
    assert begin_undisturbed.exitcode == 0
    rng = random.Random(time.time_ns())
    reached = []
    for _ in range(KILLS):
        process = processes.Process(target=begin, args=(recipe,))
        process.start()
        before = reached[-1] if reached else 0
        while process.is_alive() and _step(recipe.runtime.output) <= before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.join()
        reached.append(_step(recipe.runtime.output))
    assert reached == sorted(reached) and reached[0] > 0
    last = processes.Process(target=begin, args=(recipe,))
    last.start()
    last.join()
    assert last.exitcode == 0
    one, other = (dict(leaves(load_checkpoint(run.runtime.output))) for run in (undisturbed, recipe))
    for clock in ("seconds", "recent"):
        one, other = ({path: v for path, v in state.items() if path[0] != clock} for state in (one, other))
    assert one.keys() == other.keys()
    assert [path for path, value in one.items() if not torch.equal(value, other[path])] == []
    for file in undisturbed.runtime.output.glob("weights*.safetensors"):
        assert _numbers(file.read_bytes()) == _numbers((recipe.runtime.output / file.name).read_bytes())
    assert len(list(recipe.runtime.output.glob("weights*.safetensors"))) == len(recipe.optim.ema_decay)
    lines = [[(line["step"], line["loss"], line["crops_128"]) for line in log_of(r)] for r in (undisturbed, recipe)]
    assert lines[0] == lines[1]
    assert not list(recipe.runtime.output.glob(".fdikp-*"))


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, torch.Tensor]]:
    """Every number and tensor of a checkpoint by its path, without strings."""
    if isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))
    elif isinstance(value, torch.Tensor | int | float):
        yield path, torch.as_tensor(value)


def _step(folder: Path) -> int:
    """The step of the newest checkpoint; it may be replaced while it is read."""
    while has_checkpoint(folder):
        try:
            state = load_checkpoint(folder)
        except FileNotFoundError:
            continue
        return int(state["step"]) if state else 0
    return 0


def _numbers(data: bytes) -> bytes:
    """A safetensors file without its header, which names the folder of the run."""
    return data[8 + int.from_bytes(data[:8], "little") :]
