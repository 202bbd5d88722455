"""How far a pixel of the result reads, which the overlap of tiles must cover.

    python research/receptive_field.py --model fdikp-lite

The bottleneck (attention along rows and columns, frequency blocks) and the spectrum behind the kernels are global:
through them every pixel depends a little on every other pixel of its tile. The overlap of tiles can only cover the
local part: encoder, decoder, recurrent unit and deconvolution, here with the bottleneck replaced by the identity. The
script measures the gradient of one pixel of the change, averaged over pixels of real photos, and prints the distance
(the larger of rows and columns) that contains a given fraction of its energy, the sum of squares.
"""

import argparse

import torch
from skimage import data
from torch import Tensor

from fdikp import models


def influence(network: torch.nn.Module, picture: Tensor, y: int, x: int) -> Tensor:
    """The absolute gradient [H, W] of the luminance change at (y, x), for an image [1, 3, H, W]."""
    seen = picture.clone().requires_grad_(True)
    change = network(seen) - seen
    (gradient,) = torch.autograd.grad(change[0, :, y, x].mean(), seen)
    return gradient[0].abs().sum(dim=0)


def by_distance(map: Tensor, y: int, x: int, farthest: int) -> Tensor:
    """Fractions of the sum of a map [H, W] by Chebyshev distance from (y, x), below `farthest`."""
    rows = (torch.arange(map.shape[0]) - y).abs()[:, None]
    columns = (torch.arange(map.shape[1]) - x).abs()[None]
    distance = torch.maximum(rows, columns).flatten()
    return torch.bincount(distance, (map / map.sum()).flatten(), minlength=farthest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fdikp-lite", help="name or file of the weights")
    parser.add_argument("--size", type=int, default=384, help="side of the images")
    parser.add_argument("--places", type=int, default=4, help="pixels measured in each image")
    options = parser.parse_args()
    network, about = models.load(options.model)
    whole = measure(network, options)
    network.dsrm.bottleneck = torch.nn.Identity()
    local = measure(network, options)
    print(f"{about.name}, weights {about.sha256[:12]}, pictures of up to {options.size} px, torch {torch.__version__}")
    print("| fraction of the energy | whole network | local part |\n| --- | --- | --- |")
    for share in (0.5, 0.9, 0.99, 0.999, 0.9999):
        print(f"| {share:.2%} | {within(whole, share)} px | {within(local, share)} px |")


def measure(network: torch.nn.Module, options: argparse.Namespace) -> Tensor:
    """The mean fraction of the energy at each distance, [size]."""
    torch.manual_seed(0)
    total = torch.zeros(options.size)
    for photograph in (data.coffee(), data.astronaut(), data.chelsea()):
        side = min(*photograph.shape[:2], options.size) // 16 * 16
        picture = torch.from_numpy(photograph[:side, :side].copy()).permute(2, 0, 1)[None] / 255
        for y, x in torch.randint(side // 3, 2 * side // 3, (options.places, 2)).tolist():
            energy = influence(network, picture, y, x).square()
            total += by_distance(energy, y, x, options.size)
    return total / total.sum()


def within(shares: Tensor, share: float) -> int:
    """The distance that contains this fraction, pixels."""
    return int((shares.cumsum(0) < share).sum())


if __name__ == "__main__":
    main()
