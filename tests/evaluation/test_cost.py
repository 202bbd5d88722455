"""What a network costs, against counts by hand and against what the system says."""

import mmap

import pytest
import torch
from torch import nn

from fdikp.evaluation.cost import PeakMemory, counter, gflop
from fdikp.network import FDIKP, NetworkConfig


def test_arithmetic_is_that_of_convolutions_and_matrix_products(tiny_config: NetworkConfig) -> None:
    """Layers counted by hooks as the pass goes by, each by its textbook formula; the rest is attention and sampling."""
    network = FDIKP(tiny_config).eval()
    counted = 0

    def convolution(layer: nn.Conv2d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal counted
        taps = layer.weight.shape[1] * layer.weight[0, 0].numel()
        counted += 2 * taps * output.numel()

    def transposed(layer: nn.ConvTranspose2d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal counted
        counted += 2 * layer.weight[0].numel() * inputs[0].numel()

    def linear(layer: nn.Linear, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal counted
        counted += 2 * layer.in_features * output.numel()

    kinds = {nn.Conv2d: convolution, nn.ConvTranspose2d: transposed, nn.Linear: linear}
    for module in network.modules():
        if type(module) in kinds:
            module.register_forward_hook(kinds[type(module)])  # type: ignore[arg-type]
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 96))
    total = gflop(tiny_config, 64, 96) * 1e9
    assert counted < total < 1.5 * counted


def test_it_is_what_a_real_pass_counts_and_grows_with_the_area(tiny_config: NetworkConfig) -> None:
    # With gradients: without, passes that torch knows nothing of do some of it
    with counter() as counted:
        FDIKP(tiny_config).eval()(torch.rand(1, 3, 64, 64))
    assert gflop(tiny_config, 64, 64) == pytest.approx(counted.get_total_flops() / 1e9)
    assert gflop(tiny_config, 256, 256) == pytest.approx(4 * gflop(tiny_config, 128, 128), rel=0.1)


def test_the_peak_is_of_what_ran_since() -> None:
    cpu = torch.device("cpu")
    before = PeakMemory(cpu).mib()
    if before is None:
        pytest.skip("this system does not tell")
    watched = PeakMemory(cpu)
    # 256 MiB straight from the system and back: malloc might hand out what another test freed, which adds nothing
    with mmap.mmap(-1, 2**28) as block:
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
    peak = watched.mib()
    assert peak is not None and peak > before + 200
    after = PeakMemory(cpu).mib()
    assert after is not None
    if after > before + 200:
        pytest.skip("this system does not let the mark be set back")
    assert after < peak - 200
