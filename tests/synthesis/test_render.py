import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import pairwise

import pytest
import torch

from fdikp.synthesis import Aperture, RenderSettings, aperture_kernels, render_pair
from fdikp.synthesis.depth import draw_scene
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.sensor import add_luminance_noise
from fdikp.transfer_functions import srgb_to_linear

CLEAN = RenderSettings(
    p_tone_curve=0,
    p_luminance_noise=0,
    p_noise=0,
    p_sharpened=0,
    p_oversharpened=0,
    p_jpeg=0,
    p_highlight_boost=0,
    keep_grain=False,
    rounded=False,
)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(6, 3, 12, 12, generator=generator)
    return torch.nn.functional.interpolate(coarse, (64, 80), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("settings", [RenderSettings(), RenderSettings(p_cats_eye=1, p_noise=1, p_mosaic=1)])
def test_a_pair_is_a_function_of_picture_and_seed_alone(pictures, settings):
    seeds = [11, 12, 13, 14, 15, 16]
    together = render_pair(pictures, seeds, settings)
    for batch in ([5], [0, 3], [4, 3, 2, 1]):
        others = render_pair(pictures[batch], [seeds[i] for i in batch], settings)
        for part in ("blurred", "target", "radius"):
            assert torch.equal(getattr(others, part), getattr(together, part)[batch])


def test_pairs_do_not_depend_on_threads(pictures):
    expected = render_pair(pictures, range(6))
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(render_pair, pictures[i : i + 1], [i]) for i in (5, 3, 1, 4, 2, 0)]
        pairs = [job.result() for job in jobs]
    for i, pair in zip((5, 3, 1, 4, 2, 0), pairs, strict=True):
        assert torch.equal(pair.blurred[0], expected.blurred[i])
        assert torch.equal(pair.target[0], expected.target[i])


def test_global_random_state_is_neither_read_nor_changed(pictures):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = render_pair(pictures[:1], [5])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(render_pair(pictures[:1], [5]).blurred, first.blurred)


def test_other_seeds_make_other_pairs(pictures):
    same = pictures[:1].expand(6, -1, -1, -1)
    pairs = render_pair(same, range(6)).blurred
    assert all(not torch.equal(pairs[i], pairs[j]) for i in range(6) for j in range(i))


def test_values_stay_in_range_and_in_8_bits(pictures):
    pair = render_pair(pictures, range(50, 56))
    for image in (pair.blurred, pair.target):
        assert image.shape == pictures.shape
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert torch.allclose((pair.blurred * 255).round() / 255, pair.blurred, atol=1e-7)
    assert pair.radius.shape == (6, 1, 64, 80)
    assert float(pair.radius.max()) <= RenderSettings().max_radius


def test_a_sharp_pair_is_the_picture_itself(pictures):
    pair = render_pair(pictures, range(6), replace(CLEAN, p_sharp=1.0))
    assert torch.equal(pair.target, pictures)
    assert torch.allclose(pair.blurred, pictures, atol=1e-5)
    assert not pair.radius.any()


def test_a_uniform_pair_has_one_radius_and_loses_contrast(pictures):
    pair = render_pair(pictures, range(6), replace(CLEAN, p_sharp=0.0, p_uniform=1.0))
    for radius, blurred, target in zip(pair.radius, pair.blurred, pair.target, strict=True):
        assert radius.min() == radius.max() >= 0.6
        assert blurred.std() < target.std()


def test_without_noise_what_is_in_focus_equals_the_target():
    settings = replace(CLEAN, p_sharp=0, p_uniform=0, p_single=1.0)
    picture = torch.rand(1, 3, 96, 96)
    compared = 0
    for seed in range(12):
        pair = render_pair(picture, [seed], settings)
        away = torch.nn.functional.max_pool2d(pair.radius, 35, 1, 17) == 0  # no blurred point in reach
        compared += int(away.sum())
        assert torch.allclose(pair.blurred * away, pair.target * away, atol=2e-4)
    assert compared > 1000


def test_about_half_is_in_focus_and_half_of_the_rest_strongly_blurred():
    settings = RenderSettings()
    picture = torch.rand(3, 48, 48)
    maps = []
    for seed in range(400):
        scene = draw_scene(RandomStream(seed), picture, settings)
        radius = scene.surfaces[0].radius_map(scene.lens)
        for surface in scene.surfaces[1:]:
            radius = torch.where(surface.matte > 0.5, surface.radius_map(scene.lens), radius)
        maps.append(radius)
    radii = torch.stack(maps)
    assert 0.40 < float((radii < 0.5).float().mean()) < 0.55
    small = float((radii[radii >= 0.5] < 4.5).float().mean())
    assert 0.4 < small < 0.6
    assert 0.2 < float((radii.amax(dim=(1, 2, 3)) == 0).float().mean()) < 0.35


