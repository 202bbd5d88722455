import copy

import pytest
import torch
from torch import nn

from fdikp.network import FDIKP
from fdikp.training import optimizers
from fdikp.training.optimizers import (
    SOAP,
    Muon,
    as_matrix,
    build_optimizer,
    from_matrix,
    matrix_parameters,
    orthogonalised,
)
from fdikp.training.option_groups import OptimGroup


@pytest.fixture
def network(tiny_config) -> FDIKP:
    torch.manual_seed(0)
    return FDIKP(tiny_config)


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 5, 5)])
def test_orthogonalised_is_the_polar_factor_nearly(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    singular_values = torch.linalg.svdvals(orthogonalised(matrices))
    assert float(singular_values.min()) > 0.6 and float(singular_values.max()) < 1.3
    exact = u @ vh
    assert float((orthogonalised(matrices) * exact).sum() / exact.square().sum()) > 0.8


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_muon_on_matrices_is_torch_s_to_its_bfloat16(shape):
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.zeros(shape)) for _ in range(2))
    one = Muon([ours], lr=0.1)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        ours.grad = theirs.grad = torch.randn(shape)
        one.step()
        other.step()
    assert float((ours - theirs).detach().norm() / theirs.detach().norm()) < 0.02


@pytest.mark.parametrize("build", [Muon, SOAP])
@pytest.mark.parametrize("layer", [nn.Conv2d(6, 8, 3), nn.ConvTranspose2d(8, 6, 4), nn.Linear(9, 5)])
def test_a_convolution_is_trained_as_its_matrix(build, layer):
    """The same steps on the matrix [out, in · kh · kw] itself, as a parameter of its own."""
    torch.manual_seed(0)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    weight = nn.Parameter(layer.weight.detach().clone().contiguous(memory_format=torch.preserve_format))
    flat = nn.Parameter(as_matrix(weight.detach(), transposed).clone())
    one = build([{"params": [weight], "transposed": transposed}], lr=0.01)
    other = build([flat], lr=0.01)
    for _ in range(13):
        weight.grad = torch.randn_like(weight)
        flat.grad = as_matrix(weight.grad, transposed).clone()
        one.step()
        other.step()
    torch.testing.assert_close(as_matrix(weight, transposed), flat)
    assert torch.equal(from_matrix(as_matrix(weight, transposed), weight, transposed), weight)


def test_a_gradient_in_channels_last_makes_the_same_step():
    torch.manual_seed(0)
    plain = nn.Parameter(torch.randn(8, 6, 3, 3))
    strided = nn.Parameter(plain.detach().clone().to(memory_format=torch.channels_last))
    for build in (Muon, SOAP):
        one, other = build([plain], lr=0.01), build([strided], lr=0.01)
        for _ in range(3):
            plain.grad = torch.randn_like(plain)
            strided.grad = plain.grad.to(memory_format=torch.channels_last)
            one.step()
            other.step()
    torch.testing.assert_close(plain, strided)


def slow_soap(gradients, weight, lr, beta1=0.95, beta2=0.95, every=10):
    """Algorithm 3 of the paper, written out for one matrix."""
    first = gradients[0]
    left, right = (1 - beta2) * first @ first.T, (1 - beta2) * first.T @ first
    q_left, q_right = (torch.linalg.eigh(m)[1].flip(1) for m in (first @ first.T, first.T @ first))
    m, v = torch.zeros_like(first), torch.zeros_like(first)
    for t, g in enumerate(gradients[1:], 1):
        m = beta1 * m + (1 - beta1) * g
        turned = q_left.T @ g @ q_right
        v = beta2 * v + (1 - beta2) * turned**2
        step = (q_left.T @ m @ q_right) / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + 1e-8)
        weight = weight - lr * q_left @ step @ q_right.T
        left, right = beta2 * left + (1 - beta2) * g @ g.T, beta2 * right + (1 - beta2) * g.T @ g
        if t % every == 0:
            q_left, q_right = (torch.linalg.qr(c @ q)[0] for c, q in ((left, q_left), (right, q_right)))
    return weight


