"""What a model's file says of it, read without torch."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fdikp import models
from fdikp.errors import WeightsError
from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.encoded_config import KEY
from fdikp.network.ops import native

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))
from allocations import allocations


@pytest.mark.parametrize("name", list(models.SHIPPED))
def test_shipped_models(name: str) -> None:
    descriptor = models.describe(name)
    network, loaded = models.load(name)
    assert descriptor == loaded
    assert descriptor.name == name and descriptor.sha256 == models.SHIPPED[name]
    assert descriptor.parameters == sum(p.numel() for p in network.parameters())
    assert descriptor.config == network.config
    assert descriptor.licence == "Apache-2.0"
    assert descriptor.provenance["made_of"]["colour"] == 0.75


def test_a_file_s_own_fields(tiny_config: NetworkConfig, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    models.save(FDIKP(tiny_config), path, name="mine", step=3, licence="CC-BY-4.0")
    descriptor = models.describe(path)
    assert descriptor.provenance == {"step": 3} and descriptor.licence == "CC-BY-4.0"
    models.save(FDIKP(tiny_config), path, name="mine")
    assert models.describe(path).licence is None


def test_it_is_json_and_hashable(tiny_weights: Path) -> None:
    descriptor = models.describe(tiny_weights)
    fields = json.loads(json.dumps(descriptor.to_dict()))
    assert fields["path"] == str(tiny_weights) and fields["precisions"] == ["float32", "bfloat16", "float16"]
    assert NetworkConfig.from_dict(fields["config"]) == descriptor.config
    assert fields["working_memory"] == descriptor.working_memory(512)
    assert hash(descriptor) == hash(replace(descriptor, provenance={"step": 3}))


def test_tiles(tiny_weights: Path) -> None:
    descriptor = models.describe(tiny_weights)
    assert [tile for tile in (0, 1, 48, 63, 64, 72, 80, 512) if descriptor.allows_tile(tile)] == [0, 64, 80, 512]


@pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")
@pytest.mark.parametrize(("name", "side"), [("fdikp-lite", 128), ("fdikp-lite", 160), ("fdikp-base", 64)])
def test_the_estimate_of_working_memory(name: str, side: int) -> None:
    """Relative to what is allocated, which does not depend on the load of the machine."""
    network, descriptor = models.load(name)
    x = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        network(x)
        peak = allocations(lambda: network(x)).peak
    assert 1.5 * peak < descriptor.working_memory(side) < 2.5 * peak
    assert descriptor.working_memory(side, "bfloat16") < descriptor.working_memory(side)
    assert descriptor.working_memory(1) == descriptor.working_memory(48)


def test_the_encoded_configuration_contradicts_the_header(tiny_weights: Path, tmp_path: Path) -> None:
    header = {"fdikp": json.dumps({"name": "x", "network": models.describe(tiny_weights).config.to_dict()})}
    path = tmp_path / "x.safetensors"
    for place, field in ((1, "heads"), (2, "dilation_range"), (3, "blur_reads"), (4, "kernels_act_on")):
        tensors = load_file(tiny_weights)
        tensors[KEY][place] = 1
        save_file(tensors, path, metadata=header)
        for read in (models.describe, models.load):
            with pytest.raises(WeightsError, match=rf"do not fit the network they declare \({field} is"):
                read(path)


def test_a_missing_tensor_is_noticed_by_loading(tiny_weights: Path, tmp_path: Path) -> None:
    header = {"fdikp": json.dumps({"name": "x", "network": models.describe(tiny_weights).config.to_dict()})}
    tensors = load_file(tiny_weights)
    del tensors["output.bias"]
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, metadata=header)
    with pytest.raises(WeightsError, match=r"do not fit the network they declare .*output\.bias"):
        models.load(path)
