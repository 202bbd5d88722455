"""The fit of a `BlurCalibration`: from rendered pairs, whose blur radius is known, to what predicts that radius.

Pixels at random places of rendered crops are the samples. A perceptron is fitted to their radius, by the likelihood of
a Laplace distribution of the error whose scale it predicts too: pixels that tell nothing count less. A second one is
fitted to whether the first is right, by the likelihood of a Bernoulli distribution: the confidence is its probability.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.errors import TrainingError
from fdikp.network import FDIKP, SCALES, downsample
from fdikp.network.blur_calibration import (
    FEATURES,
    LEAST_CONTRAST,
    RELATIVE_TOLERANCE,
    TOLERANCE,
    BlurCalibration,
)
from fdikp.network.blur_radius import BlurRadius, blur_features
from fdikp.network.dilation import ENERGY_FLOOR, detail
from fdikp.network.fdikp import pad, working_size
from fdikp.network.fikp import FIKP
from fdikp.synthesis import RenderSettings, render_pair
from fdikp.training.data import RenderedStream

SETTINGS = RenderSettings(max_radius=16.0, keep_grain=False)
"""What is rendered. Targets without grain show where the scene itself has detail."""

MARGIN = 32
"""Pixels rendered around each crop and cut off."""

LARGEST_SIDE = 768
"""Of the images that are rendered whole, in pixels."""

SEED_STRIDE = 1_000_003
"""Distance between the first seeds of two runs of `measure`."""

STEP = 4
"""Errors are measured at every fourth pixel of every fourth row: neighbours have nearly the same."""

BLANK_EVERY, BLANK_SIDE = 20, 512
"""One image of one colour for so many photos, and its side in pixels."""

SAMPLES = 1000
"""Pixels of each pair that the fit uses."""

HIDDEN = 16
"""Hidden units of each of the two perceptrons."""

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
    blur = network.fikp.blur if isinstance(network.fikp, FIKP) else None
    inputs = [downsample(x, scale) for scale in SCALES]
    return [torch.ones_like(blurry[:, :1]) if blur is None else blur(blurry) for blurry in inputs]


def contrast(sharp: Tensor) -> Tensor:
    """The root mean square of the detail around each pixel of sharp images, [B, 1, H, W], in steps of 8 bits."""
    energy = torch.expm1(10 * detail(sharp)) * ENERGY_FLOOR
    return 255 * energy.sum(dim=1, keepdim=True).sqrt()


def is_right(predicted: Tensor, radius: Tensor) -> Tensor:
    """Whether predicted radii are right within the tolerance."""
    return (predicted - radius).abs() <= (RELATIVE_TOLERANCE * radius).clamp_min(TOLERANCE)


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
    generator = torch.Generator().manual_seed(seed)
    stream = RenderedStream([*images, *_blank_images(len(images), generator)], MARGIN, seed, SETTINGS)
    parts = []
    for number in range(pairs):
        batch = stream.batch(number, 1, crop, torch.device("cpu"))
        pixels = torch.randperm(crop * crop, generator=generator)[:SAMPLES]
        assert batch.radius is not None
        maps = (
            blur_features(batch.blurred, dilation_maps(network, batch.blurred)),
            batch.radius,
            contrast(batch.target),
        )
        parts.append([values[0].flatten(1)[:, pixels].T for values in maps])
        done()
    features, radius, contrasts = (torch.cat(part) for part in zip(*parts, strict=True))
    return Samples(features, radius[:, 0], contrasts[:, 0])


def _blank_images(photos: int, generator: torch.Generator) -> list[np.ndarray]:
    """Images of one colour, one for every `BLANK_EVERY` photos: they show that noise alone is no detail."""
    colours = torch.randint(0, 256, (-(-photos // BLANK_EVERY), 3), generator=generator, dtype=torch.uint8)
    return [np.full((BLANK_SIDE, BLANK_SIDE, 3), colour) for colour in colours.numpy()]


@torch.inference_mode()
def measure(
    network: FDIKP,
    calibration: BlurCalibration,
    images: Iterable[np.ndarray],
    *,
    renderings: int,
    seed: int,
    done: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Predict the radius of whole rendered images.

    Args:
        network: in evaluation mode, on the CPU.
        calibration: of this network.
        images: sharp photos, uint8 [H, W, 3], of other scenes than those of the fit; only the middle is rendered of
            those with a side above `LARGEST_SIDE`.
        renderings: number of renderings of each image.
        seed: of the renderings.
        done: called after each rendering.

    Returns:
        [4, n] float32, at every `STEP`-th row and column of all renderings: the true radius, the predicted radius,
        its confidence, and the contrast of the sharp image.
    """
    blur_radius = BlurRadius(calibration)
    parts = []
    seeds = count(seed * SEED_STRIDE)
    for image in images:
        sharp = torch.from_numpy(_middle(image)).permute(2, 0, 1)[None].float() / 255
        height, width = sharp.shape[-2:]
        for _ in range(renderings):
            pair = render_pair(sharp, [next(seeds)], SETTINGS)
            x = pad(pair.blurred, *working_size(height, width))
            predicted = blur_radius.from_features(blur_features(x, dilation_maps(network, x)))[..., :height, :width]
            maps = torch.cat((pair.radius, predicted, contrast(pair.target)), dim=1)
            parts.append(maps[0, :, ::STEP, ::STEP].flatten(1).numpy())
            done()
    return np.concatenate(parts, axis=1)


