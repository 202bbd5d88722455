import pytest
import torch

from fdikp import models
from fdikp.network import FDIKP


@pytest.fixture
def network(tiny_config):
    torch.manual_seed(0)
    return FDIKP(tiny_config).eval()


def near(network: FDIKP, seed: int) -> FDIKP:
    """The network as after some more training: all weights a little different."""
    other = FDIKP(network.config).eval()
    draws = torch.Generator().manual_seed(seed)
    state = {
        name: value + 0.05 * value.std() * torch.randn(value.shape, generator=draws)
        for name, value in network.state_dict().items()
        if value.is_floating_point() and value.numel() > 1
    }
    other.load_state_dict(network.state_dict() | state)
    return other


@pytest.fixture
def trained(network, tmp_path):
    """Three networks that started from the same weights, and their files."""
    networks = [near(network, seed) for seed in range(3)]
    for name, one in zip("abc", networks, strict=True):
        models.save(one, tmp_path / f"{name}.safetensors", name=name, half=False)
    return networks


def average(run, *args):
    return run("average", *args, model=False)


def test_the_mean_is_written_and_loads(run, trained, tmp_path):
    done = average(run, "a.safetensors", "b.safetensors", "-o", "mine.safetensors")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("a.safetensors b.safetensors -> mine.safetensors, sha256 ")
    mean, descriptor = models.load(tmp_path / "mine.safetensors")
    assert descriptor.name == "mine"
    assert descriptor.sha256 in done.out
    ours, a, b = mean.state_dict(), *(one.state_dict() for one in trained[:2])
    for name, value in ours.items():
        torch.testing.assert_close(value.double(), (a[name].double() + b[name].double()) / 2, atol=1e-7, rtol=1e-6)


def test_shares_are_ratios_and_half_is_half_the_size(run, trained, tmp_path):
    files = [f"{name}.safetensors" for name in "abc"]
    assert average(run, *files, "--shares", 1, 2, 5, "-o", "deep/er/one.safetensors").code == 0
    assert average(run, *files, "--shares", 10, 20, 50, "--half", "-o", "two.safetensors").code == 0
    one, two = models.load(tmp_path / "deep/er/one.safetensors")[0], models.load(tmp_path / "two.safetensors")[0]
    expected = sum(s * net.output.weight for s, net in zip((1, 2, 5), trained, strict=True)) / 8
    torch.testing.assert_close(one.output.weight, expected.detach())
    torch.testing.assert_close(two.output.weight, expected.detach(), atol=1e-3, rtol=1e-3)
    sizes = [(tmp_path / name).stat().st_size for name in ("deep/er/one.safetensors", "two.safetensors")]
    assert sizes[1] < 0.75 * sizes[0]


def test_shipped_models_are_named(run, tmp_path):
    done = average(run, "fdikp-lite", "fdikp-lite", "-o", "same.safetensors")
    assert (done.code, done.err) == (0, "")
    same, shipped = models.load(tmp_path / "same.safetensors")[0], models.load("fdikp-lite")[0]
    assert all(torch.equal(a, b) for a, b in zip(same.parameters(), shipped.parameters(), strict=True))


def test_unrelated_networks_are_averaged_with_a_warning(run, tiny_config, tmp_path):
    for seed in range(2):
        torch.manual_seed(seed)
        models.save(FDIKP(tiny_config), tmp_path / f"{seed}.safetensors", name="x", half=False)
    done = average(run, "0.safetensors", "1.safetensors", "-o", "mean.safetensors")
    assert done.code == 0
    assert len(done.errors) == 1
    assert "of the weights cancel in this mean" in done.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["-o", "x.safetensors"], 2, "0 inputs: give two or more weights to average"),
        (["a.safetensors", "-o", "x.safetensors"], 2, "1 inputs: give two or more"),
        (["a.safetensors", "b.safetensors", "--shares", "1", "-o", "x.safetensors"], 2, "1 numbers for 2 inputs"),
        (
            ["a.safetensors", "b.safetensors", "--shares", "1", "0", "-o", "x.safetensors"],
            2,
            "each must be a positive number",
        ),
        (
            ["a.safetensors", "b.safetensors", "--shares", "1", "nan", "-o", "x.safetensors"],
            2,
            "each must be a positive number",
        ),
        (["a.safetensors", "b.safetensors", "-o", "x.pt"], 2, "must end in .safetensors"),
        (["a.safetensors", "none.safetensors", "-o", "x.safetensors"], 2, "none.safetensors: no model of this name"),
        (["a.safetensors", "fdikp-lite", "-o", "x.safetensors"], 1, "a network of another shape"),
        (["a.safetensors", "b.safetensors", "-o", "a.safetensors"], 1, "a.safetensors exists; give --overwrite"),
        (["a.safetensors", "b.safetensors", "-o", "a.safetensors/x.safetensors"], 1, "cannot be written"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(run, trained, tree, args, code, message):
    before = tree()
    done = average(run, *args)
    assert (done.code, done.out, len(done.errors)) == (code, "", 1)
    assert message in done.err
    assert tree() == before


def test_overwrite(run, trained, tmp_path):
    assert average(run, "a.safetensors", "b.safetensors", "-o", "a.safetensors", "--overwrite").code == 0
    assert models.load(tmp_path / "a.safetensors")[1].name == "a"
