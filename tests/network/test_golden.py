"""Results of seeded networks are what was stored: by torch's own operations, and by the kernels."""

import sys
from pathlib import Path

import pytest
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from golden import CONFIGS, network, results, stored

from fdikp.network import ops

KERNELS = 5e-3
"""Largest difference of inverse kernels. They follow the phase of faint frequencies, which rounding turns; the images
that they make do not show it."""


@pytest.mark.parametrize("name", CONFIGS)
def test_torch_s_operations_give_what_was_stored(name: str) -> None:
    with ops.reference():
        found = results(network(name))
    for key, expected in stored(name).items():
        most = KERNELS if key.endswith("kernels") else 1e-5
        assert float((found[key] - expected).abs().max()) < most, key


@pytest.mark.parametrize("name", CONFIGS)
def test_the_kernels_give_what_was_stored_to_90_db(name: str) -> None:
    found = results(network(name))
    for key, expected in stored(name).items():
        assert psnr(found[key], expected) > (45 if key.endswith("kernels") else 90), key


def psnr(output: Tensor, target: Tensor) -> float:
    return float(-10 * (output - target).square().mean().clamp_min(1e-20).log10())
