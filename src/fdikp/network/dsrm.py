"""The dual-domain scale recurrent module (DSRM, Fig. 3a): from an image to the coefficient maps of its candidates."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.blocks import ResBlock, resblocks
from fdikp.network.config import NetworkConfig
from fdikp.network.dual_domain import dual_domain_module


class Encoder(nn.Module):
    """Features at full, half and quarter resolution."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        full, half, quarter = config.widths
        self.to_full = nn.Conv2d(3, full, 3, padding=1)
        self.full_blocks = resblocks(full, config.encoder_blocks[0])
        self.to_half = nn.Conv2d(full, half, 3, stride=2, padding=1)
        self.half_blocks = resblocks(half, config.encoder_blocks[1])
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 3, H, W] to [B, c, H, W], [B, c, H/2, W/2], [B, d, H/4, W/4]; H and W are multiples of 4."""
        full = self.full_blocks(ops.conv_act(self.to_full, x))
        half = self.half_blocks(ops.conv_act(self.to_half, full))
        return full, half, ops.conv_act(self.to_quarter, half)


class Decoder(nn.Module):
    """Back to full resolution, with skip connections from the encoder."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        full, half, quarter = config.widths
        # The weights files fix these names. `meet_half` and `meet_full` fuse the upsampled features with the encoder's
        # of the same resolution; `smooth` is a residual 3×3 convolution after the last of them
        self.to_half = nn.ConvTranspose2d(quarter, half, 4, stride=2, padding=1)
        self.meet_half = nn.Conv2d(2 * half, half, 1)
        self.half_blocks = resblocks(half, config.decoder_blocks[1])
        self.to_full = nn.ConvTranspose2d(half, full, 4, stride=2, padding=1)
        self.meet_full = nn.Conv2d(2 * full, full, 1)
        self.smooth = nn.Conv2d(full, full, 3, padding=1)
        self.full_blocks = resblocks(full, config.decoder_blocks[0])

    def forward(self, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """The encoder's features, those at quarter resolution after the bottleneck, to [B, c, H, W]."""
        up = ops.conv_act(self.to_half, quarter)
        x = self.half_blocks(ops.conv_concat(self.meet_half, up, half))
        up = ops.conv_act(self.to_full, x)
        x = ops.conv_concat(self.meet_full, up, full)
        return self.full_blocks(ops.conv_act(self.smooth, x, slope=1.0, skip=x))


class RecurrentState(NamedTuple):
    """What the recurrent unit of one stage passes to that of the next: two of [B, 2(N + 1), H/2, W/2]."""

    hidden: Tensor
    """The hidden state, from which the coefficient maps are computed."""

    cell: Tensor
    """The cell state."""


class APU(nn.Module):
    """The recurrent unit, which the paper calls APU: features and state to coefficient maps.

    The paper does not expand the name; the unit is that of Tao et al. 2018 and Quan et al. 2021.

    A ConvLSTM at half resolution carries a state across scales; a convolution with batch normalisation adds detail at
    full resolution. The batch statistics are part of the weights and stay in float32 in training.
    """

    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        # The weights files fix these names: `gates` is the ConvLSTM's convolution, `locate` the one at full resolution
        self.gates = nn.Conv2d(width + maps, 4 * maps, 5, padding=2)
        self.locate = nn.Conv2d(width, maps, 3, padding=1)
        self.norm = nn.BatchNorm2d(maps)
        self.maps = maps

    def initialise(self) -> None:
        """Initialise the candidate cell state to zero: every coefficient starts at 0, with a gradient that is not 0."""
        nn.init.zeros_(self.gates.weight[3 * self.maps :])
        nn.init.zeros_(self.gates.bias[3 * self.maps :])  # type: ignore[index]

    def forward(self, features: Tensor, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        """Features [B, c, H, W] to coefficients [B, maps, H, W] in -1..1, and the state for the next stage."""
        pooled = F.avg_pool2d(features, 2)
        if state is None:
            zeros = pooled.new_zeros(len(pooled), self.maps, *pooled.shape[-2:])
            state = RecurrentState(zeros, zeros)
        hidden, cell = (part.to(pooled.dtype) for part in state)
        gates, spatial = ops.conv_concat(self.gates, pooled, hidden), ops.conv_act(self.locate, features, slope=1.0)
        hidden, cell = ops.lstm_cell(gates, cell)
        return ops.coefficient_maps(spatial, hidden, self.norm), RecurrentState(hidden, cell)


class DSRM(nn.Module):
    """Encoder, dual-domain module, decoder, recurrent unit."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.bottleneck = dual_domain_module(config)
        self.decoder = Decoder(config)
        self.apu = APU(config.widths[0], config.candidates)
        with torch.no_grad():
            self.initialise()

    def initialise(self) -> None:
        """Ours: He initialisation with small residual branches: activations keep their scale in encoder and decoder.

        torch's default shrinks them at each layer, and the recurrent unit at the end then sees its biases only. In a
        dual-domain bottleneck they grow, because its residual branches are not made small: by about 30 in `fdikp-lite`
        and some hundreds in `fdikp-base`.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # fan_in of a transposed convolution is what torch calls its fan_out
                transposed = isinstance(module, nn.ConvTranspose2d)
                nn.init.kaiming_normal_(module.weight, a=ops.SLOPE, mode="fan_out" if transposed else "fan_in")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        # Blur shows in detail, whose amplitude is small beside the brightness: 3/4 of the first filters have zero mean
        first = self.encoder.to_full.weight
        filters = first[: 3 * len(first) // 4]
        filters -= filters.mean(dim=(-2, -1), keepdim=True)
        filters *= 6
        for module in self.modules():
            if isinstance(module, ResBlock):
                module.second.weight *= 0.3
        self.apu.initialise()

    def forward(self, x: Tensor, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        """A stage's input [B, 3, H, W] to coefficients [B, 2(N + 1), H, W] in -1..1, and the state for the next."""
        full, half, quarter = self.encoder(2 * x - 1)  # ours: centred on 0
        features = self.decoder(full, half, self.bottleneck(quarter))
        coefficients, state = self.apu(features, state)
        return coefficients, state
