"""DIKP: the spectrum it reads and the equations its inverse kernels obey."""

import math

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from fdikp.network import PRESETS
from fdikp.network.dikp import DIKP, NOISE_FLOOR, inverse_kernel, ring_bank, spectrum
from fdikp.network.ops import box


def known_blur(K: int = 5) -> Tensor:
    """An asymmetric blur without spectral zeros: 70 % stays in place, the rest goes to three neighbours."""
    k = torch.zeros(K, K, dtype=torch.float64)
    c = K // 2
    k[c, c], k[c, c + 1], k[c - 1, c], k[c + 1, c - 1] = 0.7, 0.15, 0.1, 0.05
    return k


def periodic(image: Tensor, kernel: Tensor) -> Tensor:
    """Correlation on a torus, the convention of `conv2d`."""
    c = kernel.shape[-1] // 2
    return F.conv2d(F.pad(image[None, None], (c, c, c, c), mode="circular"), kernel[None, None])[0, 0]


def test_a_known_kernel_is_rebuilt_from_its_spectrum() -> None:
    """Eq. 2: amplitude and phase of a kernel give it back, with its origin in the middle."""
    k = known_blur()
    f = torch.fft.fft2(torch.fft.ifftshift(k))
    torch.testing.assert_close(inverse_kernel(f.abs(), f.angle()), k)


def test_flat_spectrum_is_the_identity() -> None:
    delta = torch.zeros(5, 5)
    delta[2, 2] = 1
    torch.testing.assert_close(inverse_kernel(torch.ones(5, 5), torch.zeros(5, 5)), delta)


def test_phase_without_amplitude_matters() -> None:
    """The paper below eq. 2: without its phase an asymmetric kernel comes back distorted."""
    k = known_blur()
    f = torch.fft.fft2(torch.fft.ifftshift(k))
    assert (inverse_kernel(f.abs(), torch.zeros(5, 5, dtype=torch.float64)) - k).abs().max() > 0.05


