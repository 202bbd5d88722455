"""What an untrained encoder and decoder do: see detail rather than brightness, and keep the scale of activations."""

import pytest
import torch
from skimage import data
from torch import Tensor, nn

from fdikp.network import PRESETS
from fdikp.network.dsrm import DSRM

PRESET = pytest.mark.parametrize("preset", ["fdikp-base", "fdikp-lite", "sram"])

KEPT = (0.4, 2.5)
"""The range in which a root mean square near 1 stays; torch's own initialisation leaves it at the first layers."""


def untrained(preset: str) -> DSRM:
    torch.manual_seed(0)
    return DSRM(PRESETS[preset])


def photo() -> Tensor:
    """A detail of a photo, centred on 0 as the encoder reads it."""
    return 2 * torch.from_numpy(data.coffee()[100:228, 200:328]).permute(2, 0, 1)[None] / 255 - 1


def scale(x: Tensor) -> float:
    return float(x.detach().square().mean().sqrt())


def with_default_initialisation(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.reset_parameters()


@PRESET
def test_three_quarters_of_the_first_filters_do_not_react_to_brightness(preset: str) -> None:
    first = untrained(preset).encoder.to_full
    response = first(torch.full((1, 3, 5, 5), 0.7))[0, :, 2, 2].detach().abs()
    blind = 3 * len(response) // 4
    assert response[:blind].max() < 1e-5 < 0.01 < response[blind:].mean()
    assert first.weight[:blind].detach().std() > 1  # they do react to detail, which is small beside the brightness


@PRESET
def test_the_encoder_keeps_the_scale_of_activations(preset: str) -> None:
    encoder = untrained(preset).encoder
    assert all(KEPT[0] < scale(features) < KEPT[1] for features in encoder(photo()))
    with_default_initialisation(encoder)
    assert all(scale(features) < KEPT[0] for features in encoder(photo()))


@PRESET
def test_the_decoder_keeps_the_scale_of_activations(preset: str) -> None:
    full, half, quarter = PRESETS[preset].widths
    decoder = untrained(preset).decoder
    features = (torch.randn(1, full, 64, 64), torch.randn(1, half, 32, 32), torch.randn(1, quarter, 16, 16))
    assert KEPT[0] < scale(decoder(*features)) < KEPT[1]
    with_default_initialisation(decoder)
    assert scale(decoder(*features)) < KEPT[0]


def test_a_bottleneck_of_residual_blocks_keeps_it_too() -> None:
    dsrm = untrained("sram")
    full, half, quarter = dsrm.encoder(photo())
    assert KEPT[0] < scale(dsrm.decoder(full, half, dsrm.bottleneck(quarter))) < KEPT[1]
