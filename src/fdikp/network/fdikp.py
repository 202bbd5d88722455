"""The whole network (Fig. 3a): three stages, coarse to fine, with the same weights in each."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import encoded_config, ops
from fdikp.network.config import MIN_SIZE, SCALES, SIZE_MULTIPLE, NetworkConfig
from fdikp.network.dsrm import DSRM, Memory
from fdikp.network.kernels import FIKP, Deconvolved, FixedKernels


@dataclass(frozen=True)
class Stage:
    """One scale's result, with what it was made from. "Images" are the stage's input and the previous result.

    At the coarsest scale both are the same image, deconvolved once.
    """

    image: Tensor
    """[B, 3, H, W], the stage's restored image, not clamped."""

    kernels: Tensor
    """[B, 2, N, K, K], inverse kernels for each of the two images."""

    dilation: Tensor
    """[B, 2, H, W], dilated map D for each of the two images, in pixels of this scale."""

    coefficients: Tensor
    """[B, 2, N + 1, H, W] in -1..1: the weight of each deconvolved image, and last that of the image itself."""


def downsample(x: Tensor, factor: int) -> Tensor:
    """[B, C, H, W] to [B, C, H / factor, W / factor], by the mean over blocks: how stages see a photograph."""
    return x if factor == 1 else F.avg_pool2d(x, factor)


def upsample(x: Tensor) -> Tensor:
    """[B, C, H, W] to [B, C, 2H, 2W], bilinear: how a stage hands its result and memory to the next."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The size that an image of the given size is padded to.

    >>> working_size(1, 333)
    (48, 336)
    """
    return tuple(max(MIN_SIZE, -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE) for side in (height, width))  # type: ignore[return-value]


def pad(x: Tensor, height: int, width: int) -> Tensor:
    """Extend [B, C, H, W] below and to the right by mirroring it, again and again where once is not enough."""

    def mirrored(side: int, wanted: int) -> Tensor:
        period = max(1, 2 * (side - 1))
        i = torch.arange(wanted, device=x.device) % period
        return torch.where(i < side, i, period - i)

    if x.shape[-2:] == (height, width):
        return x
    return x[..., mirrored(x.shape[-2], height), :][..., mirrored(x.shape[-1], width)]


class FDIKP(nn.Module):
    """Frequency-driven inverse kernel prediction (arXiv 2508.12736).

    Ours, not the paper's: a stage begins from its input with the change of the stage before carried over, and blends
    what its candidates would change of that rather than the candidates themselves: coefficients that are a little off
    then leave the brightness alone, where blending whole images they would shift it. The last convolution starts as
    the sum of the weighed changes and the coefficients start at zero, so that an untrained network returns the
    photograph as it is and training starts there.

    Args:
        config: the network's shape; `PRESETS` has the named ones.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.fikp = FixedKernels(config) if config.predictor == "fixed" else FIKP(config)
        self.dsrm = DSRM(config)
        self.output = nn.Conv2d(3 * config.candidates, 3, 1)
        with torch.no_grad():
            self.output.weight.copy_(torch.eye(3).repeat(1, config.candidates)[..., None, None])
            self.output.bias.zero_()  # type: ignore[union-attr]
        self.register_buffer(encoded_config.KEY, torch.tensor(encoded_config.encode(config)))
        self.register_load_state_dict_pre_hook(_check_encoded_config)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Restore photographs.

        Args:
            x: [B, 3, H, W], sRGB-encoded RGB in 0..1, float32 (or float64, with a float64 network), any H, W ≥ 1.

        Returns:
            [B, 3, H, W] of x's type, not clamped.
        """
        H, W = x.shape[-2:]
        return self.padded_stages(x)[-1].image[..., :H, :W]

    def padded_stages(self, x: Tensor) -> list[Stage]:
        """All three stages for an image of any size: their maps belong to it mirrored below and to the right."""
        return self.stages(pad(x, *working_size(*x.shape[-2:])))

    def stages(self, x: Tensor) -> list[Stage]:
        """All three stages, coarse to fine, for x [B, 3, H, W] with H, W ≥ 48 and multiples of 16."""
        stages: list[Stage] = []
        previous: Tensor | None = None
        memory: Memory | None = None
        change: Tensor | float = 0.0
        for scale in SCALES:
            blurry = downsample(x, scale)
            stage, memory = self._stage(blurry, previous, blurry + change, memory)
            stages.append(stage)
            if scale > 1:
                previous, memory = upsample(stage.image), Memory(upsample(memory.hidden), upsample(memory.cell))
                change = upsample(stage.image - blurry)
        return stages

    def _stage(
        self, blurry: Tensor, previous: Tensor | None, begin: Tensor, memory: Memory | None
    ) -> tuple[Stage, Memory]:
        """One stage: its input, the result of the stage before, where to begin, what to remember."""
        if previous is None:
            found = self.fikp(blurry, begin)
            halves: tuple[Deconvolved, ...] = (found, found)
        else:
            found = self.fikp(torch.cat((blurry, previous)), torch.cat((begin, begin)))
            halves = tuple(Deconvolved(*parts) for parts in zip(*(part.chunk(2) for part in found), strict=True))
        coefficients, memory = self.dsrm(blurry.to(self.output.weight.dtype), memory)
        image = ops.blend((halves[0].changes, halves[1].changes), coefficients, self.output, begin)
        kernels, dilation = (torch.stack(both, dim=1) for both in zip(*(half[1:] for half in halves), strict=True))
        return Stage(image, kernels, dilation.squeeze(2), coefficients.unflatten(1, (2, -1))), memory


def _check_encoded_config(
    module: nn.Module,
    state_dict: dict[str, Any],
    prefix: str,
    local_metadata: dict[str, Any],
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """Accept a state dict without the encoded configuration, as older ones are, and refuse that of another network."""
    assert isinstance(module, FDIKP)
    own = encoded_config.encode(module.config)
    given = state_dict.setdefault(prefix + encoded_config.KEY, torch.tensor(own))
    if given.tolist() != own:
        error_msgs.append(f"{prefix}{encoded_config.KEY} is {given.tolist()}, and of this network {own}")