def test_surfaces_further_back_lie_further_behind_the_focal_plane():
    settings = replace(RenderSettings(), p_sharp=0, p_uniform=0, p_single=0)
    several = 0
    for seed in range(200):
        scene = draw_scene(RandomStream(seed), torch.rand(3, 32, 32), settings)
        surfaces = scene.surfaces
        first = [float(s.radii(scene.lens)[0]) for s in surfaces]
        several += len(surfaces) == 3
        assert bool((surfaces[0].matte == 1).all())
        assert all(float(s.matte.min()) >= 0 and float(s.matte.max()) <= 1 for s in surfaces)
        furthest = [min(s.ends) for s in surfaces]  # inverse distances
        assert furthest == sorted(furthest)
        assert furthest[0] >= 0  # nothing beyond infinity
        if 0.0 in first:
            focus = first.index(0.0)
            assert first == sorted(first, reverse=True)
            assert all(r > 0 for r in first[:focus])
            assert all(r <= 0 for r in first[focus:])
    assert 30 < several < 90


def test_where_the_focal_plane_cuts_a_surface_it_is_in_focus():
    settings = replace(RenderSettings(), p_sharp=0, p_uniform=0, p_single=1.0)
    crossing = 0
    for seed in range(60):
        scene = draw_scene(RandomStream(seed), torch.rand(3, 48, 48), settings)
        radii = scene.surfaces[0].radii(scene.lens)
        assert 0.0 in radii
        crossing += float(radii.min()) < 0 < float(radii.max())
    assert 4 < crossing < 25


def test_noise_is_in_the_input_only_and_differs_from_pair_to_pair():
    picture = torch.full((1, 3, 64, 64), 0.5)
    settings = replace(CLEAN, p_sharp=1.0, p_noise=1.0)
    levels = []
    for seed in range(10):
        pair = render_pair(picture, [seed], settings)
        assert torch.equal(pair.target, picture)
        levels.append(float((pair.blurred - picture).std()))
    assert min(levels) > 0
    assert max(levels) > 3 * min(levels)
    assert max(levels) < 0.04
    assert abs(float((pair.blurred - picture).mean())) < 1e-3


def test_a_scene_under_a_lens_opened_wider_is_twice_as_blurred():
    for seed in range(12):
        scene = draw_scene(RandomStream(seed), torch.rand(3, 32, 32), RenderSettings())
        wide = replace(scene.lens, f_number=scene.lens.f_number / 2)
        for surface in scene.surfaces:
            assert torch.allclose(surface.radius_map(wide), 2 * surface.radius_map(scene.lens), atol=1e-5)


def test_what_was_added_leaves_other_pairs_as_they_were(pictures):
    """Cat's eye and mosaic draw from streams of their own: a pair that shows neither is the same whatever their share.

    Published figures rest on that: `KODAK_SETTINGS` has both at 0.
    """
    without = render_pair(pictures, range(6), RenderSettings(p_cats_eye=0, p_mosaic=0))
    some = [render_pair(pictures, range(6), RenderSettings(p_cats_eye=c, p_mosaic=m)) for c, m in ((1, 0), (0, 1))]
    for pair in some:
        same = [bool(torch.equal(a, b)) for a, b in zip(pair.blurred, without.blurred, strict=True)]
        assert True in same
        assert False in same
        assert torch.equal(pair.radius, without.radius)


def test_a_mosaic_changes_both_pictures_alike(pictures):
    settings = replace(CLEAN, p_sharp=1.0, p_noise=1.0)
    plain = render_pair(pictures, range(6), replace(settings, p_mosaic=0.0))
    mosaic = render_pair(pictures, range(6), replace(settings, p_mosaic=1.0))
    assert torch.equal(plain.target, pictures)
    for noisy, target, picture in zip(mosaic.blurred, mosaic.target, pictures, strict=True):
        interpolation, noise = float((target - picture).std()), float((noisy - target).std())
        assert 0.005 < interpolation < 0.05
        assert 0 < noise < 0.04
        assert float((noisy - picture).std()) > 0.9 * interpolation


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"p_sharp": 1.2}, "p_sharp"),
        ({"max_radius": 0.5}, "0.6 and 0.5"),
        ({"max_radius": 1e9}, "max_radius"),
        ({"max_radius": float("nan")}, "max_radius"),
        ({"levels": 1}, "levels"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        RenderSettings(**wrong)


def test_shares_of_jpeg_and_sharpening(pictures):
    jpeg = render_pair(pictures, range(6), replace(CLEAN, p_sharp=1.0, p_jpeg=1.0))
    error = (jpeg.blurred - pictures).abs().amax(dim=(1, 2, 3))
    assert 1 / 255 < float(error.min()) < 0.2
    both = render_pair(pictures, range(6), replace(CLEAN, p_sharp=1.0, p_sharpened=1.0))
    assert torch.allclose(both.blurred, both.target, atol=1e-4)
    assert not torch.allclose(both.target, pictures, atol=1e-3)
    halo = render_pair(pictures, range(6), replace(CLEAN, p_sharp=1.0, p_oversharpened=1.0))
    assert torch.equal(halo.target, pictures)
    assert not torch.allclose(halo.blurred, pictures, atol=1e-3)


def test_wrong_input_is_named(pictures):
    with pytest.raises(ValueError, match="2 seeds"):
        render_pair(pictures, [1, 2])
    with pytest.raises(ValueError, match=r"\(64, 80\)"):
        render_pair(pictures[0, 0], [1])


def test_codes_can_be_blurred_in_place_of_light():
    """A white point in black, blurred: what is kept is the sum of light, or the sum of the codes."""
    uniform = replace(CLEAN, p_sharp=0, p_uniform=1, min_radius=3.9, max_radius=4.0)
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32, 32] = 1.0
    light = render_pair(picture, [3], uniform).blurred
    codes = render_pair(picture, [3], replace(uniform, linear=False)).blurred
    assert float(srgb_to_linear(light)[0, 0].sum()) == pytest.approx(1.0, rel=1e-3)
    assert float(codes[0, 0].sum()) == pytest.approx(1.0, rel=1e-3)


