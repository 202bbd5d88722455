"""The state of a run between two steps."""

import pytest
import torch

from fdikp.errors import TrainingError
from fdikp.network import FDIKP
from fdikp.training.average import Averages
from fdikp.training.losses import BlurSupervision
from fdikp.training.optimizers import build_optimizer
from fdikp.training.option_groups import OptimGroup
from fdikp.training.schedule import WorkClock
from fdikp.training.state import TrainingState


def state_of(config, optimizer: str = "muon", decays: tuple[float, ...] = (0.9, 0.99)) -> TrainingState:
    network = FDIKP(config)
    averages = Averages(network, decays)
    supervision = BlurSupervision(network)
    optim = build_optimizer(network, supervision, OptimGroup(optimizer=optimizer))
    return TrainingState("tiny", network, supervision, averages, optim, WorkClock())


def test_the_keys_of_a_checkpoint_stay(tiny_config):
    """Runs last for months: later versions have to continue from their checkpoints."""
    state = state_of(tiny_config)
    checkpoint = state.to_checkpoint()
    assert set(checkpoint) == {
        "config", "network", "supervision", "averages", "averaging", "optimizer", "seconds", "recent",
        "step", "seen", "phase", "skipped", "bad", "pixels",
    }  # fmt: skip
    assert set(checkpoint["supervision"]) == {"read.weight", "read.bias"}
    assert set(checkpoint["averages"]) == {"0.9", "0.99"}
    assert set(checkpoint["optimizer"]) == {"Muon", "Adam"}
    assert set(checkpoint["averages"]["0.9"]) == {"n_averaged"} | {f"module.{name}" for name in checkpoint["network"]}


def test_a_checkpoint_restores_every_part(tiny_config):
    torch.manual_seed(0)
    before, after = state_of(tiny_config), state_of(tiny_config)
    before.step, before.seen, before.pixels, before.clock.seconds = 7, 14, 99, 3.5
    after.restore(before.to_checkpoint())
    assert (after.step, after.seen, after.pixels, after.clock.seconds) == (7, 14, 99, 3.5)
    pairs = zip(before.network.state_dict().items(), after.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for (_, one), other in pairs)


def test_a_checkpoint_of_another_run_is_refused(tiny_config):
    checkpoint = state_of(tiny_config).to_checkpoint()
    with pytest.raises(TrainingError, match=r"has other averages; give ema_decay=0\.9 0\.99$"):
        state_of(tiny_config, decays=(0.5,)).restore(checkpoint)
    with pytest.raises(TrainingError, match=r"has another optimizer \(Muon, Adam\)"):
        state_of(tiny_config, optimizer="adam").restore(checkpoint)
    with pytest.raises(TrainingError, match="another network or loss"):
        state_of(tiny_config).restore(checkpoint | {"supervision": {}})
    with pytest.raises(TrainingError, match="another version of fdikp"):
        state_of(tiny_config).restore({name: value for name, value in checkpoint.items() if name != "pixels"})
