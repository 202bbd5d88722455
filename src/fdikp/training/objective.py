"""What a step minimises: the network's forward pass and all terms of the loss, in the one module that Fabric wraps."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdikp.metrics.lpips import LPIPS
from fdikp.network import FDIKP
from fdikp.training.data import Batch
from fdikp.training.losses import BlurSupervision, Perceptual, restoration_loss, shifted
from fdikp.training.numerics import Numerics
from fdikp.training.option_groups import LossGroup


class LossOutput(NamedTuple):
    """One forward pass over a batch, and its loss."""

    loss: Tensor
    """Scalar, with its graph."""
    images: list[Tensor]
    """The three stages' results, coarse to fine."""
    parts: dict[str, Tensor]
    """Unweighted terms of the loss that cannot be computed from the images alone; scalars."""


class Objective(nn.Module):
    """The paper's loss (eqs. 4 and 5), and the further terms that the options ask for.

    Args:
        network: the network to train.
        options: weights of the terms.
        numerics: precision and memory layout.
        supervision: predicts the blur radius of rendered pairs; None leaves these terms out.
        perceptual: LPIPS; None leaves the term out.
        teacher: a trained network to distill from, or None.
    """

    def __init__(
        self,
        network: FDIKP,
        options: LossGroup,
        numerics: Numerics,
        supervision: BlurSupervision | None = None,
        perceptual: LPIPS | None = None,
        teacher: FDIKP | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.options = options
        self.numerics = numerics
        self.hinting = options.radius_hint > 0
        """Whether features learn the blur radius; the training loop ends that."""
        self.step = 0
        """Of the run; the training loop counts it."""
        self.supervision = supervision
        self.perceptual = perceptual
        self.teacher = teacher.eval().requires_grad_(False) if teacher else None

    def train(self, mode: bool = True) -> "Objective":
        """Switch the network between training and evaluation; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, blurred: Tensor, target: Tensor, radius: Tensor | None) -> LossOutput:
        """A forward pass and its loss.

        Args:
            blurred: [B, 3, H, W] in 0..1.
            target: the same shape and range.
            radius: [B, 1, H, W] in pixels, or None for real pairs.
        """
        options = self.options
        blurred = blurred.contiguous(memory_format=self.numerics.memory_format)
        with self.numerics.autocast():
            stages = self.network.stages(blurred)
        images = [stage.image for stage in stages]
        loss = self._restoration(images, target, self._perceptual(self.step))
        parts = {}
        if self.supervision is not None and radius is not None:
            parts["blur"], parts["hint"] = self.supervision(radius, stages, options.scales, self.hinting)
            loss = loss + options.blur * parts["blur"] + options.radius_hint * parts["hint"]
        if self.teacher is not None:
            parts["distill"] = distillation_loss(images, self._teacher_images(blurred), options.scales)
            loss = loss + options.distill * parts["distill"]
        return LossOutput(loss, images, {name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def validation_loss(self, images: list[Tensor], target: Tensor) -> Tensor:
        """The loss of eqs. 4 and 5, with the guard term, of the three stages' images; LPIPS always on the same grid."""
        return self._restoration(images, target, self._perceptual(0))

    @torch.no_grad()
    def terms(self, output: LossOutput, batch: Batch) -> dict[str, float]:
        """Each term of a pass's loss that is switched on, unweighted and summed over the scales."""
        options = self.options
        images = [image.detach() for image in output.images]

        def only(**weights: float) -> Tensor:
            off = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0}
            perceptual = self._perceptual(self.step)
            return restoration_loss(images, batch.target, options.scales, **(off | weights), perceptual=perceptual)

        terms = dict(output.parts)
        if options.alpha:
            terms["mse"] = only(alpha=1.0)
        if options.beta and self.perceptual is not None:
            terms["lpips"] = only(beta=1.0)
        if options.gamma:
            terms["frequency"] = only(gamma=1.0)
        if options.guard_weight:
            terms["guard"] = only(guard_weight=1.0)
        return {name: float(term) for name, term in terms.items()}

    def _restoration(self, images: Sequence[Tensor], target: Tensor, perceptual: Perceptual | None) -> Tensor:
        o = self.options
        return restoration_loss(images, target, o.scales, o.alpha, o.beta, o.gamma, perceptual, o.guard_weight)

    def _perceptual(self, step: int) -> Perceptual | None:
        return shifted(self.perceptual, step) if self.perceptual else None

    @torch.no_grad()
    def _teacher_images(self, blurred: Tensor) -> list[Tensor]:
        assert self.teacher is not None
        with self.numerics.autocast():
            return [stage.image for stage in self.teacher.stages(blurred)]


def distillation_loss(images: Sequence[Tensor], targets: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Ours: L1 distance of each stage's result from the teacher's, a scalar.

    Args:
        images: the student's results, coarse to fine.
        targets: the teacher's.
        scales: weights, fine to coarse.
    """
    total = images[-1].new_zeros((), dtype=torch.float32)
    for weight, image, target in zip(scales, reversed(images), reversed(targets), strict=True):
        total = total + weight * (image.float() - target.float()).abs().mean()
    return total
