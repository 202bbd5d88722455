"""The calibrated blur map: its range, its filling, and that it depends on the image alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor, nn

from fdikp import models
from fdikp.network import FDIKP, SCALES, BlurRadius, downsample, ops
from fdikp.network.blur_calibration import FEATURES, BlurCalibration
from fdikp.network.blur_radius import FILL_WEIGHT, FILL_WINDOWS, blur_features, fill
from fdikp.network.dilation import detail
from fdikp.synthesis.aperture import Aperture, aperture_kernels
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear


def random_calibration(seed: int = 0, scale: float = 1.0) -> BlurCalibration:
    draw = np.random.default_rng(seed).normal
    return BlurCalibration(
        tuple(map(tuple, draw(size=(8, FEATURES), scale=scale).tolist())),
        tuple(draw(size=8).tolist()),
        tuple(map(tuple, draw(size=(2, 8), scale=scale).tolist())),
        tuple(draw(size=2).tolist()),
        max_radius=9.0,
    )


def photo(height: int, width: int) -> Tensor:
    return torch.from_numpy(data.coffee()[:height, 100 : 100 + width]).permute(2, 0, 1)[None].float() / 255


def out_of_focus(x: Tensor, radius: float) -> Tensor:
    """x convolved with a disc in linear light."""
    reach = int(radius) + 2
    kernel = aperture_kernels(torch.tensor([radius]), Aperture(), reach)[:, None]
    light = F.pad(srgb_to_linear(x), (reach,) * 4, mode="reflect")
    return linear_to_srgb(F.conv2d(light.transpose(0, 1), kernel).transpose(0, 1).clamp(0, 1))


class Shipped:
    """A shipped network and its blur map; only the part that the map needs is run."""

    def __init__(self, name: str) -> None:
        self.network, descriptor = models.load(name)
        assert descriptor.blur_calibration is not None
        self.calibration = descriptor.blur_calibration
        self.radius = BlurRadius(self.calibration)

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        dilations = [self.network.fikp(y, y).dilation for y in (downsample(x, scale) for scale in SCALES)]
        return self.radius.from_features(blur_features(x, dilations))[0]


@pytest.fixture(scope="module", params=list(models.SHIPPED))
def shipped(request: pytest.FixtureRequest) -> Shipped:
    return Shipped(request.param)


@pytest.mark.parametrize("scale", [1.0, 100.0])
@torch.inference_mode()
def test_ranges(lively: FDIKP, scale: float) -> None:
    """Whatever the calibration is."""
    x = torch.rand(2, 3, 48, 64)
    stages = lively.stages(x)
    for seed in range(3):
        out = BlurRadius(random_calibration(seed, scale))(x, stages)
        assert out.shape == (2, 2, 48, 64) and out.dtype == torch.float32
        radius, confidence = out.unbind(dim=1)
        assert radius.isfinite().all() and (radius >= 0).all() and (radius <= 9.0 + 1e-5).all()
        assert (confidence >= 0).all() and (confidence <= 1).all()


@torch.inference_mode()
def test_the_features(lively: FDIKP) -> None:
    """Those of the last scale are not resized; those of the others are, bilinearly."""
    x = torch.rand(1, 3, 64, 48)
    dilations = [stage.dilation[:, :1] for stage in lively.stages(x)]
    features = blur_features(x, dilations)
    torch.testing.assert_close(features[:, 2:3], dilations[2])
    torch.testing.assert_close(features[:, 9:], detail(x))
    near, far = 0.875, 0.125  # pixel 2 lies at (2 + 0.5) / 4 - 0.5 = 0.125 of the coarse image
    weights = torch.tensor([[near * near, near * far], [far * near, far * far]])
    assert features[0, 0, 2, 2].item() == pytest.approx((dilations[0][0, 0, :2, :2] * weights).sum().item(), abs=1e-6)
    fourth = detail(F.avg_pool2d(x, 4))
    torch.testing.assert_close(features[:, 3:6].mean((2, 3)), fourth.mean((2, 3)), atol=1e-3, rtol=1e-2)


@torch.inference_mode()
def test_a_perceptron_by_hand() -> None:
    """Confidence and, where it is certain, radius are those of a plain loop."""
    calibration = random_calibration(4)
    features = torch.rand(1, FEATURES, 48, 48)
    out = BlurRadius(calibration).from_features(features)[0, :, 5, 7]
    values = features[0, :, 5, 7].tolist()
    hidden = [
        max(0.0, bias + sum(w * v for w, v in zip(row, values, strict=True)))
        for row, bias in zip(calibration.hidden_weight, calibration.hidden_bias, strict=True)
    ]
    _, logit = (
        bias + sum(w * h for w, h in zip(row, hidden, strict=True))
        for row, bias in zip(calibration.output_weight, calibration.output_bias, strict=True)
    )
    assert out[1].item() == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


class TestFill:
    def test_certain_pixels_keep_their_radius(self) -> None:
        radius = 10 * torch.rand(1, 1, 64, 64)
        filled = fill(radius, torch.ones_like(radius))
        assert (filled - radius).abs().max() < 10 * FILL_WEIGHT

    def test_a_hole_takes_the_radius_around_it(self) -> None:
        radius, confidence = torch.full((1, 1, 96, 96), 3.0), torch.ones(1, 1, 96, 96)
        radius[..., 30:60, 30:60], confidence[..., 30:60, 30:60] = 12.0, 0.01
        torch.testing.assert_close(fill(radius, confidence), torch.full_like(radius, 3.0), atol=0.05, rtol=0)

    def test_a_constant_stays(self) -> None:
        """At the borders too, whatever the confidence."""
        radius, confidence = torch.full((1, 1, 80, 48), 4.0), torch.rand(1, 1, 80, 48)
        torch.testing.assert_close(fill(radius, confidence), radius)

    def test_without_any_confidence_pixels_keep_their_radius(self) -> None:
        radius = 10 * torch.rand(1, 1, 48, 48)
        torch.testing.assert_close(fill(radius, torch.zeros_like(radius)), radius)

    def test_the_result_is_between_the_radii(self) -> None:
        radius, confidence = torch.rand(1, 1, 64, 96), torch.rand(1, 1, 64, 96)
        filled = fill(radius, confidence)
        assert filled.min() >= radius.min() - 1e-6 and filled.max() <= radius.max() + 1e-6

    def test_its_reach(self) -> None:
        """Beyond the widest window, with what interpolation adds, nothing changes."""
        radius, confidence = torch.full((1, 1, 48, 480), 2.0), torch.full((1, 1, 48, 480), 0.5)
        other = radius.clone()
        other[..., :16] = 9.0
        changed = (fill(radius, confidence) - fill(other, confidence)).abs().amax((0, 1, 2)) > 1e-6
        scale, side = FILL_WINDOWS[0]
        assert changed[:100].all() and not changed[16 + scale * (side // 2 + 1) :].any()


def test_a_flat_image_has_no_confidence(shipped: Shipped) -> None:
    for grey in (0.0, 0.5, 1.0):
        assert shipped(torch.full((1, 3, 96, 96), grey))[1].max() < 0.1


def test_noise_alone_has_little_confidence(shipped: Shipped) -> None:
    noise = 0.01 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert shipped(0.5 + noise)[1].mean() < 0.2


def test_it_measures_the_radius(shipped: Shipped) -> None:
    """Of a photo that the fit has not seen, blurred by a plain disc."""
    sharp = torch.from_numpy(data.gravel()[:192, :256].copy()).expand(1, 3, -1, -1).float() / 255
    for radius in (0.0, 2.0, 4.0, 8.0):
        x = out_of_focus(sharp, radius) if radius else sharp
        predicted, confidence = shipped(x)
        certain = confidence > 0.5
        assert certain.float().mean() > 0.3
        assert (predicted[certain].median() - radius).abs() <= max(1.0, 0.25 * radius)


def test_padding_changes_little(shipped: Shipped) -> None:
    """An image and the same extended by reflection, as the network pads it."""
    x = out_of_focus(photo(160, 192), 3.0)
    padded = F.pad(x, (0, 32, 0, 32), mode="reflect")
    alone, inside = shipped(x), shipped(padded)[:, :160, :192]
    assert (alone - inside)[1].abs().mean() < 0.02
    assert (alone - inside)[0].abs().mean() < 0.2


def test_a_tile_has_the_map_of_the_whole_image(shipped: Shipped) -> None:
    """Away from its border, as tiles are blended; certain pixels do not depend on what is filled from far away."""
    whole = torch.cat((photo(256, 208), out_of_focus(photo(256, 208), 5.0)), dim=3)
    tile, inner = slice(96, 416), slice(64, 256)
    of_whole, of_tile = shipped(whole)[..., tile][..., inner], shipped(whole[..., tile])[..., inner]
    assert (of_whole - of_tile)[1].abs().max() < 0.02
    certain = of_whole[1] > 0.6
    assert certain.any() and (of_whole - of_tile)[0][certain].abs().max() < 0.3
    assert (of_whole - of_tile)[0].abs().mean() < 0.1


PLAIN = {
    "_convolution", "add", "avg_pool2d", "cat", "clamp", "detach", "div", "log1p", "mean", "mul", "pad", "pow", "relu",
    "sigmoid", "slice", "softplus", "square", "sub", "to", "upsample_bilinear2d",
}  # fmt: skip
"""Operations of torch that ONNX has, or that are composed of such; `detach` does nothing."""


class _Exported(nn.Module):
    """The blur map as a function of the image and its dilation maps."""

    def __init__(self, calibration: BlurCalibration) -> None:
        super().__init__()
        self.radius = BlurRadius(calibration)

    def forward(self, x: Tensor, coarse: Tensor, medium: Tensor, fine: Tensor) -> Tensor:
        return self.radius.from_features(blur_features(x, (coarse, medium, fine)))


def inputs(seed: int) -> tuple[Tensor, ...]:
    draws = torch.Generator().manual_seed(seed)
    sizes = ((1, 3, 48, 64), *((1, 1, 48 // scale, 64 // scale) for scale in SCALES))
    return tuple(torch.rand(size, generator=draws) for size in sizes)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_it_can_be_exported() -> None:
    """It is made of plain operations, and their trace gives the same values for other inputs."""
    module = _Exported(random_calibration())
    with ops.reference():
        trace = torch.jit.trace(module, inputs(0))  # type: ignore[no-untyped-call]
        torch.testing.assert_close(trace(*inputs(1)), module(*inputs(1)))
    kinds = {node.kind() for node in trace.inlined_graph.nodes()}
    assert {kind.removeprefix("aten::") for kind in kinds if kind.startswith("aten::")} == PLAIN