def test_soap_is_its_algorithm():
    torch.manual_seed(0)
    gradients = [torch.randn(6, 9) for _ in range(25)]
    weight = nn.Parameter(torch.randn(6, 9))
    expected = slow_soap(gradients, weight.detach().clone(), 0.01)
    soap = SOAP([weight], lr=0.01)
    for gradient in gradients:
        weight.grad = gradient
        soap.step()
    assert float((weight.detach() - expected).abs().max()) < 1e-5


def test_soap_leaves_a_long_side_as_it_is(monkeypatch):
    monkeypatch.setattr(optimizers, "LONGEST_SIDE", 8)
    weight = nn.Parameter(torch.randn(6, 9))
    soap = SOAP([weight], lr=0.01)
    for _ in range(11):
        weight.grad = torch.randn(6, 9)
        soap.step()
    assert "basis_left" in soap.state[weight] and "basis_right" not in soap.state[weight]


@pytest.mark.parametrize(("build", "lr"), [(Muon, 0.2), (SOAP, 0.05)])
def test_each_finds_the_least_squares_solution(build, lr):
    torch.manual_seed(0)
    inputs = torch.randn(200, 10) * torch.logspace(0, -1, 10)
    truth = torch.randn(7, 10)
    layer = nn.Linear(10, 7, bias=False)
    optimizer = build([layer.weight], lr=lr)
    for n in range(400):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - n / 400)
        loss = (layer(inputs) - inputs @ truth.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3


def test_matrices_are_what_is_a_linear_map_between_features(network):
    names = matrix_parameters(network)
    assert names["dsrm.decoder.to_half.weight"] and not names["dsrm.encoder.to_half.weight"]
    assert {"dsrm.bottleneck.0.0.split.weight", "dsrm.apu.gates.weight"} <= set(names)
    for name in (
        "output.weight",  # the last layer
        "fikp.refine.weight",
        "dsrm.encoder.to_full.weight",  # the first ones
        "fikp.predict.amplitude.read.weight",
        "fikp.blur.weigh.weight",
        "fikp.predict.phase.bank",
        "dsrm.bottleneck.0.0.position.weight",  # depthwise
    ):
        assert name not in names and name in dict(network.named_parameters()), name
    assert all(name.endswith("weight") for name in names)


@pytest.mark.parametrize("name", ["adam", "muon", "soap"])
@pytest.mark.parametrize("output_lr_scale", [0.05, 1.0])
def test_every_parameter_is_trained_once_at_its_rate(network, name, output_lr_scale):
    options = OptimGroup(optimizer=name, output_lr_scale=output_lr_scale, adam_lr_scale=0.5, lr=1.0)
    optimizer = build_optimizer(network, None, options)
    rates = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in optimizer.param_groups)
    matrices = matrix_parameters(network) if name != "adam" else {}
    adam = 1.0 if name == "adam" else 0.5
    for key, p in network.named_parameters():
        pixels = key.startswith(("output.", "fikp.refine."))
        if pixels and key.endswith("bias") and output_lr_scale < 1:
            assert id(p) not in rates
        else:
            assert rates[id(p)] == (1.0 if key in matrices else adam * (output_lr_scale if pixels else 1.0)), key


@pytest.mark.parametrize("name", ["adam", "muon", "soap"])
def test_state_goes_on_exactly(network, name):
    options = OptimGroup(optimizer=name)

    def walk(net: FDIKP, optimizer, seeds) -> None:
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for p in net.parameters():
                p.grad = torch.randn(p.shape, generator=generator)
            optimizer.step(1e-3)

    one, other = copy.deepcopy(network), copy.deepcopy(network)
    walk(one, build_optimizer(one, None, options), range(14))
    before = build_optimizer(other, None, options)
    walk(other, before, range(9))
    after = build_optimizer(other, None, options)
    after.load_state_dict(before.state_dict())
    walk(other, after, range(9, 14))
    for (key, value), (_, same) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(value, same), key
    another = build_optimizer(other, None, OptimGroup(optimizer="soap" if name != "soap" else "adam"))
    with pytest.raises(KeyError):
        another.load_state_dict(before.state_dict())
