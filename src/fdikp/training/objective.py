"""What a step minimises: the network's pass and everything that judges it, as the one module that Fabric shares out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdikp.metrics.lpips import LPIPS
from fdikp.network import FDIKP
from fdikp.training.data import Batch
from fdikp.training.losses import BlurSupervision, Perceptual, restoration_loss, shifted
from fdikp.training.numerics import Numerics
from fdikp.training.recipe import Recipe


class Judged(NamedTuple):
    """One pass of the network over a batch."""

    loss: Tensor
    """Scalar, with its graph."""
    images: list[Tensor]
    """The three stages' results, coarse to fine."""
    parts: dict[str, Tensor]
    """Scalars: terms of the loss that the images alone do not tell, unweighted."""


class Objective(nn.Module):
    """The loss of a recipe: the paper's (eqs. 4 and 5), and what was asked for beside it.

    Args:
        network: what is trained.
        recipe: weights of the terms.
        numerics: precision and memory layout.
        supervision: learns the blur radius from rendered pairs; None to leave that out.
        perceptual: LPIPS, or None to leave it out.
        teacher: a trained network whose results are to be imitated, or None.
    """

    def __init__(
        self,
        network: FDIKP,
        recipe: Recipe,
        numerics: Numerics,
        supervision: BlurSupervision | None = None,
        perceptual: LPIPS | None = None,
        teacher: FDIKP | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.numerics = numerics
        self.hinting = recipe.hint > 0
        """Whether features are taught the blur radius; the loop ends that."""
        self.step = 0
        """Of the run; the loop counts it."""
        self.supervision = supervision
        self.perceptual = perceptual
        self.teacher = teacher.eval().requires_grad_(False) if teacher else None

    def train(self, mode: bool = True) -> "Objective":
        """Switch the network between training and evaluation; the teacher stays as it is."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, blurred: Tensor, target: Tensor, radius: Tensor | None) -> Judged:
        """A pass and its loss. blurred, target: [B, 3, H, W] in 0..1; radius: [B, 1, H, W] pixels, or None."""
        r = self.recipe
        blurred = blurred.contiguous(memory_format=self.numerics.memory_format)
        with self.numerics.autocast():
            stages = self.network.stages(blurred)
        images = [stage.image for stage in stages]
        loss = restoration_loss(images, target, r.scales, r.alpha, r.beta, r.gamma, self._perceptual(), r.delta)
        parts = {}
        if self.supervision is not None and radius is not None:
            parts["blur"], parts["hint"] = self.supervision(radius, stages, r.scales, self.hinting)
            loss = loss + r.blur * parts["blur"] + r.hint * parts["hint"]
        if self.teacher is not None:
            parts["distil"] = imitation_loss(images, self._taught(blurred), r.scales)
            loss = loss + r.distil * parts["distil"]
        return Judged(loss, images, {name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def validation_loss(self, images: list[Tensor], target: Tensor) -> Tensor:
        """The loss of eqs. 4 and 5, with the guard, of the three stages' images; LPIPS on the same grid each time."""
        r = self.recipe
        perceptual = shifted(self.perceptual, 0) if self.perceptual else None
        return restoration_loss(images, target, r.scales, r.alpha, r.beta, r.gamma, perceptual, r.delta)

    @torch.no_grad()
    def terms(self, judged: Judged, batch: Batch) -> dict[str, float]:
        """Each term of a pass's loss, summed over the scales and unweighted; those that are switched off left out."""
        r = self.recipe
        images = [image.detach() for image in judged.images]

        def only(alpha: float = 0.0, beta: float = 0.0, gamma: float = 0.0, delta: float = 0.0) -> Tensor:
            return restoration_loss(images, batch.target, r.scales, alpha, beta, gamma, self._perceptual(), delta)

        terms = dict(judged.parts)
        if r.alpha:
            terms["mse"] = only(alpha=1.0)
        if r.beta and self.perceptual is not None:
            terms["lpips"] = only(beta=1.0)
        if r.gamma:
            terms["frequency"] = only(gamma=1.0)
        if r.delta:
            terms["guard"] = only(delta=1.0)
        return {name: float(term) for name, term in terms.items()}

    def _perceptual(self) -> Perceptual | None:
        return shifted(self.perceptual, self.step) if self.perceptual else None

    @torch.no_grad()
    def _taught(self, blurred: Tensor) -> list[Tensor]:
        assert self.teacher is not None
        with self.numerics.autocast():
            return [stage.image for stage in self.teacher.stages(blurred)]


def imitation_loss(images: Sequence[Tensor], taught: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Ours: L1 distance of each stage's result from a teacher's, a scalar. images, taught: coarse to fine."""
    total = images[-1].new_zeros((), dtype=torch.float32)
    for weight, image, wanted in zip(scales, reversed(images), reversed(taught), strict=True):
        total = total + weight * (image.float() - wanted.float()).abs().mean()
    return total
