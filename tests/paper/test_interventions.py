"""Interventions in the kernel path do what they say, and nothing else."""

from dataclasses import replace

import pytest
import torch
from skimage import data
from torch import Tensor

from fdikp.errors import FdikpError
from fdikp.network import FDIKP, PRESETS, SCALES, Stage, downsample
from fdikp.paper.kernel_path.interventions import (
    Intervention,
    all_interventions,
    coefficients_of,
    delta_kernels,
    dilation_of_radius,
    hold_predictions,
    intervene,
    kernels_of,
    mean_dilation,
    only_stage,
    unit_dilation,
    with_kernels,
)
from fdikp.training.losses import BlurSupervision


def photograph(y: int = 100, x: int = 200, side: int = 64) -> Tensor:
    return torch.from_numpy(data.coffee()[y : y + side, x : x + side].copy()).permute(2, 0, 1)[None] / 255


@torch.inference_mode()
def under(network: FDIKP, intervention: Intervention, x: Tensor, coefficients=None) -> Tensor:
    with intervene(network, intervention, coefficients):
        return network(x)


@torch.inference_mode()
def plain_pass(network: FDIKP, x: Tensor) -> tuple[Tensor, list[Stage]]:
    """Without interventions, but by the same paths: others round otherwise, and where an amplitude is near nothing the
    phase that kernels are predicted from turns with the last digit."""
    return network(x), network.padded_stages(x)


def test_nothing_and_the_networks_own_change_nothing(lively):
    x = torch.cat((photograph(), photograph(200, 100)))
    expected, stages = plain_pass(lively, x)
    assert (expected - x).abs().max() > 0.01
    for intervention in (Intervention(), Intervention(with_kernels(kernels_of(stages))), hold_predictions(stages)):
        torch.testing.assert_close(under(lively, intervention, x), expected)
        torch.testing.assert_close(under(lively, intervention, x, coefficients_of(stages)), expected)


def test_known_coefficients_spare_work_and_change_nothing_else(lively):
    """The coefficient maps do not depend on the kernel path."""
    x = photograph()
    known = coefficients_of(plain_pass(lively, photograph())[1])
    for intervention in (
        Intervention(delta_kernels),
        Intervention(dilation=unit_dilation),
        Intervention(residuals=only_stage(1)),
    ):
        expected = under(lively, intervention, x)
        torch.testing.assert_close(under(lively, intervention, x, known), expected)


def test_delta_kernels_make_position_adaptive_convolution_the_identity(lively):
    """Before any training the refinement is the identity: each candidate is then the image itself."""
    found = []
    handle = lively.fikp.register_forward_hook(lambda module, inputs, output: found.append(output.candidate_residuals))
    under(lively, Intervention(delta_kernels), photograph())
    handle.remove()
    assert len(found) == 3
    for residuals in found:
        torch.testing.assert_close(residuals, residuals[:, -1:].expand_as(residuals), atol=1e-5, rtol=0)


def test_dilation_1_is_plain_convolution(lively):
    plain = FDIKP(replace(lively.config, position_adaptive=False)).eval().requires_grad_(False)
    plain.load_state_dict({k: v for k, v in lively.state_dict().items() if not k.startswith("fikp.blur")})
    x = photograph()
    with intervene(lively, Intervention(dilation=unit_dilation)):
        found = lively.stages(x)[0].image
    # Later stages read phases of this one's result, which rounding may turn by a whole circle
    torch.testing.assert_close(found, plain.stages(x)[0].image, atol=1e-5, rtol=0)
    assert (found - lively.stages(x)[0].image).abs().max() > 1e-3


def test_the_mean_of_a_map():
    own = torch.rand(2, 3, 1, 8, 8)
    flat = mean_dilation(0, own)
    assert flat.shape == own.shape and float(flat.std(dim=(-2, -1)).max()) < 1e-6
    torch.testing.assert_close(flat.mean(dim=(-2, -1)), own.mean(dim=(-2, -1)))


def test_the_map_of_the_true_radius_is_what_training_asks_for(lively):
    radius = 6 * torch.rand(1, 1, 64, 64)
    edit, supervision = dilation_of_radius(radius, lively.config), BlurSupervision(FDIKP(lively.config))
    for n, stage in enumerate(lively.stages(photograph())):
        given = edit(n, stage.dilation.transpose(0, 1).unsqueeze(2))
        asked = Stage(stage.image, stage.kernels, given.squeeze(2).transpose(0, 1), stage.coefficients)
        assert float(supervision.dilation_loss(downsample(radius, SCALES[n]) / SCALES[n], asked)) == 0


def test_kernels_go_to_their_stage_and_image(lively):
    x = photograph()
    given = torch.randn(3, 2, 1, 5, 5, 5)
    with intervene(lively, Intervention(with_kernels(given))):
        stages = lively.stages(x)
    torch.testing.assert_close(kernels_of(stages)[1:], given[1:])
    torch.testing.assert_close(stages[0].kernels[:, 0], given[0, 0])


@pytest.mark.parametrize("stage", range(3))
def test_one_stage_alone_changes_the_picture(lively, stage):
    x = photograph()
    with intervene(lively, Intervention(residuals=only_stage(stage))):
        stages = lively.stages(x)
    for n, (found, scale) in enumerate(zip(stages, SCALES, strict=True)):
        changed = float((found.image - downsample(x, scale)).abs().max())
        assert changed == pytest.approx(0, abs=1e-6) if n < stage else changed > 1e-3


def test_kernels_of_another_picture_that_is_the_same_change_nothing(lively):
    x, other = photograph(), photograph(200, 100)
    kernels = [kernels_of(lively.stages(each)) for each in (x, x, other)]
    radius = torch.zeros(1, 1, 64, 64)
    expected = lively(x)
    alike = all_interventions(torch.stack(kernels[:2]), 0, radius, lively.config)
    for name in ("kernels of another image", "the set's average kernels"):
        torch.testing.assert_close(under(lively, alike[name], x), expected)
    differing = all_interventions(torch.stack((kernels[0], kernels[2])), 0, radius, lively.config)
    swapped = under(lively, differing["kernels of another image"], x)
    torch.testing.assert_close(swapped, under(lively, Intervention(with_kernels(kernels[2])), x))
    assert (swapped - expected).abs().max() > 1e-4


def test_the_network_is_as_before_even_if_the_pass_fails(lively):
    x, module = photograph(), lively.dsrm
    expected = lively(x)
    with (
        pytest.raises(RuntimeError),
        intervene(lively, hold_predictions(lively.stages(x)), coefficients_of(lively.stages(x))),
    ):
        assert lively.dsrm is not module
        lively(torch.rand(1, 2, 64, 64))
    assert lively.dsrm is module
    torch.testing.assert_close(lively(x), expected)


@pytest.mark.parametrize("preset", ["dsrm", "dsrm-dikp"])
def test_a_network_without_the_path_is_refused(preset):
    with pytest.raises(FdikpError, match="dilation map"), intervene(FDIKP(PRESETS[preset]), Intervention()):
        pass
