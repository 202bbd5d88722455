import torch

from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear


def test_the_curve_and_its_inverse_are_one_another():
    values = torch.linspace(0, 1, 4097, dtype=torch.float64)
    assert (linear_to_srgb(srgb_to_linear(values)) - values).abs().max() < 1e-6


def test_every_8_bit_value_survives_the_round_trip_in_float32():
    values = torch.arange(256) / 255
    assert torch.equal((linear_to_srgb(srgb_to_linear(values)) * 255).round(), torch.arange(256.0))


def test_the_curves_go_on_outside_the_range():
    assert torch.allclose(linear_to_srgb(srgb_to_linear(torch.tensor([1.2, 3.0]))), torch.tensor([1.2, 3.0]))
    assert linear_to_srgb(torch.tensor([-0.5, -1e-9])).tolist() == [0.0, 0.0]
    assert float(srgb_to_linear(torch.tensor(-0.1292))) < 0


def test_gradients_are_finite_everywhere_and_right():
    values = torch.tensor([-0.5, -0.01, 0.0, 0.02, 0.04, 0.3, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(srgb_to_linear, values)
    light = torch.tensor([-0.5, 1e-4, 0.002, 0.01, 0.3, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(linear_to_srgb, light)
    edge = torch.zeros(1, requires_grad=True)
    linear_to_srgb(edge).sum().backward()
    assert edge.grad.isfinite().all()
