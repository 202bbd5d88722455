"""Expands a trained network to a wider and deeper one with the same function, after Net2Net (Chen et al. 2016).

From a random initialisation `fdikp-base` first learns what `fdikp-lite` has learned already, at four times the cost per
step. In an expanded network, new channels read from old ones with random weights; their outgoing weights into old
channels are zero, so the function is unchanged.
"""

import torch
from torch import Tensor, nn

from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.blocks import ResBlock
from fdikp.network.dikp import KernelPredictor
from fdikp.network.dsrm import APU, Decoder, Encoder
from fdikp.network.dual_domain import FrequencyBlock
from fdikp.network.ops import SLOPE
from fdikp.network.strips import StripAttention

EXPANDABLE = ("widths", "encoder_blocks", "decoder_blocks", "bottleneck_depth", "predictor_width")
"""Fields of a configuration that may be larger in the expanded network."""

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


@torch.no_grad()
def expand(small: FDIKP, config: NetworkConfig) -> FDIKP:
    """A network of the given configuration that computes what `small` does, on the CPU in float32.

    The results agree to rounding, except for the layer normalisations of the bottleneck, whose statistics are over old
    and new channels together; a few training steps compensate that.

    New weights are drawn from torch's global generator. Expansions with different seeds are unrelated: to average the
    weights of several runs, expand once and start all of them from the result.

    Args:
        small: a trained network with the frequency predictor and the sequential bottleneck.
        config: at least as wide and deep as `small` everywhere, and otherwise equal.

    Raises:
        ValueError: `small` does not fit into `config`; the message says where.
    """
    _check(small.config, config)
    big = FDIKP(config)
    alike = ["fikp.refine", "output", "fikp.predict.attend"] + ["fikp.blur"] * config.position_adaptive
    for name in alike:
        big.get_submodule(name).load_state_dict(small.get_submodule(name).state_dict())
    for branch in ("amplitude", "phase"):
        _predictor(small.fikp.predict.get_submodule(branch), big.fikp.predict.get_submodule(branch))  # type: ignore[union-attr, arg-type]
    _encoder(small.dsrm.encoder, big.dsrm.encoder)
    _bottleneck(small.dsrm.bottleneck, big.dsrm.bottleneck)
    _decoder(small.dsrm.decoder, big.dsrm.decoder)
    _recurrent(small.dsrm.apu, big.dsrm.apu)
    return big.train(small.training)


def _check(small: NetworkConfig, big: NetworkConfig) -> None:
    if (small.predictor, small.bottleneck) != ("frequency", "sequential"):
        raise ValueError(f"predictor {small.predictor} and bottleneck {small.bottleneck} cannot be expanded")
    for name, before in small.to_dict().items():
        after = getattr(big, name)
        if name not in EXPANDABLE and after != before:
            raise ValueError(f"{name} cannot change from {before} to {after}")
        if name in EXPANDABLE and (torch.tensor(after) < torch.tensor(before)).any():
            raise ValueError(f"{name} {before} does not fit into {after}")
    for level, (before, after) in enumerate(zip(small.widths[:2], big.widths[:2], strict=True)):
        deeper = any(getattr(big, part)[level] > getattr(small, part)[level] for part in EXPANDABLE[1:3])
        if deeper and after < 2 * before:
            raise ValueError(f"more ResBlocks need at least {2 * before} channels instead of {before}")


def _place(small: Layer, big: Layer, outputs: Tensor | None = None, inputs: Tensor | None = None) -> None:
    """Copy a layer into a larger one, whose old outputs then depend on its old inputs only.

    outputs, inputs: the channel in `big` for each channel of `small`; None for the first ones.
    """
    transposed = isinstance(small, nn.ConvTranspose2d)
    before, after = (layer.weight.transpose(0, 1) if transposed else layer.weight for layer in (small, big))
    outputs = torch.arange(before.shape[0]) if outputs is None else outputs
    inputs = torch.arange(before.shape[1]) if inputs is None else inputs
    after[outputs] = 0.0
    after[outputs[:, None], inputs] = before
    assert small.bias is not None and big.bias is not None
    big.bias[outputs] = small.bias


def _concatenated(*parts: tuple[int, int]) -> Tensor:
    """Channel indices in the big network of the small network's channels, in a concatenation of parts.

    parts: for each, its channels in the small and in the big network.


    >>> _concatenated((2, 3), (2, 4))
    tensor([0, 1, 3, 4])
    """
    starts = [sum(big for _, big in parts[:n]) for n in range(len(parts))]
    return torch.cat([start + torch.arange(small) for start, (small, _) in zip(starts, parts, strict=True)])


def _predictor(small: KernelPredictor, big: KernelPredictor) -> None:
    _place(small.read, big.read)
    _place(small.mix, big.mix)
    _place(small.last, big.last)
    big.bank.copy_(small.bank)


def _encoder(small: Encoder, big: Encoder) -> None:
    _place(small.to_full, big.to_full)
    _resblocks(small.full_blocks, big.full_blocks)
    _place(small.to_half, big.to_half)
    _resblocks(small.half_blocks, big.half_blocks)
    _place(small.to_quarter, big.to_quarter)


