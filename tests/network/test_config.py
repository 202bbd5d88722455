"""The parameter counts of the paper's tables, and the operation counts of the shipped models."""

from dataclasses import fields, replace

import pytest
import torch

from fdikp.evaluation.cost import gflop
from fdikp.network import FDIKP, PRESETS, NetworkConfig


def parameters(name: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in FDIKP(PRESETS[name]).parameters())


@pytest.mark.parametrize(
    ("name", "millions", "tolerance"),
    [
        ("fdikp-base", 5.52, 0.01),
        ("ddm-spatial", 3.37, 0.01),
        ("ddm-frequency", 3.73, 0.01),
        ("ddm-parallel", 6.52, 0.1),
        ("sram", 5.51, 0.1),
        ("sram-fikp", 5.62, 0.1),
        ("dsrm", 5.41, 0.02),
        ("dsrm-dikp", 5.52, 0.01),
    ],
)
def test_counts_are_the_papers(name: str, millions: float, tolerance: float) -> None:
    assert parameters(name) / 1e6 == pytest.approx(millions, abs=tolerance)


def test_full_model_to_the_last_parameter() -> None:
    assert parameters("fdikp-base") == 5_520_465


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("dsrm.encoder", 574_176),
        ("dsrm.bottleneck.0", 6 * 298_240),
        ("dsrm.bottleneck.1", 3 * 717_920),
        ("dsrm.decoder", 799_936),
        ("dsrm.apu", 98_196),
        ("fikp", 104_846),
        ("output", 111),
    ],
)
def test_each_box_of_figure_3(part: str, count: int) -> None:
    with torch.device("meta"):
        network = FDIKP(PRESETS["fdikp-base"])
    assert sum(p.numel() for p in network.get_submodule(part).parameters()) == count


def test_position_adaptation_costs_one_small_convolution() -> None:
    assert parameters("fdikp-base") - parameters("dsrm-dikp") == 28


def test_count_grows_with_kernel_size_and_five_is_second_smallest() -> None:
    counts = [parameters(f"kernel-{k}") for k in (3, 5, 7, 9, 11, 15)]
    assert counts == sorted(set(counts))
    assert counts[1] == parameters("fdikp-base")


def test_lite_costs_at_most_a_seventh_of_base() -> None:
    base, lite = gflop(PRESETS["fdikp-base"]), gflop(PRESETS["fdikp-lite"])
    assert 150 < base < 189  # with the literal full-plane KernelPredictor it is 189
    assert lite * 7 <= base


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"fdikp-base"}))
def test_every_variant_runs_and_learns(name: str) -> None:
    """Narrowed to be quick: shapes are right, and every parameter has a gradient."""
    torch.manual_seed(0)
    wide = PRESETS[name].bottleneck == "residual"
    widths = (8, 16, 24) if wide else (8, 8, 16)
    config = replace(PRESETS[name], widths=widths, predictor_width=8, encoder_blocks=(1, 1), decoder_blocks=(1, 1))
    network = FDIKP(config)
    torch.nn.init.normal_(network.dsrm.apu.gates.weight)
    x = torch.rand(2, 3, 48, 64)
    stages = network.stages(x)
    assert [tuple(s.image.shape) for s in stages] == [(2, 3, 12, 16), (2, 3, 24, 32), (2, 3, 48, 64)]
    N, K = config.kernels, config.kernel_size
    assert stages[-1].kernels.shape == (2, 2, N, K, K)
    assert stages[-1].coefficients.shape == (2, 2, N + 1, 48, 64)
    sum(s.image.square().mean() for s in stages).backward()  # type: ignore[union-attr]
    without_gradient = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # a softmax does not see what all its entries share, so such a bias may get no gradient but rounding
    assert not without_gradient, without_gradient


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("widths", [(64, 64, 100), (1, 2), (8, 8, 16, 16), (0, 8, 16), (8.0, 8, 16), 64, None, "864"]),
        ("encoder_blocks", [(1,), (1, -1), (1, 2.5), 3]),
        ("decoder_blocks", [(1, 2, 3), (-1, 1), 3]),
        ("bottleneck", ["x", "", None, 1]),
        ("bottleneck_depth", [-1, 1.5, "3", True]),
        ("heads", [0, -4, 2.0, 3]),
        ("predictor", ["x", None]),
        ("predictor_width", [0, -1, 8.0]),
        ("kernel_size", [4, 0, -3, 5.0]),
        ("kernels", [0, -1, 2.5, "5"]),
        ("position_adaptive", [None, "yes", 1]),
        ("dilation_range", [0.0, -1.0, 1e-7, float("nan"), float("inf"), "2"]),
        ("blur_reads", ["x", None]),
        ("kernels_act_on", ["x", ["codes"]]),
    ],
)
def test_invalid_configurations_are_rejected_by_the_fields_name(field: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=rf"\b{field}\b"):
            NetworkConfig(**{field: value})  # type: ignore[arg-type]


def test_every_field_is_checked() -> None:
    """No field accepts an arbitrary object."""
    for field in fields(NetworkConfig):
        with pytest.raises(ValueError, match=rf"^{field.name} must be"):
            NetworkConfig(**{field.name: object()})


@pytest.mark.parametrize("smallest", [{"encoder_blocks": (0, 1)}, {"bottleneck_depth": 0}, {"heads": 1}])
def test_the_smallest_values_build_a_network_that_runs(smallest: dict[str, object]) -> None:
    small = NetworkConfig(widths=(2, 2, 8), predictor_width=1, kernels=1, kernel_size=1)
    x = torch.rand(1, 3, 48, 48)
    torch.testing.assert_close(FDIKP(replace(small, **smallest))(x), x)  # type: ignore[arg-type]


def test_json_round_trip() -> None:
    import json

    for config in PRESETS.values():
        assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
