from dataclasses import replace

import pytest
import torch

from fdikp.network import FDIKP
from fdikp.training.average import Average, measured_statistics


@pytest.fixture
def network(tiny_config) -> FDIKP:
    torch.manual_seed(0)
    return FDIKP(replace(tiny_config))


def walk(network: FDIKP, average: Average, steps: int) -> list[torch.Tensor]:
    """Move the weights at random; returns one of them after each step."""
    weights = []
    for _ in range(steps):
        with torch.no_grad():
            network.output.weight += torch.randn_like(network.output.weight)
        average.update_parameters(network)
        weights.append(network.output.weight.detach().clone())
    return weights


def test_each_kind(network):
    average = Average(network, decay=0.5)
    average.begin("none")
    assert torch.equal(average.network.output.weight, walk(network, average, 3)[-1])
    average.begin("swa")
    weights = walk(network, average, 10)
    assert torch.allclose(average.network.output.weight, torch.stack(weights).mean(dim=0), atol=1e-6)
    average.begin("ema")
    before = average.network.output.weight.detach().clone()
    (after,) = walk(network, average, 1)
    assert torch.allclose(average.network.output.weight, 0.5 * before + 0.5 * after, atol=1e-6)


def test_statistics_are_the_plain_mean_of_what_passes_through(network):
    norm = network.dsrm.apu.norm
    batches = torch.rand(3, 2, 3, 64, 64)
    inputs_of_norm = []
    hook = norm.register_forward_hook(lambda module, inputs, output: inputs_of_norm.append(inputs[0].detach().float()))
    network.eval()
    with torch.no_grad(), measured_statistics(network):
        for batch in batches:
            network.stages(batch)
    hook.remove()
    assert len(inputs_of_norm) == 9  # three scales of three batches
    expected = torch.stack([features.mean(dim=(0, 2, 3)) for features in inputs_of_norm]).mean(dim=0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.momentum == 0.1 and not network.training