def _decoder(small: Decoder, big: Decoder) -> None:
    def concatenated(level: str) -> Tensor:
        """Channel indices of the old features of decoder and encoder where a level concatenates them."""
        channels = small.get_submodule(level).out_channels, big.get_submodule(level).out_channels
        return _concatenated(channels, channels)  # type: ignore[arg-type]

    _place(small.to_half, big.to_half)
    _place(small.meet_half, big.meet_half, inputs=concatenated("to_half"))
    _resblocks(small.half_blocks, big.half_blocks)
    _place(small.to_full, big.to_full)
    _place(small.meet_full, big.meet_full, inputs=concatenated("to_full"))
    _place(small.smooth, big.smooth)
    _resblocks(small.full_blocks, big.full_blocks)


def _recurrent(small: APU, big: APU) -> None:
    features = small.locate.in_channels, big.locate.in_channels
    _place(small.gates, big.gates, inputs=_concatenated(features, (small.maps, big.maps)))
    _place(small.locate, big.locate)
    big.norm.load_state_dict(small.norm.state_dict())


def _resblocks(small: nn.Sequential, big: nn.Sequential) -> None:
    for before, block in zip(small, big, strict=False):
        assert isinstance(before, ResBlock) and isinstance(block, ResBlock)
        _place(before.first, block.first)
        _place(before.second, block.second)
    for n in range(len(small), len(big)):
        block = big[n]
        assert isinstance(block, ResBlock) and isinstance(before, ResBlock)
        _make_identity(block, before.first.in_channels)


def _make_identity(block: ResBlock, width: int) -> None:
    """Make a block return its first channels unchanged. This needs two hidden channels for each.

    The block's last LeakyReLU, of slope s, scales negative values by s, which the residual branch must undo in advance.
    With p = LeakyReLU(x) and n = LeakyReLU(-x), (s p + n) / (1 - s²) is |x| for negative x and else 0; the branch
    subtracts 1/s - 1 times that.
    """
    first, second = nn.Conv2d(width, 2 * width, 3), nn.Conv2d(2 * width, width, 3)
    identity = torch.eye(width)
    scale = (1 / SLOPE - 1) / (1 - SLOPE**2)
    for layer, taps in (
        (first, torch.cat((identity, -identity))),
        (second, -scale * torch.cat((SLOPE * identity, identity), dim=1)),
    ):
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight[:, :, 1, 1] = taps
    _place(first, block.first)
    _place(second, block.second)


def _bottleneck(small: nn.Module, big: nn.Module) -> None:
    (attention, frequency), (more_attention, more_frequency) = small.children(), big.children()
    assert isinstance(attention, nn.Sequential) and isinstance(more_attention, nn.Sequential)
    assert isinstance(frequency, nn.Sequential) and isinstance(more_frequency, nn.Sequential)
    for n, block in enumerate(more_attention):
        assert isinstance(block, StripAttention)
        if n < len(attention):
            _attention(attention[n], block)  # type: ignore[arg-type]
        else:
            _zero(block.fuse, block.mlp[-1], block.position)
    for n, block in enumerate(more_frequency):
        assert isinstance(block, FrequencyBlock)
        if n < len(frequency):
            _frequency(frequency[n], block)  # type: ignore[arg-type]
        else:
            _zero(block.fuse)


def _zero(*layers: nn.Module) -> None:
    """Zero the last layers of residual branches, so that a new block returns its input."""
    for layer in layers:
        for parameter in layer.parameters():
            parameter.zero_()


def _attention(small: StripAttention, big: StripAttention) -> None:
    half, broad = small.split.in_features // 2, big.split.in_features // 2  # channels of rows; columns have as many
    head, more = half // small.heads, broad // big.heads
    heads = _concatenated(*[(head, more)] * small.heads)
    for s, b in ((small.norm, big.norm), (small.mlp[0], big.mlp[0]), (small.position, big.position)):
        for before, after in zip(s.parameters(), b.parameters(), strict=True):
            after[: len(before)] = before
    _place(small.split, big.split, outputs=_concatenated((half, broad), (half, broad)))
    for s, b in ((small.rows, big.rows), (small.columns, big.columns)):
        assert isinstance(s, nn.Linear) and isinstance(b, nn.Linear)
        queries, keys = slice(broad), slice(broad, 2 * broad)
        for parameter in b.parameters():
            parameter[keys] = 0.0  # new queries have no key to match yet
        _place(s, b, outputs=torch.cat([part * broad + heads for part in range(3)]))
        for parameter in b.parameters():
            parameter[queries] *= (more / head) ** 0.5  # attention divides by the root of a head's width
    _place(small.fuse, big.fuse, inputs=torch.cat((heads, broad + heads)))
    _place(small.mlp[1], big.mlp[1])  # type: ignore[arg-type]
    _place(small.mlp[3], big.mlp[3])  # type: ignore[arg-type]


def _frequency(small: FrequencyBlock, big: FrequencyBlock) -> None:
    # Real and imaginary parts, and local and global branches, are concatenated alike
    both = _concatenated(*[(small.fuse.out_channels, big.fuse.out_channels)] * 2)
    for n in (0, 2):
        _place(small.local[n], big.local[n])  # type: ignore[arg-type]
        _place(small.spectral[n], big.spectral[n], both, both)  # type: ignore[arg-type]
    _place(small.fuse, big.fuse, inputs=both)