def test_an_aperture_without_a_shape_is_a_disc():
    uniform = replace(CLEAN, p_sharp=0, p_uniform=1, min_radius=3.9, max_radius=4.0, p_shaped_aperture=0)
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32, 32] = 1.0
    pairs = [render_pair(picture, [seed], replace(uniform, p_cats_eye=0)) for seed in range(6)]
    for pair in pairs:
        radius = pair.radius.flatten()[:1]
        disc = aperture_kernels(radius, Aperture(), 11)[0]
        torch.testing.assert_close(srgb_to_linear(pair.blurred)[0, 0, 21:44, 21:44], disc, atol=1e-4, rtol=0)


class TestChanged:
    def test_each_setting_can_be_changed(self):
        for field in fields(RenderSettings):
            value = {float: "0.7", int: "5", bool: "false"}[type(field.default)]
            if field.name.startswith("max_"):
                value = "7.5"
            changed = RenderSettings().changed([f"{field.name}={value}"])
            assert getattr(changed, field.name) != field.default
            assert replace(changed, **{field.name: field.default}) == RenderSettings()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("max_radios=3", "max_radios=3: no such setting; there are max_radius, "),
            ("max_radius", "max_radius: must be a number, as in max_radius=9.5"),
            ("max_radius=big", "must be a number"),
            ("levels=2.5", "must be a whole number, as in levels=7"),
            ("layered=yes", "must be true or false, as in layered=True"),
            ("p_jpeg=2", "p_jpeg must be between 0 and 1"),
            ("max_radius=nan", "radii must have"),
        ],
    )
    def test_wrong_changes_are_refused(self, change, said):
        with pytest.raises(ValueError) as error:
            RenderSettings().changed([change])
        assert said in str(error.value) and "\n" not in str(error.value)


GRAINY = replace(CLEAN, p_noise=1, p_jpeg=1, p_mosaic=0.3, p_tone_curve=0.5, p_sharpened=0.3, keep_grain=True)


def test_what_is_in_focus_keeps_its_grain_so_that_nothing_is_to_be_changed(pictures):
    pair = render_pair(pictures, range(6), replace(GRAINY, p_sharp=1.0))
    assert torch.allclose(pair.blurred, pair.target, atol=2e-3)  # what clipping at 0 and 1 leaves
    clean = render_pair(pictures, range(6), replace(GRAINY, p_sharp=1.0, keep_grain=False))
    assert torch.equal(pair.blurred, clean.blurred)
    assert (clean.target - clean.blurred).square().mean(dim=(1, 2, 3)).min() > 1e-6


def test_what_is_out_of_focus_has_a_clean_target(pictures):
    blurred = replace(GRAINY, p_sharp=0.0, p_uniform=1.0, min_radius=1.0)
    kept, clean = (render_pair(pictures, range(6), replace(blurred, keep_grain=keep)) for keep in (True, False))
    assert torch.equal(kept.blurred, clean.blurred)
    assert torch.equal(kept.target, clean.target)


@pytest.mark.parametrize("seed", range(4))
def test_mottle_is_soft_grain_in_the_brightness(seed):
    grey = torch.full((3, 160, 160), 0.5)
    drawn = RandomStream(seed)
    width, size = drawn.log_uniform(0.5, 2.0), drawn.log_uniform(1e-3, 1.5e-2)
    grain = add_luminance_noise(grey, RandomStream(seed)) - grey
    assert torch.equal(grain[0], grain[1])
    assert float(grain.std()) == pytest.approx(size, rel=0.1)
    assert abs(float(grain.mean())) < 0.1 * size
    taps = [math.exp(-0.5 * (x / width) ** 2) for x in range(-8, 9)]
    alike = sum(a * b for a, b in pairwise(taps)) / sum(a * a for a in taps)
    neighbours = float((grain[..., 1:] * grain[..., :-1]).mean() / grain.square().mean())
    assert neighbours == pytest.approx(alike, abs=0.04)
