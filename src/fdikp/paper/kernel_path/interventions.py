"""Interventions: replace a part of a network's kernel path during a forward pass.

Forward hooks replace the parts inside a `with` block; the network itself is not changed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fdikp.errors import FdikpError
from fdikp.network import FDIKP, SCALES, Stage, downsample
from fdikp.network.config import NetworkConfig
from fdikp.network.dsrm import RecurrentState
from fdikp.network.fikp import FIKP, Deconvolved

Edit = Callable[[int, Tensor], Tensor]
"""Maps a stage (0 is the coarsest) and the network's own tensor to the replacement, of the same shape. The first
dimension holds the images that the stage deconvolves: its input and, from the second stage on, the previous result.
"""


@dataclass(frozen=True)
class Intervention:
    """The parts to replace; none by default."""

    kernels: Edit | None = None
    """Replaces the inverse kernels [images, B, N, K, K]."""
    dilation: Edit | None = None
    """Replaces the dilation maps [images, B, 1, h, w]."""
    residuals: Edit | None = None
    """Replaces the candidate residuals [images, B, N + 1, 3, h, w]."""


def kernel_path_of(network: FDIKP) -> FIKP:
    """The network's kernel path.

    Raises:
        FdikpError: the network predicts no kernels, or has no dilation map.
    """
    path = network.fikp
    if not isinstance(path, FIKP) or path.blur is None:
        raise FdikpError(
            "this network predicts no inverse kernels or has no dilation map; choose weights of one that does"
        )
    return path


@contextmanager
def intervene(
    network: FDIKP, intervention: Intervention, coefficients: Sequence[Tensor] | None = None
) -> Iterator[None]:
    """Replace parts of a network inside the block, in which the network may run several complete forward passes.

    Args:
        network: has a kernel predictor and a dilation map.
        intervention: the parts to replace.
        coefficients: the coefficient maps of each stage, [B, 2, N + 1, h, w], if they are known already. They depend on
            the blurred image alone, so no intervention changes them, and computing them is most of the work.

    Raises:
        FdikpError: the network has no kernel path.
    """
    path = kernel_path_of(network)
    assert path.blur is not None
    module = network.dsrm
    with ExitStack() as stack:
        if intervention.kernels:
            stack.enter_context(_edited(path.predict, intervention.kernels))
        if intervention.dilation:
            stack.enter_context(_edited(path.blur, intervention.dilation))
        if intervention.residuals:
            stack.enter_context(_edited(path, intervention.residuals))
        try:
            if coefficients is not None:
                network.dsrm = _CachedCoefficients(coefficients)  # type: ignore[assignment]
            yield
        finally:
            network.dsrm = module


@contextmanager
def _edited(module: nn.Module, edit: Edit) -> Iterator[None]:
    """Edit the output of a module that runs once per stage."""
    calls = 0

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | Deconvolved) -> Tensor | Deconvolved:
        nonlocal calls
        stage, calls = calls % len(SCALES), calls + 1
        own = output.candidate_residuals if isinstance(output, Deconvolved) else output
        new = edit(stage, own.unflatten(0, (1 if stage == 0 else 2, -1))).flatten(0, 1)
        return output._replace(candidate_residuals=new) if isinstance(output, Deconvolved) else new

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _CachedCoefficients(nn.Module):
    """Replaces the DSRM if the coefficients are known; nothing reads the recurrent state that it returns."""

    def __init__(self, coefficients: Sequence[Tensor]) -> None:
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x: Tensor, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        here = next(c for c in self.coefficients if c.shape[-2:] == x.shape[-2:])
        unused = x.new_zeros(1, 1, 1, 1)
        return here.flatten(1, 2), RecurrentState(unused, unused)


def with_kernels(kernels: Tensor) -> Edit:
    """Replaces the predicted kernels by these, [stages, 2, B or 1, N, K, K]."""
    return lambda stage, own: kernels[stage, : len(own)].to(own).expand_as(own)


def hold_predictions(stages: Sequence[Stage]) -> Intervention:
    """Keeps the kernels and dilation maps of an earlier pass, for another image of the same size."""
    kernels, maps = kernels_of(stages), [stage.dilation.transpose(0, 1).unsqueeze(2) for stage in stages]
    return Intervention(with_kernels(kernels), lambda stage, own: maps[stage][: len(own)].to(own))


def kernels_of(stages: Sequence[Stage]) -> Tensor:
    """The kernels of a forward pass, [stages, 2, B, N, K, K]."""
    return torch.stack([stage.kernels.transpose(0, 1) for stage in stages])


def coefficients_of(stages: Sequence[Stage]) -> list[Tensor]:
    """The coefficient maps of a forward pass, [B, 2, N + 1, h, w] for each stage."""
    return [stage.coefficients for stage in stages]


def delta_kernels(stage: int, own: Tensor) -> Tensor:
    """Identity kernels: 1 in the middle, 0 elsewhere."""
    middle = own.shape[-1] // 2
    kernels = torch.zeros_like(own)
    kernels[..., middle, middle] = 1.0
    return kernels


def unit_dilation(stage: int, own: Tensor) -> Tensor:
    """The dilation map of plain convolution, 1 everywhere."""
    return torch.ones_like(own)


def mean_dilation(stage: int, own: Tensor) -> Tensor:
    """The mean of the dilation map, everywhere."""
    return own.mean(dim=(-2, -1), keepdim=True).expand_as(own)


def dilation_of_radius(radius: Tensor, config: NetworkConfig) -> Edit:
    """The dilation map with which kernels reach as far as the true blur, as the blur supervision of training asks.

    Args:
        radius: [B, 1, H, W] in pixels.
        config: of the network.
    """
    reach = max(1, config.kernel_size // 2)
    maps = [(downsample(radius, s) / s / reach).clamp_max(config.dilation_range) for s in SCALES]
    return lambda stage, own: maps[stage].to(own).expand_as(own)


def only_stage(stage: int) -> Edit:
    """Zeroes the candidate residuals of all other stages."""
    return lambda here, own: own if here == stage else torch.zeros_like(own)


def all_interventions(kernels: Tensor, which: int, radius: Tensor, config: NetworkConfig) -> dict[str, Intervention]:
    """Every intervention for one image of a set, by its name in tables.

    Args:
        kernels: [P, stages, 2, 1, N, K, K], predicted for each image of the set.
        which: index of the image in the set.
        radius: [1, 1, H, W], its true blur radius in pixels.
        config: of the network.
    """
    return {
        "kernels of another image": Intervention(with_kernels(kernels[(which + 1) % len(kernels)])),
        "the set's average kernels": Intervention(with_kernels(kernels.mean(dim=0))),
        "delta kernels": Intervention(delta_kernels),
        "dilation map 1": Intervention(dilation=unit_dilation),
        "dilation map: its mean": Intervention(dilation=mean_dilation),
        "dilation map of the true radius": Intervention(dilation=dilation_of_radius(radius, config)),
        "coarse stage alone": Intervention(residuals=only_stage(0)),
        "middle stage alone": Intervention(residuals=only_stage(1)),
        "fine stage alone": Intervention(residuals=only_stage(2)),
    }
