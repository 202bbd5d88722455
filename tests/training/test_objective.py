from dataclasses import replace

import pytest
import torch

from fdikp.network import FDIKP, PRESETS, NetworkConfig
from fdikp.training.losses import restoration_loss
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Objective, distillation_loss
from fdikp.training.option_groups import LossGroup
from fdikp.training.recipes import RECIPES

NUMERICS = Numerics(torch.device("cpu"), False, torch.contiguous_format)


def narrow(config: NetworkConfig) -> NetworkConfig:
    """The same parts with few channels."""
    few = {"widths": (8, 8, 16), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)}
    return replace(config, **few, bottleneck_depth=1, predictor_width=4)


def test_the_objective_is_the_paper_s_where_nothing_else_is_asked_for(tiny_config):
    torch.manual_seed(0)
    objective = Objective(FDIKP(tiny_config), LossGroup(), NUMERICS)
    blurred, target = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    output = objective(blurred, target, None)
    assert output.parts == {}
    assert torch.equal(output.loss, restoration_loss(output.images, target))


@pytest.mark.parametrize("name", sorted({recipe.network.config for recipe in RECIPES.values()}))
def test_every_network_of_a_recipe_trains_whole(name):
    """A parameter without a gradient would never learn, and processes that share gradients would wait for it."""
    torch.manual_seed(0)
    network = FDIKP(narrow(PRESETS[name]))
    with torch.no_grad():
        network.dsrm.apu.gates.weight.normal_(std=0.1)  # untrained, what is blended has no weight
    objective = Objective(network, LossGroup(), NUMERICS)
    objective(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), None).loss.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without


def test_imitation_written_out():
    torch.manual_seed(0)
    images, targets = ([torch.rand(2, 3, n, n) for n in (16, 32, 64)] for _ in range(2))
    distances = [(a - b).abs().mean().item() for a, b in zip(images, targets, strict=True)]
    expected = 0.1 * distances[0] + 0.2 * distances[1] + distances[2]
    assert distillation_loss(images, targets, (1.0, 0.2, 0.1)).item() == pytest.approx(expected, rel=1e-5)


def test_a_teacher_is_not_taught(tiny_config):
    teacher = FDIKP(tiny_config)
    objective = Objective(FDIKP(tiny_config), LossGroup(), NUMERICS, teacher=teacher)
    objective.train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    objective(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), None).loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_lpips_sees_pictures_at_another_place_at_each_step(tiny_config):
    sizes = []

    class Seen(torch.nn.Module):
        def forward(self, x, y):
            sizes.append(tuple(x.shape[-2:]))
            return (x - y).abs().mean(dim=(1, 2, 3))

    objective = Objective(FDIKP(tiny_config), LossGroup(scales=(1.0, 0.0, 0.0)), NUMERICS, perceptual=Seen())
    for objective.step in range(4):
        objective(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), None)
    assert len(set(sizes)) > 4  # two scales are large enough for LPIPS, and each step pads them otherwise
