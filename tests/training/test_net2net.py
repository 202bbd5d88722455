"""An expanded network computes the function of the original one, and all its new weights learn."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fdikp import models
from fdikp.errors import TrainingError
from fdikp.network import FDIKP, PRESETS
from fdikp.training import train
from fdikp.training.net2net import expand


@pytest.fixture
def small(tiny_weights) -> FDIKP:
    network = models.load(tiny_weights)[0]
    torch.manual_seed(1)
    for parameter in network.parameters():  # biases and the scales of normalisations are not those of a new network
        parameter += 0.05 * torch.randn_like(parameter)
    for buffer in network.dsrm.apu.norm.buffers():
        if buffer.is_floating_point():
            buffer += 0.1 * torch.rand_like(buffer)
    return network


@pytest.fixture
def wide_config(tiny_config):
    return replace(
        tiny_config,
        widths=(16, 20, 40),
        encoder_blocks=(3, 2),
        decoder_blocks=(2, 3),
        bottleneck_depth=2,
        predictor_width=7,
    )


def ignore_new_channels(big: FDIKP, width: int) -> None:
    """Let the bottleneck's layer normalisations take their statistics over the old channels only."""

    def normalise(norm: nn.LayerNorm):
        def forward(x):
            old = x[..., :width]
            scale = (old.var(dim=-1, keepdim=True, correction=0) + norm.eps).rsqrt()
            return (x - old.mean(dim=-1, keepdim=True)) * scale * norm.weight + norm.bias

        return forward

    for module in big.modules():
        if isinstance(module, nn.LayerNorm):
            module.forward = normalise(module)


def results(network: FDIKP, x) -> list:
    with torch.no_grad():
        return network.stages(x)


def test_an_expanded_network_computes_the_same(small, wide_config):
    big = expand(small, wide_config)
    ignore_new_channels(big, small.config.widths[2])
    small, big = small.double(), big.double()
    x = torch.rand(2, 3, 64, 80, dtype=torch.float64)
    befores, afters = results(small, x), results(big, x)
    for name in ("image", "kernels", "dilation", "coefficients"):
        assert torch.allclose(getattr(befores[0], name), getattr(afters[0], name), atol=1e-6), name
    for before, after in zip(befores[1:], afters[1:], strict=True):  # a phase near -π may have become one near π
        assert torch.allclose(before.image, after.image, atol=3e-4)
    assert (results(small, x)[-1].image - x).abs().max() > 0.02  # or it would prove nothing


def test_without_a_wider_bottleneck_nothing_is_lost(small, wide_config):
    big = expand(small, replace(wide_config, widths=(16, 16, 16)))
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert torch.allclose(small.double()(x), big.double()(x), atol=3e-4)


def test_layer_normalisation_costs_little():
    lite = models.load("fdikp-lite")[0]
    torch.manual_seed(0)
    base = expand(lite, PRESETS["fdikp-base"])
    x = torch.rand(1, 3, 96, 96)
    x = nn.functional.interpolate(nn.functional.avg_pool2d(x, 8), scale_factor=8, mode="bicubic").clamp(0, 1)
    changed = (lite(x) - x).square().mean()
    with torch.no_grad():
        assert (base(x) - lite(x)).square().mean() < 0.1 * changed


def test_everything_new_learns(small, wide_config):
    big = expand(small, wide_config).train()
    start = {name: p.detach().clone() for name, p in big.named_parameters()}
    optimizer = torch.optim.Adam(big.parameters(), lr=1e-3)
    x = torch.rand(2, 3, 64, 64)
    for _ in range(3):  # what ends in zeros hears of the loss from the second step, what ends in that from the third
        optimizer.zero_grad()
        sum((stage.image - x.mean()).square().mean() for stage in big.stages(x)).backward()
        optimizer.step()
    assert [name for name, p in big.named_parameters() if torch.equal(p, start[name])] == []
    for name in ("dsrm.encoder.to_half", "dsrm.decoder.meet_full", "dsrm.apu.locate", "dsrm.bottleneck.0.0.split"):
        old = small.get_submodule(name).weight.shape
        into_old = (big.get_submodule(name).weight - start[f"{name}.weight"])[: old[0], old[1] :]
        assert into_old.abs().max() > 0, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (4, 16, 32)}, "widths"),
        ({"bottleneck_depth": 0}, "bottleneck_depth 1 does not fit into 0"),
        ({"kernels": 3}, "kernels cannot change from 5 to 3"),
        ({"heads": 2}, "heads cannot change from 4 to 2"),
        ({"widths": (12, 16, 32)}, "more ResBlocks need at least 16 channels instead of 8"),
        ({"bottleneck": "parallel"}, "bottleneck cannot change"),
    ],
)
def test_what_does_not_fit_is_refused(small, wide_config, change, message):
    with pytest.raises(ValueError, match=message):
        expand(small, replace(wide_config, **change))


def test_a_run_expands_the_weights_it_starts_from(recipe, tiny_weights, wide_config, monkeypatch):
    monkeypatch.setitem(PRESETS, "wide", wide_config)
    written = train(recipe.override(config="wide", start=str(tiny_weights), expand=True, steps=1, lr=1e-12)).weights
    network, about = models.load(written)
    assert network.config == wide_config
    assert about.name == "wide"
    old = models.load(tiny_weights)[0].dsrm.encoder.to_full.weight
    assert torch.allclose(network.dsrm.encoder.to_full.weight[: len(old)], old, atol=1e-9)


def test_what_cannot_be_expanded_is_one_line(recipe, tiny_weights, monkeypatch, tiny_config):
    monkeypatch.setitem(PRESETS, "narrow", replace(tiny_config, predictor_width=2))
    with pytest.raises(
        TrainingError, match=r"expand=: .*tiny\.safetensors cannot be expanded to narrow: predictor_width 4"
    ):
        train(recipe.override(config="narrow", start=str(tiny_weights), expand=True))
