"""The weights that are validated and shipped: an average of those that the optimiser went through."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from fdikp.network import FDIKP
from fdikp.training.recipe import Averaging


class Average(AveragedModel):
    """An average of a network's weights, updated after each step; BatchNorm's statistics are copied.

    `ema`: a running average, whose decay grows to `decay` over the first steps. `swa`: the plain mean over a phase
    (Izmailov et al. 2019); ours: of every step rather than of every epoch. `none`: the last weights themselves.
    """

    def __init__(self, network: FDIKP, decay: float) -> None:
        def blend(averages: Any, values: Any, count: Any) -> None:
            n = float(count)
            shares = {"ema": 1.0 - min(decay, (1.0 + n) / (10.0 + n)), "swa": 1.0 / (1.0 + n), "none": 1.0}
            torch._foreach_lerp_(averages, values, shares[self.kind])

        super().__init__(network, multi_avg_fn=blend)
        self.kind: Averaging = "ema"

    @property
    def network(self) -> FDIKP:
        """The network with the averaged weights."""
        network = self.module
        assert isinstance(network, FDIKP)
        return network

    def begin(self, kind: Averaging) -> None:
        """A phase begins: a plain mean starts anew with it, a running average goes on."""
        self.kind = kind
        if kind == "swa":
            self.n_averaged.zero_()


@contextmanager
def measured_statistics(network: nn.Module) -> Iterator[None]:
    """Within this context, what passes through the network sets BatchNorm's statistics anew, as their plain mean.

    Averaged weights make other activations than any of those averaged, and need statistics of their own.
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
