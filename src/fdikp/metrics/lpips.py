"""LPIPS v0.1 (Zhang et al. 2018): distance of two images in the features of a classification network."""

import os
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from fdikp.errors import WeightsError
from fdikp.metrics.lpips_weights import VARIABLE, find_lpips

Backbone = Literal["alex", "squeeze", "vgg"]
"""AlexNet, SqueezeNet 1.1, VGG16."""

MIN_SIDE = 32
"""Shortest side of an image, pixels: below it the last feature map of AlexNet is empty."""


class LPIPS(nn.Module):
    """Perceptual distance, 0 for equal images; used as a metric, and as the loss of eq. 11.

    Args:
        weights: a safetensors file with the backbone's `features.N.weight/bias` and the heads' `linN.model.1.weight`;
            by default the file that `find_lpips` finds. The shapes identify the backbone: AlexNet, SqueezeNet 1.1 or
            VGG16.

    Raises:
        WeightsError: no weights were found, or the file is missing or does not hold LPIPS weights.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        file = find_lpips(weights)
        if file is None:
            raise WeightsError(f"no LPIPS weights found; pass a weights file, or set {VARIABLE}")
        try:
            tensors = load_file(file)
            self.backbone: Backbone = _identify_backbone(tensors)
            self.slices = nn.ModuleList({"alex": _alexnet, "squeeze": _squeezenet, "vgg": _vgg16}[self.backbone]())
            self.heads = nn.ParameterList(tensors[f"lin{n}.model.1.weight"] for n in range(len(self.slices)))
            layers = (layer for part in self.slices for layer in part)  # type: ignore[attr-defined]
            nn.Sequential(*layers).load_state_dict(
                {name.removeprefix("features."): t for name, t in tensors.items() if name.startswith("features.")}
            )
        except (SafetensorError, KeyError, RuntimeError) as error:
            reason = str(error).partition("\n")[0][:120]
            raise WeightsError(f"{file}: not LPIPS weights as safetensors ({reason}); choose another file") from error
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each pair of images, [B].

        Args:
            x: [B, 3, H, W] RGB in 0..1, at least `MIN_SIDE` pixels a side.
            y: the same shape and range.
        """
        a, b = ((2.0 * image - 1.0 - self.shift) / self.scale for image in (x, y))
        total = x.new_zeros(len(x))
        for part, head in zip(self.slices, self.heads, strict=True):
            a, b = part(a), part(b)
            difference = (_unit(a) - _unit(b)).square()  # [B, C, h, w]
            total = total + F.conv2d(difference, head).mean(dim=(1, 2, 3))
        return total


def _unit(features: Tensor) -> Tensor:
    """Features of each position scaled to length 1, with the published epsilon; the clamp keeps the gradient finite."""
    length = features.square().sum(dim=1, keepdim=True).clamp_min(1e-20).sqrt()
    return features / (length + 1e-10)


def _identify_backbone(tensors: dict[str, Tensor]) -> Backbone:
    """AlexNet begins with 11x11 filters; of the other two, only VGG16 has its second convolution at index 2."""
    if tensors["features.0.weight"].shape[-1] == 11:
        return "alex"
    return "vgg" if "features.2.weight" in tensors else "squeeze"


def _alexnet() -> list[nn.Sequential]:
    """The convolutions of AlexNet, one slice up to each ReLU."""

    def conv(i: int, o: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(i, o, kernel, stride, padding), nn.ReLU())

    pool = nn.MaxPool2d(3, 2)
    return [
        conv(3, 64, 11, 4, 2),
        nn.Sequential(pool, *conv(64, 192, 5, 1, 2)),
        nn.Sequential(pool, *conv(192, 384, 3, 1, 1)),
        conv(384, 256, 3, 1, 1),
        conv(256, 256, 3, 1, 1),
    ]


class _Fire(nn.Module):
    """SqueezeNet's fire module: a 1x1 squeeze, then 1x1 and 3x3 expansions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


def _squeezenet() -> list[nn.Sequential]:
    """SqueezeNet 1.1, one slice up to each layer that LPIPS reads."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return [
        nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU()),
        nn.Sequential(pool, _Fire(64, 16, 64), _Fire(128, 16, 64)),
        nn.Sequential(pool, _Fire(128, 32, 128), _Fire(256, 32, 128)),
        nn.Sequential(pool, _Fire(256, 48, 192)),
        nn.Sequential(_Fire(384, 48, 192)),
        nn.Sequential(_Fire(384, 64, 256)),
        nn.Sequential(_Fire(512, 64, 256)),
    ]


def _vgg16() -> list[nn.Sequential]:
    """The convolutions of VGG16, one slice up to each pooling."""
    slices: list[nn.Sequential] = []
    channels = 3
    for wide, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers: list[nn.Module] = [nn.MaxPool2d(2, 2)] if slices else []
        for _ in range(count):
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
            channels = wide
        slices.append(nn.Sequential(*layers))
    return slices
