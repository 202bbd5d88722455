"""The page about a run."""

import math

import pytest

from fdikp.training.recipe import Recipe
from fdikp.training.summary import _markdown, _running_mean


@pytest.mark.parametrize("key", ["images", "pictures"])
def test_validations_of_a_log_with_the_older_key_are_on_the_page(key: str) -> None:
    means = {"psnr_before": 20.0, "psnr_after": 21.5, "ssim_before": 0.5, "ssim_after": 0.6, "step": 7, key: 12}
    page = _markdown({"model": "tiny", "validation": means, "validation_best": means, "versions": {}}, Recipe())
    assert page.count("PSNR 20.00 → 21.50 dB, SSIM 0.5000 → 0.6000, 12 pairs, step 7") == 2


def test_identical_pairs_are_named_and_a_set_of_them_has_no_mean() -> None:
    some = {"psnr_before": 20.0, "psnr_after": 21.5, "ssim_before": 0.5, "ssim_after": 0.6, "step": 7, "images": 12}
    none = {"images": 0, "step": 9, "identical": ["c"]}
    validations = {"validation": none, "validation_best": some | {"identical": ["a", "b"]}}
    page = _markdown({"model": "tiny", "versions": {}} | validations, Recipe())
    assert "| validation | PSNR – → – dB, SSIM – → –, 0 pairs (1 identical left out: c), step 9 |" in page
    assert "12 pairs (2 identical left out: a, b), step 7 |" in page


def test_the_curve_leaves_gaps_where_there_is_no_gain() -> None:
    nan = float("nan")
    assert _running_mean([nan, 1.0, nan, 3.0], 2)[1:] == [1.0, 1.0, 3.0]
    assert math.isnan(_running_mean([nan, 1.0], 2)[0])
