import math
from dataclasses import asdict, replace

import pytest
import torch

from fdikp.metrics.before_after import score, summarise


def test_damage_where_the_picture_was_in_focus_is_seen():
    target = torch.full((3, 20, 20), 0.5)
    blurred = target.clone()
    blurred[:, :10] += 0.2  # the upper half is out of focus, the lower off by 0.002
    blurred[:, 10:] += 0.002
    output = target.clone()
    output[:, 10:] += 0.004  # repaired above, worse below
    result = score("one", blurred, output, target)
    assert result.gain > 20
    assert result.focus_pixels == 200
    summary = summarise([result])
    assert summary.focus_ratio == pytest.approx(4.0, rel=1e-3)
    assert summary.focus_error == pytest.approx(0.004**2, rel=1e-3)
    assert result.shift == pytest.approx(0.1 - 0.001, abs=1e-5)
    assert result.lpips_after is None


def test_a_pixel_is_in_focus_in_all_channels_or_not():
    target = torch.full((3, 8, 8), 0.5)
    blurred = target.clone()
    blurred[1, :4] = 0.6
    assert score("one", blurred, blurred, target).focus_pixels == 32


def test_what_is_blurred_in_the_target_too_is_no_damage_to_focus():
    torch.manual_seed(0)
    target = torch.full((3, 64, 64), 0.5)
    target[:, :, :24] += 0.3 * torch.randn(1, 64, 24)  # detail in focus on the left, none on the right
    output = target.clone()
    output[:, :, 44:] += 0.1
    summary = summarise([score("one", target + 0.001, output, target)])
    assert summary.focus_ratio == pytest.approx(0.1**2 * (20 / 64) / 0.001**2, rel=0.05)
    assert summary.sharp_ratio == pytest.approx(0, abs=0.01)


def test_output_is_clamped_before_it_is_scored():
    target = torch.ones(3, 8, 8)
    assert score("one", target * 0.9, target * 1.3, target).psnr_after == math.inf


def test_a_set_is_the_mean_of_its_pictures_and_names_the_worst():
    target = torch.rand(3, 16, 16) * 0.5 + 0.2
    better = score("better", target + 0.1, target + 0.01, target)
    worse = score("worse", target + 0.01, target + 0.1, target)
    summary = summarise([better, worse])
    assert summary.images == 2
    assert summary.gain == pytest.approx(0, abs=1e-3)
    assert (summary.worst_name, round(summary.worst_gain)) == ("worse", -20)
    assert summary.psnr_before == pytest.approx(30, abs=1e-2)


def test_halos_count_as_overshoot():
    target = torch.full((3, 24, 24), 0.2)
    target[:, :, 12:] = 0.6
    halo = target.clone()
    halo[:, :, 12:14] = 0.8
    near = target + 0.001
    summary = summarise([score("one", near, halo, target), score("two", near, near, target)])
    assert summary.overshoot_before == 0
    assert summary.overshoot_after == pytest.approx((0.2 * 255 - 1) * 2 / 6 / 2, rel=1e-3)


def test_what_equals_its_target_is_named_and_in_no_mean():
    target = torch.rand(3, 16, 16) * 0.5 + 0.2
    usual = score("usual", target + 0.1, target + 0.01, target)
    same_input = score("in", target, target + 0.1, target)
    same_output = score("out", target + 0.1, target, target)
    summary = summarise([same_input, usual, same_output])
    assert (summary.images, summary.identical) == (1, ("in", "out"))
    alone = summarise([usual])
    assert summary == replace(alone, identical=("in", "out"))
    assert summary.psnr_after == pytest.approx(40, abs=1e-3)


def test_without_any_other_image_there_is_no_mean():
    target = torch.rand(3, 16, 16)
    summary = summarise([score("in", target, target * 0.9, target)])
    assert (summary.images, summary.identical) == (0, ("in",))
    fields = set(asdict(summary)) - {"images", "identical"}
    assert {getattr(summary, name) for name in fields} == {None}
