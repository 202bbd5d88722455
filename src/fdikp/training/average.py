"""Averages of the weights over steps: what is validated and written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from fdikp.network import FDIKP
from fdikp.training.option_groups import Averaging


class Average(AveragedModel):
    """An average of a network's weights, updated after each step. BatchNorm statistics are copied.

    `ema`: an exponential moving average, whose decay rises to `decay` over the first steps. `swa`: the plain mean over
    a phase (Izmailov et al. 2019); ours: of every step instead of every epoch. `none`: the last weights.
    """

    def __init__(self, network: FDIKP, decay: float) -> None:
        def blend(averages: Any, values: Any, count: Any) -> None:
            n = float(count)
            new_weight = {"ema": 1.0 - min(decay, (1.0 + n) / (10.0 + n)), "swa": 1.0 / (1.0 + n), "none": 1.0}
            torch._foreach_lerp_(averages, values, new_weight[self.kind])

        super().__init__(network, multi_avg_fn=blend)
        self.kind: Averaging = "ema"

    @property
    def network(self) -> FDIKP:
        """The network with the averaged weights."""
        network = self.module
        assert isinstance(network, FDIKP)
        return network

    def begin(self, kind: Averaging) -> None:
        """Start a phase: a plain mean starts again, a moving average continues."""
        self.kind = kind
        if kind == "swa":
            self.n_averaged.zero_()


class Averages:
    """Averages of one network's weights with different decays. The first one is written to weights.safetensors.

    Args:
        network: whose weights are averaged.
        decays: all different.
    """

    def __init__(self, network: FDIKP, decays: Sequence[float]) -> None:
        self.by_decay = {decay_name(decay): Average(network, decay) for decay in decays}

    @property
    def first(self) -> Average:
        """The average that is written to weights.safetensors."""
        return next(iter(self.by_decay.values()))

    @property
    def kind(self) -> Averaging:
        """The kind of averaging in this phase."""
        return self.first.kind

    def begin(self, kind: Averaging) -> None:
        """Start a phase."""
        for average in self.by_decay.values():
            average.begin(kind)

    def update(self, network: FDIKP) -> None:
        """Add the weights after a step."""
        for average in self.by_decay.values():
            average.update_parameters(network)

    def state_dict(self) -> dict[str, Any]:
        """The state of each average, by decay."""
        return {name: average.state_dict() for name, average in self.by_decay.items()}

    def load_state_dict(self, state: dict[str, Any], kind: Averaging) -> None:
        """Continue from what `state_dict` returned, in a phase of this kind.

        Raises:
            KeyError: it has other decays; the argument lists them.
        """
        if list(state) != list(self.by_decay):
            raise KeyError(" ".join(state))
        for name, average in self.by_decay.items():
            average.kind = kind
            average.load_state_dict(state[name])


def decay_name(decay: float) -> str:
    """A decay as written in logs, checkpoints and file names.

    >>> decay_name(0.9995)
    '0.9995'
    """
    return f"{decay:.10g}"


@contextmanager
def measured_statistics(network: nn.Module) -> Iterator[None]:
    """A context in which forward passes measure BatchNorm statistics again, as a plain mean over the batches.

    Averaged weights produce other activations than the weights they are averages of, and need their own statistics.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    training = network.training
    network.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
        network.train(training)
