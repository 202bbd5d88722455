"""Confidence intervals of the mean difference of two methods on the same images.

The interval is the bias-corrected and accelerated bootstrap (BCa; Efron 1987, "Better Bootstrap Confidence Intervals")
of the mean. Differences of methods are skewed, since one spoiled image can move the mean, and the plain percentile
interval of a skewed sample lies too far towards the bulk. BCa shifts its ends by the skewness of the sample. Images are
resampled, so the interval covers other images, not other training runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
"""Default confidence level."""

RESAMPLES = 10_000
"""Default number of bootstrap samples."""

MIN_IMAGES = 5
"""Fewer images have no interval, because too few different samples can be drawn from them."""

_CHUNK = 1 << 20
"""Values drawn at a time, which bounds the memory."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean differs from 0 significantly."""
        return self.low > 0.0 or self.high < 0.0


def mean_interval(
    values: Sequence[float], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """BCa bootstrap interval of the mean; None for fewer than `MIN_IMAGES` values. Deterministic.

    Raises:
        ValueError: a value is not finite.

    >>> mean_interval([0.1, 0.2, 0.3, 0.2, 0.1, 0.3, 0.2])
    Interval(low=0.142..., high=0.242...)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not np.isfinite(sample).all():
        raise ValueError("an interval needs finite values")
    if len(sample) < MIN_IMAGES:
        return None
    if np.ptp(sample) == 0.0:
        return Interval(float(sample[0]), float(sample[0]))
    means = resampled_means(sample, resamples, seed)
    low, high = np.quantile(means, bca_levels(sample, means, confidence))
    return Interval(float(low), float(high))


def resampled_means(sample: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means [resamples] of samples drawn with replacement from `sample` [n], each of n values."""
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(sample))
    counts = [min(step, resamples - start) for start in range(0, resamples, step)]
    drawn = (sample[random.integers(0, len(sample), (count, len(sample)))] for count in counts)
    return np.concatenate([values.mean(axis=1) for values in drawn])


def bca_levels(sample: np.ndarray, means: np.ndarray, confidence: float) -> tuple[float, float]:
    """The quantile levels of the resampled means at which the interval ends (Efron 1987, eq. 2.3)."""
    normal = NormalDist()
    estimate = sample.mean()
    # Few images often give equal means, so ties count half; the clamp avoids 0 and 1, where inv_cdf is infinite
    below = ((means < estimate).mean() + (means <= estimate).mean()) / 2
    bias = normal.inv_cdf(min(max(float(below), 0.5 / len(means)), 1 - 0.5 / len(means)))
    deviations = sample - estimate
    deviations /= np.abs(deviations).max()  # keeps the ratio below, and avoids underflow
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)  # of the jackknife, for a mean
    ends = [normal.inv_cdf((1 + sign * confidence) / 2) + bias for sign in (-1, 1)]
    low, high = (normal.cdf(bias + end / (1 - float(acceleration) * end)) for end in ends)
    return low, high
