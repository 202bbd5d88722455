"""The fit of a `BlurCalibration`: from rendered pairs, whose blur radius is known, to what predicts that radius.

Pixels at random places of rendered crops are the samples. A perceptron is fitted to their radius, by the likelihood of
a Laplace distribution of the error whose scale it predicts too: pixels that tell nothing count less. A second one is
fitted to whether the first is right, by the likelihood of a Bernoulli distribution: the confidence is its probability.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import FDIKP, SCALES, downsample
from fdikp.network.blur_calibration import FEATURES, BlurCalibration
from fdikp.network.blur_radius import blur_features
from fdikp.network.dilation import ENERGY_FLOOR, detail
from fdikp.synthesis import RenderSettings
from fdikp.training.data import Batch, RenderedStream

SETTINGS = RenderSettings(max_radius=16.0, keep_grain=False)
"""What is rendered. Targets without grain show where the scene itself has detail."""

MARGIN = 32
"""Pixels rendered around each crop and cut off."""

SAMPLES = 1000
"""Pixels of each pair that the fit uses."""

HIDDEN = 16
"""Hidden units of each of the two perceptrons."""

DETAIL = 1.5
"""Contrast of the sharp image, in steps of 8 bits, from which on a pixel counts as having detail."""

ABSOLUTE, RELATIVE = 1.0, 0.25
"""A radius is right if its error is at most this, in pixels, or at most this fraction of the radius."""

SMALLEST_SCALE = 0.1
"""Smallest scale of the Laplace distribution, in pixels: areas in focus, whose radius is exactly 0, do not dominate."""

RADIUS_EDGES = (0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
"""Borders of the bins, in pixels, that the fit balances: a bin counts by the root of its number of samples."""

ITERATIONS = 300
"""Of L-BFGS, at most, for each perceptron."""

DIGITS = 6
"""Significant digits of the stored numbers."""


@dataclass(frozen=True)
class Samples:
    """Pixels of rendered pairs."""

    features: Tensor
    """[n, FEATURES]"""
    radius: Tensor
    """[n] true blur radius in pixels."""
    contrast: Tensor
    """[n] contrast of the sharp image around the pixel, in steps of 8 bits."""


def dilation_maps(network: FDIKP, x: Tensor) -> list[Tensor]:
    """The dilation maps [B, 1, h, w] of the blurry images x [B, 3, H, W] in the three stages, coarse to fine.

    They are those that `FDIKP.stages` returns, without the rest of its work. H, W ≥ 48 and multiples of 16.
    """
    return [network.fikp(blurry, blurry).dilation for blurry in (downsample(x, scale) for scale in SCALES)]


def contrast(sharp: Tensor) -> Tensor:
    """The root mean square of the detail around each pixel of sharp images, [B, 1, H, W], in steps of 8 bits."""
    energy = torch.expm1(10 * detail(sharp)) * ENERGY_FLOOR
    return 255 * energy.sum(dim=1, keepdim=True).sqrt()


def is_right(predicted: Tensor, radius: Tensor) -> Tensor:
    """Whether predicted radii are right within the tolerance."""
    return (predicted - radius).abs() <= (RELATIVE * radius).clamp_min(ABSOLUTE)


@torch.inference_mode()
def draw_samples(
    network: FDIKP,
    images: Sequence[np.ndarray],
    *,
    pairs: int,
    crop: int,
    seed: int,
    done: Callable[[], None] = lambda: None,
) -> Samples:
    """Render pairs and draw pixels from them.

    Args:
        network: in evaluation mode, on the CPU.
        images: sharp photos, uint8 [H, W, 3].
        pairs: number of pairs.
        crop: their side in pixels, a multiple of 16 and at least 64.
        seed: of the pairs and the pixels.
        done: called after each pair.
    """
    stream = RenderedStream(images, MARGIN, seed, SETTINGS)
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for number in range(pairs):
        batch = stream.batch(number, 1, crop, torch.device("cpu"))
        pixels = torch.randperm(crop * crop, generator=generator)[:SAMPLES]
        parts.append([values.flatten(1)[:, pixels].T for values in _maps(network, batch)])
        done()
    features, radius, detail_contrast = (torch.cat(part) for part in zip(*parts, strict=True))
    return Samples(features, radius[:, 0], detail_contrast[:, 0])


def _maps(network: FDIKP, batch: Batch) -> Iterator[Tensor]:
    """Features, true radius and contrast of one pair, each [maps, H, W]."""
    assert batch.radius is not None
    yield blur_features(batch.blurred, dilation_maps(network, batch.blurred))[0]
    yield batch.radius[0]
    yield contrast(batch.target)[0]


def fit(samples: Samples, *, pairs: int, seed: int) -> BlurCalibration:
    """Fit the radius, then the confidence; a function of the samples and the seed.

    Args:
        samples: of all pairs.
        pairs: number of pairs, for the record.
        seed: of the initial values.
    """
    mean, deviation = samples.features.mean(dim=0), samples.features.std(dim=0).clamp_min(1e-3)
    features = (samples.features - mean) / deviation
    weights = _balance(samples.radius)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        radius_net, confidence_net = _perceptron(2), _perceptron(1)

    def radius_loss() -> Tensor:
        radius, log_scale = radius_net(features).unbind(dim=1)
        scale = SMALLEST_SCALE + log_scale.exp()
        return (weights * ((F.softplus(radius) - samples.radius).abs() / scale + scale.log())).mean()

    _minimise(radius_net, radius_loss)
    with torch.no_grad():
        radius = F.softplus(radius_net(features)[:, 0])
        right = (is_right(radius, samples.radius) & (samples.contrast >= DETAIL)).float()
    _minimise(confidence_net, lambda: F.binary_cross_entropy_with_logits(confidence_net(features)[:, 0], right))
    return _stored(radius_net, confidence_net, mean, deviation, pairs, seed)


def _balance(radius: Tensor) -> Tensor:
    """Weights of samples, of mean 1."""
    bins = torch.bucketize(radius, torch.tensor(RADIUS_EDGES))
    weights = torch.bincount(bins, minlength=len(RADIUS_EDGES) + 1).float().rsqrt()[bins]
    return weights / weights.mean()


def _perceptron(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def _minimise(network: nn.Module, loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[arg-type]


@torch.no_grad()
def _stored(
    radius_net: nn.Sequential, confidence_net: nn.Sequential, mean: Tensor, deviation: Tensor, pairs: int, seed: int
) -> BlurCalibration:
    """Both perceptrons side by side as one, which takes the features as they are."""
    weight = torch.cat((radius_net[0].weight, confidence_net[0].weight)) / deviation
    bias = torch.cat((radius_net[0].bias, confidence_net[0].bias)) - weight @ mean
    output = torch.zeros(2, 2 * HIDDEN)
    output[0, :HIDDEN], output[1, HIDDEN:] = radius_net[2].weight[0], confidence_net[2].weight[0]
    output_bias = torch.stack((radius_net[2].bias[0], confidence_net[2].bias[0]))

    def rounded(values: Tensor) -> tuple[float, ...]:
        return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())

    return BlurCalibration(
        hidden_weight=tuple(map(rounded, weight)),
        hidden_bias=rounded(bias),
        output_weight=tuple(map(rounded, output)),
        output_bias=rounded(output_bias),
        max_radius=SETTINGS.max_radius,
        pairs=pairs,
        seed=seed,
    )
