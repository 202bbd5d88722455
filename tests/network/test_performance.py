"""The cost of a forward pass in operations and allocations, which are the same on every machine.

The bounds are slightly above the counts at the time they were set: a change that makes the network more expensive has
to raise one of them.
"""

import sys
from pathlib import Path

import pytest
import torch

from fdikp.evaluation.cost import gflop
from fdikp.inference.devices import choose_precision, has_bfloat16
from fdikp.network import FDIKP, PRESETS
from fdikp.network.ops import native

sys.path.insert(0, str(Path(__file__).parent))
from allocations import Allocations, allocations

needs_compiled = pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")

SIDE = 256

CPU = torch.device("cpu")
AUTO = choose_precision("auto", CPU)
"""The precision that `auto` chooses on this machine."""

# Where bfloat16 is emulated, torch computes it by other operations, which allocate several times as much
bfloat16 = pytest.param(
    torch.bfloat16, marks=pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor does not multiply bfloat16")
)


def counted(preset: str, dtype: torch.dtype, side: int = SIDE) -> Allocations:
    net = FDIKP(PRESETS[preset]).eval().to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        net(x)  # allocations of the first call only do not count
        return allocations(lambda: net(x))


def test_the_count_itself() -> None:
    count = allocations(lambda: torch.ones(1000, 250) + 1)
    assert count.at_least(10**6) == 2
    assert 2 * 10**6 <= count.peak < 2.1 * 10**6


@pytest.mark.parametrize(("preset", "most"), [("fdikp-base", 175.0), ("fdikp-lite", 23.8)])
def test_operations(preset: str, most: float) -> None:
    assert 0.9 * most < gflop(PRESETS[preset]) <= most


@needs_compiled
@pytest.mark.parametrize(
    ("preset", "features", "bytes_a_pixel"),
    [
        ("fdikp-base", 17, {torch.bfloat16: 1125, torch.float32: 2180}),
        ("fdikp-lite", 11, {torch.bfloat16: 570, torch.float32: 1070}),
    ],
)
@pytest.mark.parametrize("dtype", [bfloat16, torch.float32])
def test_full_resolution_features_and_peak_memory(
    preset: str, dtype: torch.dtype, features: int, bytes_a_pixel: dict[torch.dtype, int]
) -> None:
    """The number of allocations of the size of all full-resolution features, and the most memory held at once."""
    count = counted(preset, dtype)
    one = PRESETS[preset].widths[0] * SIDE**2 * dtype.itemsize
    assert count.at_least(one) <= features
    assert count.peak <= bytes_a_pixel[dtype] * SIDE**2


@needs_compiled
def test_nothing_is_as_wide_as_the_predictor_at_full_resolution() -> None:
    """Its 128 channels are computed in bands, so no map of them exists; two concatenated skips are as wide."""
    count = counted("fdikp-base", AUTO)
    assert count.at_least(PRESETS["fdikp-base"].predictor_width * SIDE**2 * AUTO.itemsize) <= 1


def test_memory_grows_with_the_pixels_alone() -> None:
    small, large = (counted("fdikp-lite", AUTO, side) for side in (128, 256))
    assert large.peak / small.peak == pytest.approx(4, rel=0.05)
