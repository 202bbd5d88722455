"""Interventions: what a network makes of a picture when a part of its kernel path is replaced on the way.

The parts are replaced by forward hooks for as long as a `with` block lasts; the network itself knows nothing of it.
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
"""From a stage (0 is the coarsest) and what the network has there to what it shall have, of the same shape. The first
dimension is that of the images that the stage deconvolves: its input, and from the second stage on the result before.
"""


@dataclass(frozen=True)
class Intervention:
    """What to replace; nothing by default."""

    kernels: Edit | None = None
    """Of the inverse kernels [images, B, N, K, K]."""
    dilation: Edit | None = None
    """Of the dilated maps [images, B, 1, h, w]."""
    changes: Edit | None = None
    """Of what the candidates would change [images, B, N + 1, 3, h, w]."""


def kernel_path_of(network: FDIKP) -> FIKP:
    """The network's kernel path.

    Raises:
        FdikpError: it predicts no kernels, or has no dilated map.
    """
    path = network.fikp
    if not isinstance(path, FIKP) or path.blur is None:
        raise FdikpError(
            "this network predicts no inverse kernels or has no dilated map; give weights of one that does"
        )
    return path


@contextmanager
def intervening(
    network: FDIKP, intervention: Intervention, coefficients: Sequence[Tensor] | None = None
) -> Iterator[None]:
    """Replace parts of a network while the block lasts. In it the network runs whole passes, one after another.

    Args:
        network: with a predictor of kernels and a dilated map.
        intervention: what to replace.
        coefficients: the coefficient maps of each stage, [B, 2, N + 1, h, w], where they are known. They are read from
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
        if intervention.changes:
            stack.enter_context(_edited(path, intervention.changes))
        try:
            if coefficients is not None:
                network.dsrm = _Remembered(coefficients)  # type: ignore[assignment]
            yield
        finally:
            network.dsrm = module


@contextmanager
def _edited(module: nn.Module, edit: Edit) -> Iterator[None]:
    """Edit what a module returns; it runs once at each stage."""
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


class _Remembered(nn.Module):
    """Stands in for the DSRM where the coefficients are known; the state it hands on is not read."""

    def __init__(self, coefficients: Sequence[Tensor]) -> None:
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x: Tensor, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        here = next(c for c in self.coefficients if c.shape[-2:] == x.shape[-2:])
        nothing = x.new_zeros(1, 1, 1, 1)
        return here.flatten(1, 2), RecurrentState(nothing, nothing)


def with_kernels(kernels: Tensor) -> Edit:
    """Kernels [stages, 2, B or 1, N, K, K] in place of those predicted."""
    return lambda stage, own: kernels[stage, : len(own)].to(own).expand_as(own)


def held(stages: Sequence[Stage]) -> Intervention:
    """All that a pass predicted, for another image of the same size."""
    kernels, maps = kernels_of(stages), [stage.dilation.transpose(0, 1).unsqueeze(2) for stage in stages]
    return Intervention(with_kernels(kernels), lambda stage, own: maps[stage][: len(own)].to(own))


def kernels_of(stages: Sequence[Stage]) -> Tensor:
    """The kernels of a pass, [stages, 2, B, N, K, K]."""
    return torch.stack([stage.kernels.transpose(0, 1) for stage in stages])


def coefficients_of(stages: Sequence[Stage]) -> list[Tensor]:
    """The coefficient maps of a pass, [B, 2, N + 1, h, w] for each stage."""
    return [stage.coefficients for stage in stages]


def delta(stage: int, own: Tensor) -> Tensor:
    """Kernels that change nothing: 1 in the middle, 0 elsewhere."""
    middle = own.shape[-1] // 2
    kernels = torch.zeros_like(own)
    kernels[..., middle, middle] = 1.0
    return kernels


def one(stage: int, own: Tensor) -> Tensor:
    """The dilated map of plain convolution."""
    return torch.ones_like(own)


def its_mean(stage: int, own: Tensor) -> Tensor:
    """The dilated map, the same everywhere."""
    return own.mean(dim=(-2, -1), keepdim=True).expand_as(own)


def of_radius(radius: Tensor, config: NetworkConfig) -> Edit:
    """The dilated map by which kernels reach as far as the true blur does, which training asks for.

    radius: [B, 1, H, W] in pixels.
    """
    reach = max(1, config.kernel_size // 2)
    maps = [(downsample(radius, s) / s / reach).clamp_max(config.dilation_range) for s in SCALES]
    return lambda stage, own: maps[stage].to(own).expand_as(own)


def alone(stage: int) -> Edit:
    """Only this stage's candidates change the picture."""
    return lambda here, own: own if here == stage else torch.zeros_like(own)


def catalogue(kernels: Tensor, which: int, radius: Tensor, config: NetworkConfig) -> dict[str, Intervention]:
    """Every intervention for one picture of a set, by what a table calls it.

    kernels: [P, stages, 2, 1, N, K, K], what was predicted for each picture of the set. which: the picture's place in
    it. radius: [1, 1, H, W], its true blur radius in pixels.
    """
    return {
        "kernels of another picture": Intervention(with_kernels(kernels[(which + 1) % len(kernels)])),
        "the set's average kernels": Intervention(with_kernels(kernels.mean(dim=0))),
        "delta kernels": Intervention(delta),
        "dilated map 1": Intervention(dilation=one),
        "dilated map: its mean": Intervention(dilation=its_mean),
        "dilated map of the true radius": Intervention(dilation=of_radius(radius, config)),
        "coarse stage alone": Intervention(changes=alone(0)),
        "middle stage alone": Intervention(changes=alone(1)),
        "fine stage alone": Intervention(changes=alone(2)),
    }
