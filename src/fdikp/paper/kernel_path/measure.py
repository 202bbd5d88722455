"""The three questions about the kernel path, each answered by a list of measurements.

A set consists of pairs with known blur: `mixed`, where the radius varies across the image, or one radius everywhere.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.metrics.psnr import psnr
from fdikp.network import FDIKP, SCALES, Stage, downsample
from fdikp.paper.kernel_path.correlation import pearson, spearman, texture
from fdikp.paper.kernel_path.interventions import (
    Intervention,
    all_interventions,
    coefficients_of,
    delta_kernels,
    intervene,
    kernel_path_of,
    kernels_of,
)
from fdikp.paper.kernel_path.known_blur import KnownPair, mixed_pairs, uniform_pairs
from fdikp.paper.kernel_path.measurements import Measurement, measurement
from fdikp.paper.kernel_path.response import (
    PHOTOGRAPH,
    REACH,
    WHITE,
    difference_energy,
    least_energy,
    point_images,
    textured_places,
    whole_responses,
)
from fdikp.plots.canvas import STAGES

SPECTRA = {"a photograph's spectrum": PHOTOGRAPH, "a white spectrum": WHITE}

MIXED = "mixed"

AS_IT_IS = "the network as it is"

NO_BLUR = 0.5
"""Up to this blur radius, pixels, there is no blur to undo, and ratios of its energy are meaningless."""

DilationAndRadius = tuple[Tensor, Tensor]
"""Dilation and true radius at some pixels, [n] each, in pixels of the stage."""


@dataclass(frozen=True)
class Prediction:
    """A pair, and the network's stages for it."""

    pair: KnownPair
    stages: Sequence[Stage]

    def texture(self, scale: int) -> Tensor:
        """Texture of the target at this scale, [1, 1, h, w]."""
        return texture(downsample(self.pair.target[None], scale))

    def radius(self, scale: int) -> Tensor:
        """True blur radius at this scale, [1, 1, h, w], in pixels of the scale."""
        return downsample(self.pair.radius[None], scale) / scale

    def dilation_and_radius(self) -> list[DilationAndRadius]:
        """Dilation and true radius at the pixels of each stage that show texture."""
        masks = [self.texture(scale) > 0 for scale in SCALES]
        parts = zip(self.stages, SCALES, masks, strict=True)
        return [(stage.dilation[:, :1][mask], self.radius(scale)[mask]) for stage, scale, mask in parts]


def measure(
    network: FDIKP, sharp: Sequence[Tensor], radii: Sequence[float], progress: Callable[[str], None]
) -> list[Measurement]:
    """Measure everything.

    Args:
        network: in float32, in evaluation mode.
        sharp: crops from `known_blur.crops` of at least 2 different images; their side is a multiple of 16.
        radii: of the sets with one radius, pixels; above `NO_BLUR`.
        progress: called with the name of the next set.

    Raises:
        FdikpError: the network has no kernel path.
    """
    kernel_path_of(network)
    by_set: dict[str, list[list[DilationAndRadius]]] = {}
    shapes: list[Measurement] = []
    scores: list[Measurement] = []
    for name, radius in {MIXED: None, **{f"{radius:g} px": radius for radius in radii}}.items():
        progress(name)
        predictions = predict(network, mixed_pairs(sharp) if radius is None else uniform_pairs(sharp, radius))
        # Kept instead of the predictions, whose coefficient maps take far more memory
        by_set[name] = [each.dilation_and_radius() for each in predictions]
        shapes += [] if radius is None else shape_measurements(network, name, predictions)
        scores += intervention_measurements(network, name, predictions)
    return [*map_measurements(by_set), *shapes, *scores]


@torch.inference_mode()
def predict(network: FDIKP, pairs: Sequence[KnownPair]) -> list[Prediction]:
    """Run the network on each pair."""
    return [Prediction(pair, network.padded_stages(pair.blurred[None])) for pair in pairs]


def map_measurements(by_set: Mapping[str, Sequence[Sequence[DilationAndRadius]]]) -> list[Measurement]:
    """Question 1: does the dilation map follow the true radius?

    Correlations within images of mixed radii, and for each image across its renderings with one radius each.

    Args:
        by_set: dilation and radius for each set, image and stage.
    """
    correlations, table = [], "Correlation of the dilation map with the true radius"
    uniform = [images for name, images in by_set.items() if name != MIXED]
    for stage, name in enumerate(STAGES):
        within = [image[stage] for image in by_set[MIXED]]
        across = [_pooled([image[stage] for image in same]) for same in zip(*uniform, strict=True)]
        for kind, of in (("Pearson", pearson), ("Spearman", spearman)):
            correlations.append(measurement(table, name, f"{kind}, within images", (of(*each) for each in within)))
            correlations.append(measurement(table, name, f"{kind}, across radii", (of(*each) for each in across)))
    means = [
        measurement(
            "Mean dilation on texture, pixels of the stage", name, column, (float(p[n][0].mean()) for p in images)
        )
        for n, name in enumerate(STAGES)
        for column, images in by_set.items()
    ]
    return [*correlations, *means]


