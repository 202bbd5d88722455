"""How far a pixel of the result reads: what the overlap of tiles has to cover.

    python research/receptive_field.py --model fdikp-lite

The bottleneck (attention along rows and columns, frequency blocks) is global: through it every pixel depends on every
other of its tile a little, as through the spectrum that the kernels are predicted from. Tiles can only overlap by what
the rest reads, the local part: encoder, decoder, recurrent unit and deconvolution, here with the bottleneck passed by.
Measured is the gradient of one pixel of the change, averaged over places in real photographs: within which distance
(the larger of rows and columns) lies which share of its energy, the sum of squares.
"""

import argparse

import torch
from skimage import data
from torch import Tensor

from fdikp import weights


def influence(network: torch.nn.Module, picture: Tensor, y: int, x: int) -> Tensor:
    """[H, W] absolute gradient of the luminance of the change at (y, x), for a picture [1, 3, H, W]."""
    seen = picture.clone().requires_grad_(True)
    change = network(seen) - seen
    (gradient,) = torch.autograd.grad(change[0, :, y, x].mean(), seen)
    return gradient[0].abs().sum(dim=0)


def by_distance(map: Tensor, y: int, x: int, farthest: int) -> Tensor:
    """Shares of a map [H, W] on squares around (y, x), by Chebyshev distance below `farthest`."""
    rows = (torch.arange(map.shape[0]) - y).abs()[:, None]
    columns = (torch.arange(map.shape[1]) - x).abs()[None]
    distance = torch.maximum(rows, columns).flatten()
    return torch.bincount(distance, (map / map.sum()).flatten(), minlength=farthest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fdikp-lite", help="name or file of the weights")
    parser.add_argument("--size", type=int, default=384, help="side of the pictures")
    parser.add_argument("--places", type=int, default=4, help="pixels measured in each picture")
    options = parser.parse_args()
    network, about = weights.load(options.model)
    whole = measure(network, options)
    network.dsrm.bottleneck = torch.nn.Identity()
    local = measure(network, options)
    print(f"{about.name}, weights {about.sha256[:12]}, pictures of up to {options.size} px, torch {torch.__version__}")
    print("| share of the energy | whole network | local part |\n| --- | --- | --- |")
    for share in (0.5, 0.9, 0.99, 0.999, 0.9999):
        print(f"| {share:.2%} | {within(whole, share)} px | {within(local, share)} px |")


def measure(network: torch.nn.Module, options: argparse.Namespace) -> Tensor:
    """The mean share of the energy at each distance, [size]."""
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
    """The distance within which so much lies, pixels."""
    return int((shares.cumsum(0) < share).sum())


if __name__ == "__main__":
    main()
