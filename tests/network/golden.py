"""Networks with seeded weights whose results are stored, so that moving code about cannot change them unseen.

Run as a script it writes `golden.npz` anew; that is right only where a change of the results is meant.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdikp.network import FDIKP, PRESETS, NetworkConfig, ops
from fdikp.network.encoded_config import KEY as ENCODED_CONFIG

FILE = Path(__file__).with_name("golden.npz")

SHAPE = (2, 3, 48, 64)

TINY: dict[str, Any] = {
    "widths": (8, 8, 16),
    "encoder_blocks": (1, 1),
    "decoder_blocks": (1, 1),
    "bottleneck_depth": 1,
    "predictor_width": 4,
}

CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "lite": ("fdikp-lite", {}),
    "widths-of-kernels": ("fdikp-lite", {"widths": (16, 16, 64), "predictor_width": 32}),
    "image-light": ("fdikp-lite", {"blur_reads": "image", "kernels_act_on": "light"}),
    "kernel-7": ("kernel-7", {}),
    "sram": ("sram", {}),
    "dsrm-dikp": ("dsrm-dikp", {}),
    "ddm-parallel": ("ddm-parallel", {}),
    "spatial-predictor": ("spatial-predictor", {}),
}

CONFIGS: dict[str, NetworkConfig] = {
    name: replace(PRESETS[preset], **(TINY | changes)) for name, (preset, changes) in CHANGES.items()
}
"""Between them, every branch that a configuration can choose."""


def network(name: str) -> FDIKP:
    """The network of one configuration; its weights depend on the names of its tensors and on NumPy's generator."""
    net = FDIKP(CONFIGS[name])
    state = {key: tensor for key, tensor in net.state_dict().items() if key != ENCODED_CONFIG}
    for number, (key, tensor) in enumerate(sorted(state.items())):
        if tensor.is_floating_point():
            draws = np.random.default_rng(number).standard_normal(tensor.shape)
            fan = max(1, tensor[0].numel()) if tensor.ndim > 1 else 4
            values = torch.from_numpy(draws).float() * (0.7 / fan**0.5)
            offset = 1.0 if key.endswith(("norm.weight", "mlp.0.weight", "running_var")) else 0.0
            state[key] = (values.abs() if key.endswith("running_var") else values) + offset
    for key in ("output.weight", "dsrm.apu.gates.weight"):
        state[key] = state[key] * 0.3  # results stay near those of photographs
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def image() -> Tensor:
    """Two images of edges and noise, of different blur."""
    noise = torch.from_numpy(np.random.default_rng(99).random(SHAPE)).float()
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)
    steps = (torch.arange(SHAPE[3]) // 9 % 2).float().expand(SHAPE)
    return torch.cat((0.5 * noise[:1] + 0.4 * steps[:1], smooth[1:]))


def results(net: FDIKP) -> dict[str, Tensor]:
    """What the three stages return: images and kernels whole, of the other maps every fifth row and column."""
    with torch.inference_mode():
        stages = net.stages(image())
    found = {}
    for n, stage in enumerate(stages):
        found |= {f"{n}.image": stage.image, f"{n}.kernels": stage.kernels}
        found |= {f"{n}.{part}": getattr(stage, part)[..., ::5, ::5] for part in ("dilation", "coefficients")}
    return {name: value.float() for name, value in found.items()}


def stored(name: str) -> dict[str, Tensor]:
    """What `results` was when the file was written."""
    with np.load(FILE) as file:
        prefix = f"{name}/"
        return {key.removeprefix(prefix): torch.from_numpy(file[key]) for key in file if key.startswith(prefix)}


if __name__ == "__main__":
    with ops.reference():
        found = {f"{name}/{key}": v.numpy() for name in CONFIGS for key, v in results(network(name)).items()}
    np.savez_compressed(FILE, **found)