def _pooled(parts: Sequence[DilationAndRadius]) -> DilationAndRadius:
    dilation, radius = zip(*parts, strict=True)
    return torch.cat(dilation), torch.cat(radius)


def shape_measurements(network: FDIKP, row: str, predictions: Sequence[Prediction]) -> list[Measurement]:
    """Question 2: is k* an inverse of the blur? Energy of k* ⊗ k − δ over that of k − δ, for one radius.

    For each stage: the best kernel predicted for the blurred image, and the minimum over all kernels of as many taps
    with that dilation. For the whole path: all stages, weighted by their coefficients.
    """
    found = []
    for spectrum, exponent in SPECTRA.items():
        table = f"Energy of k* ⊗ k − δ over that of k − δ, {spectrum}"
        for stage, name in enumerate(STAGES):
            values = [_shape(each, stage, exponent) for each in predictions]
            found.append(measurement(table, row, f"{name}: best of the predicted", (best for best, _ in values)))
            found.append(measurement(table, row, f"{name}: least possible", (least for _, least in values)))
        if not kernel_path_of(network).on_light:
            found.append(
                measurement(table, row, "whole path", (_whole(network, each, exponent) for each in predictions))
            )
    return found


def _shape(prediction: Prediction, stage: int, exponent: float) -> tuple[float, float]:
    """Fraction of the energy that the best predicted kernel of a stage leaves, and the least possible fraction."""
    scale = SCALES[stage]
    dilation = float(prediction.dilation_and_radius()[stage][0].double().mean())
    if math.isnan(dilation) or float(prediction.radius(scale).max()) <= NO_BLUR:  # no texture, or no blur to undo
        return math.nan, math.nan
    blur, kernels = prediction.pair.kernel(scale), prediction.stages[stage].kernels[0, 0].double()
    size = kernels.shape[-1]
    before = float(difference_energy(point_images(blur, delta_kernels(stage, kernels[:1]), dilation), exponent)[0])
    best = float(difference_energy(point_images(blur, kernels, dilation), exponent).min())
    return best / before, least_energy(blur, size, dilation, exponent) / before


def _whole(network: FDIKP, prediction: Prediction, exponent: float) -> float:
    """Fraction of the energy that the whole path leaves, mean over places with texture; NaN without any."""
    places = textured_places(prediction.texture(1)[0, 0])
    if not places:
        return math.nan
    blur = prediction.pair.kernel()
    margin = REACH - blur.shape[-1] // 2
    before = difference_energy(F.pad(blur, (margin,) * 4), exponent)
    return float(
        (difference_energy(whole_responses(network, prediction.stages, blur, places), exponent) / before).mean()
    )


def intervention_measurements(network: FDIKP, column: str, predictions: Sequence[Prediction]) -> list[Measurement]:
    """Question 3: how much PSNR does the result lose if a part of the kernel path is replaced?"""
    scores_of_images = [dict(_scores(network, predictions, n)) for n in range(len(predictions))]
    absolute, change = "PSNR, dB", "PSNR against the network as it is, dB"
    found = [
        measurement(absolute, name, column, (scores[name] for scores in scores_of_images))
        for name in scores_of_images[0]
    ]
    others = [name for name in scores_of_images[0] if name != AS_IT_IS]
    return found + [
        measurement(change, name, column, (s[name] - s[AS_IT_IS] for s in scores_of_images)) for name in others
    ]


def _scores(network: FDIKP, predictions: Sequence[Prediction], which: int) -> Iterator[tuple[str, float]]:
    """PSNR of one image under each intervention."""
    pair, stages = predictions[which].pair, predictions[which].stages
    kernels = torch.stack([kernels_of(each.stages) for each in predictions])
    yield "input", _psnr(pair.blurred[None], pair)
    yield AS_IT_IS, _psnr(stages[-1].image, pair)
    interventions = all_interventions(kernels, which, pair.radius[None], network.config)
    for name, intervention in interventions.items():
        yield name, _psnr(restored_under(network, intervention, pair, stages), pair)


@torch.inference_mode()
def restored_under(network: FDIKP, intervention: Intervention, pair: KnownPair, stages: Sequence[Stage]) -> Tensor:
    """The result for a pair under an intervention, [1, 3, H, W]; `stages` are those of the network without it."""
    with intervene(network, intervention, coefficients_of(stages)):
        result: Tensor = network(pair.blurred[None])
    return result


def _psnr(image: Tensor, pair: KnownPair) -> float:
    """dB; infinite, and so left out of `measurement`, if the image equals the target."""
    return float(psnr(image.clamp(0.0, 1.0), pair.target[None]))
