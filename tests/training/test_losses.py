import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fdikp.network import FDIKP, PRESETS
from fdikp.training import frequency_loss, restoration_loss
from fdikp.training.losses import BlurSupervision, guard_loss, shifted


def by_hand(output: np.ndarray, target: np.ndarray, alpha: float, gamma: float) -> float:
    """Eq. 5 without LPIPS, with numpy's transform."""
    spectrum = np.fft.rfft2(output - target, norm="ortho")
    parts = np.stack([spectrum.real, spectrum.imag])
    return alpha * float(((output - target) ** 2).mean()) + gamma * float(np.abs(parts).mean())


def halved(image: np.ndarray) -> np.ndarray:
    b, c, h, w = image.shape
    return image.reshape(b, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))


def test_the_loss_of_three_scales_written_out():
    generator = np.random.default_rng(0)
    target = generator.random((2, 3, 32, 48))
    truths = [halved(halved(target)), halved(target), target]
    outputs = [generator.random(t.shape) for t in truths]
    expected = sum(
        scale * by_hand(o, t, 0.7, 0.3) for scale, o, t in zip((0.1, 0.2, 1.0), outputs, truths, strict=True)
    )
    loss = restoration_loss(
        [torch.from_numpy(o) for o in outputs], torch.from_numpy(target), (1.0, 0.2, 0.1), 0.7, 0.2, 0.3
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_frequency_loss_means_the_same_at_every_size():
    torch.manual_seed(0)
    values = [float(frequency_loss(torch.randn(4, 3, n, n), torch.zeros(4, 3, n, n))) for n in (32, 64, 128)]
    assert values == pytest.approx([values[-1]] * 3, rel=0.05)
    assert float(frequency_loss(torch.randn(2, 3, 32, 32).bfloat16(), torch.zeros(2, 3, 32, 32))) > 0


def test_the_guard_term_feels_a_shift_that_the_paper_s_loss_does_not():
    target = torch.rand(1, 3, 64, 64)
    exact = [torch.nn.functional.avg_pool2d(target, 4), torch.nn.functional.avg_pool2d(target, 2), target]
    shifted = [image + 0.005 for image in exact]
    paper = float(restoration_loss(shifted, target)) - float(restoration_loss(exact, target))
    guarded = float(restoration_loss(shifted, target, guard_weight=0.5)) - float(
        restoration_loss(exact, target, guard_weight=0.5)
    )
    assert paper < 2e-4
    assert guarded > 15 * paper


def test_the_guard_term_weighs_an_error_against_its_neighbourhood():
    """What an error in focus costs does not depend on how much else is blurred: block by block, written out."""
    target = torch.rand(2, 3, 24, 16)
    output = target + 0.1 * torch.randn(2, 3, 24, 16)
    errors = ((output - target) ** 2).numpy().mean(axis=1)
    blocks = [errors[b, y : y + 8, x : x + 8].mean() for b in (0, 1) for y in (0, 8, 16) for x in (0, 8)]
    assert float(guard_loss(output, target)) == pytest.approx(np.mean(np.sqrt(np.array(blocks) + 1e-5)), rel=1e-5)


def test_a_perfect_result_costs_nothing_and_each_term_counts():
    target = torch.rand(1, 3, 64, 64)
    exact = [torch.nn.functional.avg_pool2d(target, 4), torch.nn.functional.avg_pool2d(target, 2), target]
    assert float(restoration_loss(exact, target)) == pytest.approx(0, abs=1e-6)

    def perceptual(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert a.shape == b.shape
        return torch.ones(len(a))

    # 16 pixels are too few for LPIPS: two of three scales count
    loss = restoration_loss(exact, target, (1.0, 0.2, 0.1), beta=0.5, perceptual=perceptual)
    assert float(loss) == pytest.approx(0.5 * 1.2, abs=1e-5)


class TestBlurSupervision:
    @pytest.fixture
    def network(self) -> FDIKP:
        torch.manual_seed(0)
        return FDIKP(replace(PRESETS["fdikp-lite"], widths=(8, 8, 16), bottleneck_depth=1, predictor_width=4))

    def test_reaches_the_features_and_the_blur_map_and_not_the_pixels(self, network):
        supervision = BlurSupervision(network)
        stages = network.stages(torch.rand(2, 3, 64, 64))
        map_loss, hint_loss = supervision(torch.full((2, 1, 64, 64), 3.0), stages, (1.0, 0.2, 0.1))
        (map_loss + hint_loss).backward()
        assert network.dsrm.encoder.to_full.weight.grad.abs().sum() > 0
        assert network.fikp.blur.weigh.weight.grad.abs().sum() > 0
        assert network.fikp.refine.weight.grad is None

    def test_the_loss_is_the_distance_of_radii_over_all_scales(self, network):
        supervision = BlurSupervision(network)
        for tensor in (supervision.read.weight, supervision.read.bias, network.fikp.blur.weigh.weight):
            torch.nn.init.zeros_(tensor)
        torch.nn.init.zeros_(network.fikp.blur.weigh.bias)
        stages = network.stages(torch.rand(1, 3, 64, 64))
        # the features tell log 1, which is that of a radius of 3.8 pixels at full size; every dilation is 1, and
        # kernels of 5 samples reach twice as far: what radii of 3.8, 1.9 and 0.95 ask for is 1.9, 0.95 and 0.475
        losses = supervision(torch.full((1, 1, 64, 64), 3.8), stages, (1.0, 0.5, 0.25))
        hint_loss = 0.5 * abs(math.log(3.8 / 8 + 0.05)) + 0.25 * abs(math.log(3.8 / 16 + 0.05))
        map_loss = 0.9 + 0.5 * 0.05 + 0.25 * 0.525
        assert [float(loss.detach()) for loss in losses] == pytest.approx([map_loss, hint_loss], abs=1e-5)

    def test_without_the_hint_features_learn_from_the_picture_alone(self, network):
        supervision = BlurSupervision(network)
        stages = network.stages(torch.rand(2, 3, 64, 64))
        map_loss, hint_loss = supervision(torch.full((2, 1, 64, 64), 3.0), stages, (1.0, 0.2, 0.1), hint=False)
        (map_loss + hint_loss).backward()
        assert supervision.read.weight.grad.abs().sum() > 0  # it is still read, for the log and for processes to agree
        assert network.dsrm.encoder.to_full.weight.grad is None
        assert network.fikp.blur.weigh.weight.grad.abs().sum() > 0

    def test_no_dilation_is_asked_for_beyond_its_range(self, network):
        supervision = BlurSupervision(network)
        stages = network.stages(torch.rand(1, 3, 64, 64))
        losses = [supervision.dilation_loss(torch.full((1, 1, 64, 64), r), stages[-1]).item() for r in (4.0, 7.0)]
        assert losses[0] == losses[1]

    def test_speaks_of_the_last_pass_only(self, network):
        supervision = BlurSupervision(network)
        radius = torch.ones(1, 1, 64, 64)
        x = torch.rand(1, 3, 64, 64)
        losses = [supervision(radius, network.stages(x), (1.0, 0.2, 0.1))[1].item() for _ in range(2)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)

    def test_is_no_part_of_the_network(self, network):
        names = set(network.state_dict())
        BlurSupervision(network)
        assert set(network.state_dict()) == names


def test_a_weave_that_hides_from_one_grid_is_seen_from_others():
    """What LPIPS would be that looks at every fourth pixel: a weave between those pleases it at one place only."""

    def every_fourth(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y)[..., ::4, ::4].square().mean(dim=(1, 2, 3))

    target = torch.rand(1, 3, 64, 64)
    weave = torch.zeros(64, 64)
    weave[2::4, 1::4] = 0.1
    assert every_fourth(target + weave, target) == 0
    distances = torch.cat([shifted(every_fourth, step)(target + weave, target) for step in range(200)])
    assert 0.03 < (distances > 1e-4).float().mean() < 0.1  # a sixteenth
    assert torch.equal(distances[7:8], shifted(every_fourth, 7)(target + weave, target))
    assert every_fourth(target, target) == shifted(every_fourth, 3)(target, target) == 0
