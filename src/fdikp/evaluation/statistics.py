"""How sure a mean difference of two methods is, when both restored the same pictures.

The interval is the bias-corrected and accelerated bootstrap (BCa; Efron 1987, "Better Bootstrap Confidence Intervals")
of the mean. Differences of methods are skewed, one picture that a method spoils moves the mean by itself, and the plain
percentile interval of a skewed sample lies too far towards the bulk; BCa shifts its ends by the skewness that the
sample shows. Pictures are what is drawn anew: the interval speaks of other pictures, not of other training runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
"""Of an interval."""

RESAMPLES = 10_000
"""Samples that are drawn anew."""

FEWEST = 5
"""Below so many pictures there is no interval: too few different samples can be drawn of them."""

_AT_ONCE = 1 << 20
"""Numbers drawn at a time, which bounds the memory."""


@dataclass(frozen=True)
class Interval:
    """Where a mean lies with the confidence asked for."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sample tells that the mean is not 0."""
        return self.low > 0.0 or self.high < 0.0


def mean_interval(
    values: Sequence[float], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """BCa bootstrap interval of the mean; None for fewer than `FEWEST` values. Equal arguments give equal intervals.

    Raises:
        ValueError: a value is not finite.

    >>> mean_interval([0.1, 0.2, 0.3, 0.2, 0.1, 0.3, 0.2])
    Interval(low=0.142..., high=0.242...)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not np.isfinite(sample).all():
        raise ValueError("an interval needs finite values")
    if len(sample) < FEWEST:
        return None
    if np.ptp(sample) == 0.0:
        return Interval(float(sample[0]), float(sample[0]))
    means = resampled_means(sample, resamples, seed)
    low, high = np.quantile(means, bca_levels(sample, means, confidence))
    return Interval(float(low), float(high))


def resampled_means(sample: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means [resamples] of samples drawn with replacement from `sample` [n], each of n values."""
    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(sample))
    counts = [min(step, resamples - start) for start in range(0, resamples, step)]
    drawn = (sample[random.integers(0, len(sample), (count, len(sample)))] for count in counts)
    return np.concatenate([values.mean(axis=1) for values in drawn])


def bca_levels(sample: np.ndarray, means: np.ndarray, confidence: float) -> tuple[float, float]:
    """Which quantiles of the resampled means are the ends of the interval (Efron 1987, eq. 2.3)."""
    normal = NormalDist()
    estimate = sample.mean()
    # Half of the ties, as few pictures give the very same mean often; kept off 0 and 1, where the normal is infinite
    share = ((means < estimate).mean() + (means <= estimate).mean()) / 2
    bias = normal.inv_cdf(min(max(float(share), 0.5 / len(means)), 1 - 0.5 / len(means)))
    deviations = sample - estimate
    deviations /= np.abs(deviations).max()  # the ratio below is the same, and tiny numbers do not vanish
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)  # the jackknife's, for a mean
    ends = [normal.inv_cdf((1 + sign * confidence) / 2) + bias for sign in (-1, 1)]
    low, high = (normal.cdf(bias + end / (1 - float(acceleration) * end)) for end in ends)
    return low, high
