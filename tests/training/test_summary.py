"""The page about a run."""

import pytest

from fdikp.training.recipe import Recipe
from fdikp.training.summary import _markdown


@pytest.mark.parametrize("key", ["images", "pictures"])
def test_validations_of_a_log_with_the_older_key_are_on_the_page(key: str) -> None:
    means = {"psnr_before": 20.0, "psnr_after": 21.5, "ssim_before": 0.5, "ssim_after": 0.6, "step": 7, key: 12}
    page = _markdown({"model": "tiny", "validation": means, "validation_best": means, "versions": {}}, Recipe())
    assert page.count("PSNR 20.00 → 21.50 dB, SSIM 0.500 → 0.600, 12 pairs, step 7") == 2