@pytest.mark.parametrize("K", [3, 5, 11])
def test_inverse_of_a_known_blur(K: int) -> None:
    """Eq. 3: 1/|K| and -φ give k* with k ⊗ k* = δ, exactly on the K×K torus, and undo the blur of an image."""
    k = known_blur(K)
    f = torch.fft.fft2(torch.fft.ifftshift(k))
    inverse = inverse_kernel(1 / f.abs(), -f.angle())
    image = torch.rand(K, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(periodic(periodic(image, k), inverse), image)


def test_inverse_restores_a_larger_image_approximately() -> None:
    k = known_blur(11)
    f = torch.fft.fft2(torch.fft.ifftshift(k))
    inverse = inverse_kernel(1 / f.abs(), -f.angle())
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blurred = periodic(image, k)
    assert (periodic(blurred, inverse) - image).square().mean() < 1e-4 * (blurred - image).square().mean()


class TestSpectrum:
    def test_is_the_half_plane_with_zero_in_the_middle_row(self) -> None:
        x = torch.rand(2, 3, 12, 17, generator=torch.Generator().manual_seed(0))
        half = spectrum(x)
        full = torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), dim=-2)[..., : 17 // 2 + 1]
        torch.testing.assert_close(half.amplitude, torch.log1p(1000 * full.abs()) / 4)
        strong = full.abs() > 0.2  # where the phase is not attenuated
        turned = torch.polar(torch.ones_like(half.phase), half.phase)
        torch.testing.assert_close(turned[strong], torch.sgn(full)[strong], atol=1e-4, rtol=0)
        assert half.amplitude[0, 0].argmax() == 6 * (17 // 2 + 1)

    def test_the_other_half_is_its_reflection(self) -> None:
        x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        f = torch.fft.fft2(x)
        torch.testing.assert_close(f[..., 1:, 5:].abs(), f[..., 1:, 1:4].abs().flip(-2, -1))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_is_float32_for_16_bit_images(self, dtype: torch.dtype) -> None:
        assert spectrum(torch.rand(1, 3, 8, 8).to(dtype)).phase.dtype == torch.float32

    def test_rounding_noise_has_no_phase(self) -> None:
        """A flat image's spectrum is rounding error but for one entry; its phases must be near 0."""
        phase = spectrum(torch.full((1, 3, 37, 41), 0.3)).phase
        assert float(phase.abs().max()) < 1e-4

    def test_the_phase_fades_where_rounding_to_8_bits_takes_over(self) -> None:
        waves = torch.arange(32) / 32 * 2 * math.pi
        angles = []
        for height in (1e-2, 1e-3, 1e-4, 1e-5):
            x = (0.5 + height * 2 / 32 * torch.sin(4 * waves)).expand(1, 3, 32, 32)  # |F| = height
            angles.append(float(spectrum(x.contiguous()).phase[0, 0, 16, 4]))
        assert angles == pytest.approx([-math.pi / 2 * w for w in (0.990, 0.5, 0.0099, 1e-4)], rel=0.1)

    def test_rounding_noise_of_8_bits_has_the_amplitude_it_is_named_for(self) -> None:
        x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        noise = torch.fft.rfft2((x * 255).round() / 255 - x, norm="ortho").abs()
        assert float(noise.square().mean().sqrt()) == pytest.approx(NOISE_FLOOR, rel=0.2)

    def test_gives_no_gradient(self) -> None:
        assert not spectrum(torch.rand(1, 3, 8, 8, requires_grad=True)).amplitude.requires_grad


def test_predicted_spectra_obey_the_equations() -> None:
    """Eqs. 6–8 step by step: distributions, attention, scale, and the kernel they make."""
    torch.manual_seed(0)
    predictor = DIKP(PRESETS["fdikp-lite"])
    x = torch.rand(2, 3, 32, 48)
    A, P = spectrum(x)
    amplitude, phase = predictor.amplitude(A), predictor.phase(P)
    attention = predictor.attention(A)
    assert amplitude.shape == phase.shape == (2, 5, 25)
    for distribution in (amplitude, phase, attention):
        torch.testing.assert_close(distribution.sum(-1), torch.ones(distribution.shape[:-1]))
    amplitude, phase = 2 * 25 * amplitude, math.pi * 25 * phase * attention
    amplitude[..., 0], phase[..., 0] = 1, 0
    expected = inverse_kernel(amplitude.reshape(2, 5, 5, 5), phase.reshape(2, 5, 5, 5))
    torch.testing.assert_close(predictor(x), expected)
    torch.testing.assert_close(expected.sum(dim=(-2, -1)), torch.ones(2, 5))  # an inverse kernel keeps brightness


def test_a_flat_prediction_is_an_unsharp_mask() -> None:
    predictor = DIKP(PRESETS["fdikp-lite"])
    for branch in (predictor.amplitude, predictor.phase):
        for part in (branch.last.weight, branch.last.bias, branch.bank):
            torch.nn.init.zeros_(part)  # type: ignore[arg-type]
    mask = -torch.ones(5, 5) / 25
    mask[2, 2] += 2
    # the phase of a flat prediction is π / 25 times a flat attention: nearly none
    torch.testing.assert_close(predictor(torch.rand(1, 3, 32, 32))[0, 0], mask, atol=0.03, rtol=0)


class TestRingBank:
    @pytest.mark.parametrize(("N", "K"), [(5, 5), (3, 3), (1, 5), (7, 7), (15, 15), (5, 3), (2, 11)])
    def test_spectra_are_within_the_range_of_the_predictor(self, N: int, K: int) -> None:
        """At least 1, with the sum of a scaled softmax, and point-symmetric: kernels without a phase."""
        bank = ring_bank(N, K)
        assert bank.shape == (N, K * K)
        torch.testing.assert_close(bank.sum(1), torch.full((N,), 2.0 * K * K))
        assert bool((bank[:, 1:] >= 1).all())
        plane = bank.unflatten(1, (K, K))
        torch.testing.assert_close(plane, plane.transpose(1, 2))
        torch.testing.assert_close(plane, plane.roll(-1, 1).flip(1))

    def test_blends_can_have_any_gain_at_any_distance_from_zero(self) -> None:
        """Five kernels of five taps: the gains of the five rings are independent."""
        distance = torch.hypot(*torch.meshgrid(*2 * [torch.fft.fftfreq(5) * 5], indexing="ij")).flatten()
        gains = torch.stack([ring_bank(5, 5)[:, distance == d].mean(1) for d in distance.unique()[1:]])
        assert torch.linalg.matrix_rank(gains - 1) == 5

    def test_an_untrained_predictor_predicts_them(self) -> None:
        """Approximately: the image changes them a little, and their phase is small."""
        torch.manual_seed(0)
        photograph = torch.from_numpy(data.coffee()[100:228, 200:328]).permute(2, 0, 1)[None] / 255
        kernels = DIKP(PRESETS["fdikp-base"])(photograph)[0]
        expected = ring_bank(5, 5)
        expected[:, 0] = 1
        exact = inverse_kernel(expected.unflatten(1, (5, 5)), torch.zeros(5, 5, 5))
        assert float((kernels.detach() - exact).abs().max()) < 0.15 < 0.3 < float(exact.std(dim=0).amax())


def test_attention_reacts_to_blur() -> None:
    """The mean of a linear function of a residual is 0 but for the borders, whatever the blur."""
    torch.manual_seed(0)
    predictor = DIKP(PRESETS["fdikp-lite"])
    photograph = torch.from_numpy(data.coffee()[100:228, 200:328]).permute(2, 0, 1)[None] / 255
    blurred = torch.nn.functional.avg_pool2d(photograph, 7, stride=1, padding=3, count_include_pad=False)
    sharp, soft = (predictor.attention(spectrum(x).amplitude).log() for x in (photograph, blurred))
    assert float((sharp - soft).detach().abs().max()) > 0.05


@pytest.mark.parametrize("rows", [7, 16, 17, 23])
def test_attention_reads_every_position_of_the_spectrum(rows: int) -> None:
    """It is computed in bands; here in one piece, in which every position has an effect."""
    torch.manual_seed(0)
    predictor = DIKP(PRESETS["fdikp-lite"]).double()
    amplitude = torch.rand(1, 3, rows, 9, dtype=torch.float64)
    residual = amplitude - box(amplitude, 3)
    response = torch.relu(torch.nn.functional.conv2d(residual, predictor.attend.weight, padding=1)).mean(dim=(-2, -1))
    expected = (8 * response + predictor.attend.bias).softmax(dim=1)
    torch.testing.assert_close(predictor.attention(amplitude)[:, 0], expected, atol=1e-12, rtol=1e-10)


def test_attention_ignores_a_constant_added_to_the_amplitude() -> None:
    torch.manual_seed(0)
    predictor = DIKP(PRESETS["fdikp-lite"])
    amplitude = torch.rand(1, 3, 16, 9)
    torch.testing.assert_close(predictor.attention(amplitude), predictor.attention(amplitude + 3))
