"""The whole network (Fig. 3a): three stages, coarse to fine, with the same weights in each."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import encoded_config, ops
from fdikp.network.config import MIN_SIZE, SCALES, SIZE_MULTIPLE, NetworkConfig
from fdikp.network.dsrm import DSRM, RecurrentState
from fdikp.network.fikp import FIKP, Deconvolved, FixedKernels


@dataclass(frozen=True)
class Stage:
    """The result of one stage and its intermediate maps.

    A stage deconvolves two images: its input and the result of the stage before. At the coarsest scale the input stands
    for both, and is deconvolved once.
    """

    image: Tensor
    """[B, 3, H, W], the stage's restored image, not clamped."""

    kernels: Tensor
    """[B, 2, N, K, K], inverse kernels for each of the two images."""

    dilation: Tensor
    """[B, 2, H, W], dilation map D for each of the two images, in pixels of this scale."""

    coefficients: Tensor
    """[B, 2, N + 1, H, W] in -1..1: the weights of the N deconvolved images, and last that of the image itself."""


def downsample(x: Tensor, factor: int) -> Tensor:
    """[B, C, H, W] to [B, C, H / factor, W / factor], the mean over blocks: from the photo to the input of a stage."""
    return x if factor == 1 else F.avg_pool2d(x, factor)


def upsample(x: Tensor) -> Tensor:
    """[B, C, H, W] to [B, C, 2H, 2W], bilinear: from the result and state of a stage to those for the next."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The size that an image is padded to.

    >>> working_size(1, 333)
    (48, 336)
    """
    return tuple(max(MIN_SIZE, -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE) for side in (height, width))  # type: ignore[return-value]


def pad(x: Tensor, height: int, width: int) -> Tensor:
    """Extend [B, C, H, W] below and to the right by reflection, repeated where once is not enough."""

    def reflected(side: int, target: int) -> Tensor:
        period = max(1, 2 * (side - 1))
        i = torch.arange(target, device=x.device) % period
        return torch.where(i < side, i, period - i)

    if x.shape[-2:] == (height, width):
        return x
    return x[..., reflected(x.shape[-2], height), :][..., reflected(x.shape[-1], width)]


class FDIKP(nn.Module):
    """Frequency-driven inverse kernel prediction (arXiv 2508.12736).

    Ours: a stage adds to a base image, which is its input plus the upsampled change that the stage before made. It
    blends candidate residuals, the candidates minus the base image, rather than the candidates: errors of the
    coefficients then leave the brightness unchanged. The last convolution is initialised to the sum of the weighted
    residuals and the coefficients to zero, so an untrained network returns its input.

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
        """Restore images.

        Args:
            x: [B, 3, H, W], sRGB-encoded RGB in 0..1, float32 (or float64, with a float64 network), any H, W ≥ 1.

        Returns:
            [B, 3, H, W] of x's type, not clamped.
        """
        H, W = x.shape[-2:]
        return self.padded_stages(x)[-1].image[..., :H, :W]

    def padded_stages(self, x: Tensor) -> list[Stage]:
        """All three stages for images of any size. Their maps are those of the padded images."""
        return self.stages(pad(x, *working_size(*x.shape[-2:])))

    def stages(self, x: Tensor) -> list[Stage]:
        """All three stages, coarse to fine, for x [B, 3, H, W] with H, W ≥ 48 and multiples of 16."""
        stages: list[Stage] = []
        previous: Tensor | None = None
        state: RecurrentState | None = None
        change: Tensor | float = 0.0
        for scale in SCALES:
            blurry = downsample(x, scale)
            stage, state = self._stage(blurry, previous, blurry + change, state)
            stages.append(stage)
            if scale > 1:
                previous, state = upsample(stage.image), RecurrentState(upsample(state.hidden), upsample(state.cell))
                change = upsample(stage.image - blurry)
        return stages

    def _stage(
        self, blurry: Tensor, previous: Tensor | None, base: Tensor, state: RecurrentState | None
    ) -> tuple[Stage, RecurrentState]:
        """One stage: its input, the upsampled result of the stage before, the base image, the recurrent state."""
        if previous is None:
            deconvolved = self.fikp(blurry, base)
            pair: tuple[Deconvolved, ...] = (deconvolved, deconvolved)
        else:
            deconvolved = self.fikp(torch.cat((blurry, previous)), torch.cat((base, base)))
            pair = tuple(Deconvolved(*parts) for parts in zip(*(part.chunk(2) for part in deconvolved), strict=True))
        coefficients, state = self.dsrm(blurry.to(self.output.weight.dtype), state)
        residuals = (pair[0].candidate_residuals, pair[1].candidate_residuals)
        image = ops.blend(residuals, coefficients, self.output, base)
        kernels = torch.stack([part.kernels for part in pair], dim=1)
        dilation = torch.cat([part.dilation for part in pair], dim=1)
        return Stage(image, kernels, dilation, coefficients.unflatten(1, (2, -1))), state


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
    """Accept a state dict without the encoded configuration, as older ones are; if strict, reject another network's."""
    assert isinstance(module, FDIKP)
    own = torch.tensor(encoded_config.encode(module.config))
    given = state_dict.get(prefix + encoded_config.KEY, own)
    if strict and given.tolist() != own.tolist():
        error_msgs.append(f"{prefix}{encoded_config.KEY} is {given.tolist()}, but this network's is {own.tolist()}")
    state_dict[prefix + encoded_config.KEY] = own