def _middle(image: np.ndarray) -> np.ndarray:
    """The middle of an image, of at most `LARGEST_SIDE` pixels a side."""
    top, left = (max(0, side - LARGEST_SIDE) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE])


def fit(samples: Samples, *, pairs: int, seed: int) -> BlurCalibration:
    """Fit the radius, then the confidence; a function of the samples and the seed.

    Args:
        samples: of all pairs.
        pairs: number of pairs, for the record.
        seed: of the initial values.

    Raises:
        TrainingError: the fit diverged.
    """
    mean, deviation = samples.features.mean(dim=0), samples.features.std(dim=0).clamp_min(1e-3)
    features = (samples.features - mean) / deviation
    weights = _balance(samples.radius)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        radius_net, confidence_net = _Perceptron(2), _Perceptron(1)

    def radius_loss() -> Tensor:
        radius, log_scale = radius_net(features).unbind(dim=1)
        scale = SMALLEST_SCALE + log_scale.exp()
        return (weights * ((F.softplus(radius) - samples.radius).abs() / scale + scale.log())).mean()

    _minimise(radius_net, radius_loss)
    with torch.no_grad():
        radius = F.softplus(radius_net(features)[:, 0])
        right = (is_right(radius, samples.radius) & (samples.contrast >= LEAST_CONTRAST)).float()
    _minimise(confidence_net, lambda: F.binary_cross_entropy_with_logits(confidence_net(features)[:, 0], right))
    return _stored(radius_net, confidence_net, mean, deviation, pairs, seed)


def _balance(radius: Tensor) -> Tensor:
    """Weights of samples, of mean 1."""
    bins = torch.bucketize(radius, torch.tensor(RADIUS_EDGES))
    weights = torch.bincount(bins, minlength=len(RADIUS_EDGES) + 1).float().rsqrt()[bins]
    return weights / weights.mean()


class _Perceptron(nn.Module):
    """One hidden layer: [n, FEATURES] to [n, outputs]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, HIDDEN)
        self.output = nn.Linear(HIDDEN, outputs)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.output(F.relu(self.hidden(features)))
        return out


def _minimise(network: nn.Module, loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    if loss().isfinite():
        optimizer.step(closure)
    if not loss().isfinite():
        raise TrainingError("the fit of the blur map diverged; use more pairs or another seed")


@torch.no_grad()
def _stored(
    radius_net: _Perceptron, confidence_net: _Perceptron, mean: Tensor, deviation: Tensor, pairs: int, seed: int
) -> BlurCalibration:
    """Both perceptrons side by side as one, which takes the features as they are."""
    weight = torch.cat((radius_net.hidden.weight, confidence_net.hidden.weight)) / deviation
    bias = torch.cat((radius_net.hidden.bias, confidence_net.hidden.bias)) - weight @ mean
    output = torch.zeros(2, 2 * HIDDEN)
    output[0, :HIDDEN], output[1, HIDDEN:] = radius_net.output.weight[0], confidence_net.output.weight[0]
    output_bias = torch.stack((radius_net.output.bias[0], confidence_net.output.bias[0]))

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
