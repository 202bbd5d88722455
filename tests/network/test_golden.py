"""Seeded networks give their stored results, by the reference bodies and by the fused kernels."""

import sys
from pathlib import Path

import pytest
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from golden import CONFIGS, network, results, stored

from fdikp.network import ops

KERNELS = 5e-3
"""Largest difference of inverse kernels. They depend on the phase of faint frequencies, which rounding changes; the
images do not show it."""


@pytest.mark.parametrize("name", CONFIGS)
def test_the_reference_gives_the_stored_results(name: str) -> None:
    with ops.reference():
        actual = results(network(name))
    for key, expected in stored(name).items():
        most = KERNELS if key.endswith("kernels") else 1e-5
        assert float((actual[key] - expected).abs().max()) < most, key


@pytest.mark.parametrize("name", CONFIGS)
def test_fused_kernels_give_the_stored_results_to_90_db(name: str) -> None:
    actual = results(network(name))
    for key, expected in stored(name).items():
        assert psnr(actual[key], expected) > (45 if key.endswith("kernels") else 90), key


def psnr(output: Tensor, target: Tensor) -> float:
    return float(-10 * (output - target).square().mean().clamp_min(1e-20).log10())
