"""A configuration from tensors alone: every variant comes back, with the encoded configuration and mostly without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fdikp.models import config_from_state_dict, load
from fdikp.network import FDIKP, PRESETS, NetworkConfig
from fdikp.network.encoded_config import KEY

OTHERWISE = {
    "heads": {"heads": 2},
    "dilation range": {"dilation_range": 1.3},
    "image": {"blur_reads": "image"},
    "light": {"kernels_act_on": "light"},
    "fewer kernels": {"kernels": 3},
    "kernel size": {"kernel_size": 7},
    "depths": {"encoder_blocks": (2, 1), "decoder_blocks": (0, 3), "bottleneck_depth": 1},
    "spatial": {"predictor": "spatial", "position_adaptive": False},
    "fixed": {"predictor": "fixed", "kernel_size": 3, "predictor_width": 5, "position_adaptive": False},
}
CONFIGS = PRESETS | {name: replace(PRESETS["fdikp-lite"], **fields) for name, fields in OTHERWISE.items()}


def state_dict(config: NetworkConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        state = FDIKP(config).state_dict()
    return dict(state) | {KEY: FDIKP(replace(config, **SMALL)).state_dict()[KEY]}


SMALL = {"widths": (8, 8, 32), "encoder_blocks": (0, 0), "decoder_blocks": (0, 0), "bottleneck_depth": 1}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_comes_back(name: str) -> None:
    assert config_from_state_dict(state_dict(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"sram", "dsrm"}))
def test_older_weights_of_presets_too(name: str) -> None:
    """But those of fixed kernels, of which no tensor tells the size."""
    state = state_dict(PRESETS[name])
    del state[KEY]
    assert config_from_state_dict(state) == PRESETS[name]


def test_a_network_without_a_bottleneck() -> None:
    config = replace(PRESETS["fdikp-lite"], bottleneck_depth=0)
    assert config_from_state_dict(state_dict(config)) == config


def test_shipped_weights_as_numpy_arrays() -> None:
    network, descriptor = load("fdikp-lite")
    arrays = {key: tensor.numpy() for key, tensor in network.state_dict().items() if key != KEY}
    assert config_from_state_dict(arrays) == descriptor.config


def test_tensors_of_another_network_are_rejected() -> None:
    for state in ({}, {"layer.weight": np.zeros(3)}, {"dsrm.encoder.to_full.weight": np.zeros(())}):
        with pytest.raises(ValueError, match="not the tensors of an FDIKP network"):
            config_from_state_dict(state)


def test_a_contradiction_is_rejected() -> None:
    state = state_dict(PRESETS["fdikp-lite"])
    state[KEY][5] = 7  # the tensors have kernels of 5×5
    with pytest.raises(ValueError, match="encoded_config"):
        config_from_state_dict(state)
    state[KEY][0] = 2
    with pytest.raises(ValueError, match="version 1"):
        config_from_state_dict(state)
