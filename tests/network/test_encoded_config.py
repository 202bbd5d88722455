"""The part of a configuration that state dicts carry: it comes back, and survives what is done to networks."""

import copy
from dataclasses import replace

import pytest
import torch

from fdikp.network import FDIKP, PRESETS, NetworkConfig
from fdikp.network.encoded_config import KEY, decode, encode

UNUSUAL = {
    "heads": 2,
    "dilation_range": 1.234567,
    "blur_reads": "image",
    "kernels_act_on": "light",
    "kernel_size": 7,
    "predictor_width": 3,
    "position_adaptive": False,
}


def test_it_comes_back() -> None:
    assert decode(encode(NetworkConfig(**UNUSUAL))) == UNUSUAL  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[], [2, 4, 2000000, 0, 0, 5, 16, 1], [1, 4], [1, 4, 2000000, 9, 0, 5, 16, 1]])
def test_other_numbers_are_rejected(values: list[int]) -> None:
    with pytest.raises(ValueError, match="encoded_config"):
        decode(values)


def test_the_dilation_range_is_what_can_be_encoded() -> None:
    config = NetworkConfig(dilation_range=4 / 3)
    assert config.dilation_range == decode(encode(config))["dilation_range"] == pytest.approx(4 / 3, abs=1e-6)


def test_conversions_leave_it_exact(tiny_config: NetworkConfig) -> None:
    config = replace(tiny_config, dilation_range=1.234567)
    network = copy.deepcopy(FDIKP(config)).to(torch.bfloat16)
    assert network.state_dict()[KEY].tolist() == encode(config)


def test_state_dicts_without_it_load_strictly(tiny_config: NetworkConfig) -> None:
    state = FDIKP(tiny_config).state_dict()
    del state[KEY]
    network = FDIKP(tiny_config)
    network.load_state_dict(state)
    averaged = torch.optim.swa_utils.AveragedModel(network)  # where the network is a part of another module
    averaged.load_state_dict(
        {f"module.{key}": tensor for key, tensor in state.items()} | {"n_averaged": torch.tensor(3)}
    )
    assert averaged.module.state_dict()[KEY].tolist() == encode(tiny_config)
    assert KEY not in state


def test_it_stays_that_of_the_network(tiny_config: NetworkConfig) -> None:
    network = FDIKP(replace(tiny_config, kernels_act_on="light"))
    network.load_state_dict(FDIKP(tiny_config).state_dict())
    assert network.state_dict()[KEY].tolist() == encode(network.config)


def test_it_is_no_parameter() -> None:
    with torch.device("meta"):
        network = FDIKP(PRESETS["fdikp-lite"])
    assert KEY in dict(network.named_buffers()) and KEY not in dict(network.named_parameters())
