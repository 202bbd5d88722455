"""The three measurements of whether the kernel path earns its place, each a list of cells.

A set is pairs of known blur: `mixed`, where the radius varies across the picture, or one radius everywhere.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.evaluation.results import finite
from fdikp.metrics.psnr import psnr
from fdikp.network import FDIKP, SCALES, Stage, downsample
from fdikp.paper.kernel_path.correlation import pearson, spearman, texture
from fdikp.paper.kernel_path.interventions import (
    Intervention,
    catalogue,
    coefficients_of,
    delta,
    intervening,
    kernel_path_of,
    kernels_of,
)
from fdikp.paper.kernel_path.known_blur import KnownPair, mixed_pairs, uniform_pairs
from fdikp.paper.kernel_path.measurements import Cell, cell
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

STAGES = ("coarse", "middle", "fine")

SPECTRA = {"a photograph's spectrum": PHOTOGRAPH, "a white spectrum": WHITE}

MIXED = "mixed"

AS_IT_IS = "the network as it is"

NO_BLUR = 0.5
"""Radius in pixels up to which a lens blurs nothing, or so little that shares of it mean nothing."""

Told = tuple[Tensor, Tensor]
"""Dilation and true radius at some pixels, [n] each, in pixels of the stage."""


@dataclass(frozen=True)
class Seen:
    """A pair, and what the network predicted for it."""

    pair: KnownPair
    stages: Sequence[Stage]

    def texture(self, scale: int) -> Tensor:
        """[1, 1, h, w], of the target as the stage of this scale would have it."""
        return texture(downsample(self.pair.target[None], scale))

    def radius(self, scale: int) -> Tensor:
        """[1, 1, h, w], in pixels of the scale."""
        return downsample(self.pair.radius[None], scale) / scale

    def told(self) -> list[Told]:
        """Dilation and true radius at the pixels of each stage that show texture."""
        masks = [self.texture(scale) > 0 for scale in SCALES]
        parts = zip(self.stages, SCALES, masks, strict=True)
        return [(stage.dilation[:, :1][there], self.radius(scale)[there]) for stage, scale, there in parts]


def measure(
    network: FDIKP, sharp: Sequence[Tensor], radii: Sequence[float], progress: Callable[[str], None]
) -> list[Cell]:
    """Every table.

    Args:
        network: in float32, in inference mode.
        sharp: crops of `known_blur.crops`, of pictures that differ; at least 2, of a size that is a multiple of 16.
        radii: of the sets of one radius, pixels, above half a pixel, below which there is no blur.
        progress: told what comes next.

    Raises:
        FdikpError: the network has no kernel path.
    """
    kernel_path_of(network)
    told: dict[str, list[list[Told]]] = {}
    shapes: list[Cell] = []
    scores: list[Cell] = []
    for name, radius in {MIXED: None, **{f"{radius:g} px": radius for radius in radii}}.items():
        progress(name)
        seen = look(network, mixed_pairs(sharp) if radius is None else uniform_pairs(sharp, radius))
        told[name] = [each.told() for each in seen]  # all that is kept: coefficient maps take far more memory
        shapes += [] if radius is None else shape_cells(network, name, seen)
        scores += intervention_cells(network, name, seen)
    return [*map_cells(told), *shapes, *scores]


@torch.inference_mode()
def look(network: FDIKP, pairs: Sequence[KnownPair]) -> list[Seen]:
    """One pass of the network over each pair."""
    return [Seen(pair, network.padded_stages(pair.blurred[None])) for pair in pairs]


def map_cells(told: Mapping[str, Sequence[Sequence[Told]]]) -> list[Cell]:
    """Question 1: does the dilated map tell the radius? Within pictures of mixed radii, and for each picture across
    its renderings at one radius each.

    told: for each set, picture and stage.
    """
    correlations, table = [], "Correlation of the dilated map with the true radius"
    uniform = [pictures for name, pictures in told.items() if name != MIXED]
    for stage, name in enumerate(STAGES):
        within = [picture[stage] for picture in told[MIXED]]
        across = [_pooled([picture[stage] for picture in same]) for same in zip(*uniform, strict=True)]
        for kind, of in (("Pearson", pearson), ("Spearman", spearman)):
            correlations.append(cell(table, name, f"{kind}, within pictures", (of(*each) for each in within)))
            correlations.append(cell(table, name, f"{kind}, across radii", (of(*each) for each in across)))
    means = [
        cell("Mean dilation on texture, pixels of the stage", name, column, (float(p[n][0].mean()) for p in pictures))
        for n, name in enumerate(STAGES)
        for column, pictures in told.items()
    ]
    return [*correlations, *means]


def _pooled(parts: Sequence[Told]) -> Told:
    dilation, radius = zip(*parts, strict=True)
    return torch.cat(dilation), torch.cat(radius)


def shape_cells(network: FDIKP, row: str, seen: Sequence[Seen]) -> list[Cell]:
    """Question 2: is k* an inverse of the blur? Energy of k* ⊗ k − δ over that of k − δ, for one radius.

    At each stage the kernel that leaves least of those predicted for the blurred image, beside the least that any
    kernel of that many taps with that dilation leaves; and the whole path, over all stages, weighed by coefficients.
    """
    cells = []
    for spectrum, falls in SPECTRA.items():
        table = f"Energy of k* ⊗ k − δ over that of k − δ, {spectrum}"
        for stage, name in enumerate(STAGES):
            values = [_shape(each, stage, falls) for each in seen]
            cells.append(cell(table, row, f"{name}: best of the predicted", (best for best, _ in values)))
            cells.append(cell(table, row, f"{name}: least possible", (least for _, least in values)))
        if not kernel_path_of(network).on_light:
            cells.append(cell(table, row, "whole path", (_whole(network, each, falls) for each in seen)))
    return cells


def _shape(seen: Seen, stage: int, falls: float) -> tuple[float, float]:
    """Share of the energy that the best predicted kernel of a stage leaves, and the least possible share."""
    scale = SCALES[stage]
    dilation = float(seen.told()[stage][0].double().mean())
    if math.isnan(dilation) or float(seen.radius(scale).max()) <= NO_BLUR:  # no texture, or nothing to undo
        return math.nan, math.nan
    blur, kernels = seen.pair.kernel(scale), seen.stages[stage].kernels[0, 0].double()
    size = kernels.shape[-1]
    before = float(difference_energy(point_images(blur, delta(stage, kernels[:1]), dilation), falls)[0])
    best = float(difference_energy(point_images(blur, kernels, dilation), falls).min())
    return best / before, least_energy(blur, size, dilation, falls) / before


def _whole(network: FDIKP, seen: Seen, falls: float) -> float:
    """Share of the energy that the whole path leaves, mean over places with texture; NaN where there are none."""
    places = textured_places(seen.texture(1)[0, 0])
    if not places:
        return math.nan
    blur = seen.pair.kernel()
    margin = REACH - blur.shape[-1] // 2
    before = difference_energy(F.pad(blur, (margin,) * 4), falls)
    return float((difference_energy(whole_responses(network, seen.stages, blur, places), falls) / before).mean())


def intervention_cells(network: FDIKP, column: str, seen: Sequence[Seen]) -> list[Cell]:
    """Question 3: what does the result lose when a part of the kernel path is replaced? PSNR, and its change."""
    found = [dict(_scores(network, seen, n)) for n in range(len(seen))]
    absolute, change = "PSNR, dB", "PSNR against the network as it is, dB"
    cells = [cell(absolute, name, column, (scores[name] for scores in found)) for name in found[0]]
    others = [name for name in found[0] if name != AS_IT_IS]
    return cells + [cell(change, name, column, (s[name] - s[AS_IT_IS] for s in found)) for name in others]


def _scores(network: FDIKP, seen: Sequence[Seen], which: int) -> Iterator[tuple[str, float]]:
    """PSNR of one picture under each intervention."""
    pair, stages = seen[which].pair, seen[which].stages
    kernels = torch.stack([kernels_of(each.stages) for each in seen])
    yield "input", _psnr(pair.blurred[None], pair)
    yield AS_IT_IS, _psnr(stages[-1].image, pair)
    interventions = catalogue(kernels, which, pair.radius[None], network.config)
    for name, intervention in interventions.items():
        yield name, _psnr(under(network, intervention, pair, stages), pair)


@torch.inference_mode()
def under(network: FDIKP, intervention: Intervention, pair: KnownPair, stages: Sequence[Stage]) -> Tensor:
    """What the network makes of a pair's blurred picture under an intervention, [1, 3, H, W]; `stages` are its own."""
    with intervening(network, intervention, coefficients_of(stages)):
        result: Tensor = network(pair.blurred[None])
    return result


def _psnr(image: Tensor, pair: KnownPair) -> float:
    return finite(float(psnr(image.clamp(0.0, 1.0), pair.target[None])))
