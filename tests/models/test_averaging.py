"""The mean of networks, and how much of their weights cancels in it."""

import copy
from dataclasses import replace

import pytest
import torch

from fdikp import models
from fdikp.network import FDIKP


@pytest.fixture
def network(tiny_config):
    torch.manual_seed(0)
    return FDIKP(tiny_config).eval()


def changed(network: FDIKP, change) -> FDIKP:
    """A copy of the network with each parameter replaced."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(change(parameter))
    return other


def test_cancellation(network):
    assert models.weight_cancellation([network, network]) == pytest.approx(0, abs=1e-9)
    assert (
        models.weight_cancellation([network, changed(network, lambda p: p + 0.05 * torch.randn_like(p) * p.abs())])
        < 0.01
    )
    assert models.weight_cancellation([network, FDIKP(network.config)]) == pytest.approx(0.5, abs=0.1)
    assert models.weight_cancellation([network, changed(network, torch.neg)]) == pytest.approx(1)


def test_the_function_validates_its_arguments(network, tiny_config):
    other = FDIKP(replace(tiny_config, kernel_size=3))
    for networks, shares in (([], []), ([network], [1, 2]), ([network], [0]), ([network, other], [1, 1])):
        with pytest.raises(ValueError, match=r"share|configurations"):
            models.average(networks, shares)
