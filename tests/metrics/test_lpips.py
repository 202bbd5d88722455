"""Against the values that the published code gives for its own example pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fdikp.errors import WeightsError
from fdikp.metrics.lpips import LPIPS
from fdikp.training import restoration_loss

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "lpips"
with_weights = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="LPIPS weights are not beside the repository (../shared/data)"
)


def example(name: str) -> torch.Tensor:
    file = next((FOLDER / "check").glob(f"{name}.*"))
    return torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None] / 255


@with_weights
@pytest.mark.parametrize(("backbone", "far", "near"), [("alex", 0.722, 0.138), ("squeeze", 0.711, 0.148)])
def test_published_values(backbone, far, near):
    lpips = LPIPS(FOLDER / f"lpips-v0.1-{backbone}.safetensors")
    assert lpips.backbone == backbone
    reference = example("ex_ref")
    assert float(lpips(reference, example("ex_p0"))) == pytest.approx(far, abs=5e-4)
    assert float(lpips(reference, example("ex_p1"))) == pytest.approx(near, abs=5e-4)
    assert float(lpips(reference, reference)) == 0
    batch = lpips(reference.expand(2, -1, -1, -1), torch.cat([example("ex_p0"), example("ex_p1")]))
    assert batch.tolist() == pytest.approx([far, near], abs=5e-4)


@with_weights
def test_it_can_be_a_loss(monkeypatch):
    monkeypatch.setenv("FDIKP_LPIPS", str(FOLDER / "lpips-v0.1-alex.safetensors"))
    lpips = LPIPS()
    output = example("ex_p0").requires_grad_()
    lpips(output, example("ex_ref")).sum().backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    assert float(output.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in lpips.parameters())
    same = example("ex_ref").requires_grad_()
    lpips(same, example("ex_ref")).sum().backward()
    assert same.grad is not None
    assert same.grad.isfinite().all()  # where the distance is 0, too


@with_weights
def test_eq_11_over_three_scales(monkeypatch):
    """The loss of eq. 11 within eqs. 4 and 5: with all other terms off, the weighed sum of the distances."""
    lpips = LPIPS(FOLDER / "lpips-v0.1-alex.safetensors")
    target, output = example("ex_ref"), example("ex_p0")
    outputs = [torch.nn.functional.avg_pool2d(output, 2 ** (2 - n)) for n in range(3)]
    loss = restoration_loss(outputs, target, (1.0, 0.2, 0.1), alpha=0, beta=0.2, gamma=0, perceptual=lpips)
    half = float(lpips(outputs[1], torch.nn.functional.avg_pool2d(target, 2)))
    assert float(loss) == pytest.approx(0.2 * (0.722 + 0.2 * half), abs=1e-3)  # 16 pixels are too few for AlexNet


def test_weights_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("FDIKP_LPIPS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="FDIKP_LPIPS"):
        LPIPS()
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        LPIPS(tmp_path / "none.safetensors")
    for name, write in (("text", Path.write_text), ("other", lambda file, _: save_file({"x": torch.ones(1)}, file))):
        write(tmp_path / name, "no weights")
        with pytest.raises(WeightsError, match=f"{name}: not LPIPS weights") as error:
            LPIPS(tmp_path / name)
        assert "\n" not in str(error.value)


def test_the_distance_by_hand(tmp_path):
    """One random AlexNet, its distance written out."""
    torch.manual_seed(0)
    shapes = [(0, 3, 64, 11), (3, 64, 192, 5), (6, 192, 384, 3), (8, 384, 256, 3), (10, 256, 256, 3)]
    tensors = {}
    for n, (index, before, after, kernel) in enumerate(shapes):
        tensors[f"features.{index}.weight"] = torch.randn(after, before, kernel, kernel) / (before * kernel**2) ** 0.5
        tensors[f"features.{index}.bias"] = 0.1 * torch.randn(after)
        tensors[f"lin{n}.model.1.weight"] = torch.rand(1, after, 1, 1)
    save_file(tensors, tmp_path / "alex.safetensors")
    x, y = torch.rand(1, 3, 40, 48), torch.rand(1, 3, 40, 48)
    features, expected = [x, y], 0.0
    features = [
        ((2 * f - 1) - torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        / torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
        for f in features
    ]
    for n, (index, _, _, _) in enumerate(shapes):
        stride, padding = (4, 2) if n == 0 else (1, 2 if n == 1 else 1)
        pooled = [torch.max_pool2d(f, 3, 2) for f in features] if n in (1, 2) else features
        weight, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
        features = [torch.conv2d(f, weight, bias, stride, padding).relu() for f in pooled]
        a, b = (f / f.norm(dim=1, keepdim=True) for f in features)
        expected += float(((a - b) ** 2 * tensors[f"lin{n}.model.1.weight"]).sum(1).mean())
    assert float(LPIPS(tmp_path / "alex.safetensors")(x, y)) == pytest.approx(expected, rel=1e-5)


def test_vgg_by_hand(tmp_path):
    """One random VGG16, written out after the table of Simonyan and Zisserman (2015), configuration D."""
    torch.manual_seed(0)
    stages = [(0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)]
    tensors, before = {}, 3
    for n, (stage, after) in enumerate(zip(stages, (64, 128, 256, 512, 512), strict=True)):
        for index in stage:
            tensors[f"features.{index}.weight"] = torch.randn(after, before, 3, 3) * (2 / (9 * before)) ** 0.5
            tensors[f"features.{index}.bias"] = 0.1 * torch.randn(after)
            before = after
        tensors[f"lin{n}.model.1.weight"] = torch.rand(1, after, 1, 1)
    save_file(tensors, tmp_path / "vgg.safetensors")
    x, y = torch.rand(1, 3, 37, 48), torch.rand(1, 3, 37, 48)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # ImageNet's
    features = [(f - mean.view(3, 1, 1)) / deviation.view(3, 1, 1) for f in (x, y)]
    expected = 0.0
    for n, stage in enumerate(stages):
        if n:
            features = [torch.max_pool2d(f, 2) for f in features]
        for index in stage:
            weight, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
            features = [torch.conv2d(f, weight, bias, padding=1).relu() for f in features]
        a, b = (f / f.norm(dim=1, keepdim=True) for f in features)
        expected += float(((a - b) ** 2 * tensors[f"lin{n}.model.1.weight"]).sum(1).mean())
    lpips = LPIPS(tmp_path / "vgg.safetensors")
    assert lpips.backbone == "vgg"
    assert float(lpips(x, y)) == pytest.approx(expected, rel=1e-5)


def test_weights_with_a_layer_missing(tmp_path):
    tensors = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.2.weight": torch.zeros(64, 64, 3, 3)}
    save_file(tensors, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match=r"half\.safetensors: not LPIPS weights"):
        LPIPS(tmp_path / "half.safetensors")
