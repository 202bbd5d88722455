import itertools
from statistics import NormalDist, fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fdikp.evaluation.statistics import MIN_IMAGES, Interval, mean_interval, resampled_means

SKEWED = [0.9, 1.1, 0.2, 0.5, -2.6, 0.7]


def exhaustive(values: list[float], confidence: float) -> tuple[float, float]:
    """BCa over every sample that can be drawn, each as likely, with the jackknife written out: Efron (1987)."""
    normal = NormalDist()
    means = sorted(fmean(sample) for sample in itertools.product(values, repeat=len(values)))
    mean = fmean(values)
    below = sum(m < mean - 1e-12 for m in means)
    ties = sum(abs(m - mean) <= 1e-12 for m in means)
    z0 = normal.inv_cdf((below + ties / 2) / len(means))
    left_out = [fmean(values[:i] + values[i + 1 :]) for i in range(len(values))]
    middle = fmean(left_out)
    cubes = sum((middle - m) ** 3 for m in left_out)
    squares = sum((middle - m) ** 2 for m in left_out)
    a = cubes / (6 * squares**1.5)
    ends = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + normal.inv_cdf(level)
        ends.append(means[round(normal.cdf(z0 + z / (1 - a * z)) * (len(means) - 1))])
    return ends[0], ends[1]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("values", [SKEWED, [-v for v in SKEWED], [0.0, 0.1, 0.25, 0.3, 0.7]])
def test_as_if_every_sample_were_drawn(values, confidence):
    found = mean_interval(values, confidence=confidence, resamples=40_000)
    width = np.ptp(values)
    assert (found.low, found.high) == pytest.approx(exhaustive(values, confidence), abs=0.015 * width)


def test_as_scipy_computes_it():
    values = np.random.default_rng(3).gamma(1.0, size=30) - 1.2
    found = mean_interval(values.tolist(), resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_a_skewed_sample_moves_the_interval_towards_its_tail():
    means = resampled_means(np.array(SKEWED), 10_000, 0)
    found, percentile = mean_interval(SKEWED), np.quantile(means, (0.025, 0.975))
    assert found.low < percentile[0] - 0.05
    assert found.high < percentile[1] - 0.02


@pytest.mark.parametrize("skewed", [False, True])
def test_it_covers_the_true_mean_about_as_often_as_it_says(skewed):
    """Differences of 40 pictures whose true mean is known, 400 times; 0.95 is promised, and small samples fall short
    of it by a few hundredths, as the theory of the bootstrap says."""
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(400):
        values = 1.0 - random.gamma(1.0, size=40) if skewed else random.normal(size=40)
        interval = mean_interval(values.tolist(), resamples=1000, seed=trial)
        covered += interval.low <= 0.0 <= interval.high
    assert 0.90 <= covered / 400 <= 0.98


@settings(max_examples=25)
@given(st.lists(st.floats(-50, 50), min_size=MIN_IMAGES, max_size=12))
def test_it_lies_within_the_values(values):
    interval = mean_interval(values, resamples=500)
    slack = 1e-9
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


def test_it_goes_along_when_all_values_move_or_are_scaled():
    found, other = mean_interval(SKEWED), mean_interval([1e-3 * v + 7 for v in SKEWED])
    assert (other.low, other.high) == pytest.approx((1e-3 * found.low + 7, 1e-3 * found.high + 7), abs=2e-4)
    mirrored = mean_interval([-v for v in SKEWED])
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=0.05)


def test_the_seed_alone_decides():
    assert mean_interval(SKEWED, seed=1) == mean_interval(SKEWED, seed=1)
    assert mean_interval(SKEWED, seed=1, resamples=200) != mean_interval(SKEWED, seed=2, resamples=200)


def test_many_values_are_drawn_in_parts():
    values = np.random.default_rng(0).normal(size=70_000)
    means = resampled_means(values, 40, 0)
    assert means.shape == (40,)
    assert means.std() == pytest.approx(70_000**-0.5, rel=0.4)


def test_no_interval_where_there_is_none():
    assert mean_interval([0.1] * (MIN_IMAGES - 1)) is None
    assert mean_interval([]) is None
    assert mean_interval([0.25] * MIN_IMAGES) == Interval(0.25, 0.25)
    with pytest.raises(ValueError, match="finite"):
        mean_interval([1.0, float("nan"), 2.0, 3.0, 4.0])


def test_zero_is_excluded_on_either_side():
    assert Interval(0.1, 0.2).excludes_zero
    assert Interval(-0.2, -0.1).excludes_zero
    assert not Interval(-0.1, 0.2).excludes_zero
