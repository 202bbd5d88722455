"""Weights that change colour less than they were trained to, and brightness as before.

    python research/colour.py fdikp-lite 0.75 -o calm.safetensors
    python benchmarks/crops.py fdikp-lite calm.safetensors --data lytro=DIR/lytro epfl48=DIR/epfl48

A real picture's colour is less sharp and less certain than its brightness: three of four pixels of a sensor do not see
it, and JPEG keeps a quarter of it. What a network restores of it is more often wrong, and shows as specks beside strong
edges. All that a stage changes passes its last layer, so that layer's weights can take a share of the colour away, for
nothing at inference: rows of weights and biases become their luma and the given share of what they differ from it by.
"""

import argparse
from pathlib import Path

import torch

from fdikp import weights

LUMA = (0.299, 0.587, 0.114)
"""Rec. 601, as JPEG has it."""


def calmed(share: float) -> torch.Tensor:
    """The 3×3 matrix that leaves luma as it is and the given share of a colour's difference from it."""
    luma = torch.tensor(LUMA).expand(3, 3)
    return luma + share * (torch.eye(3) - luma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model that ships, or a weights file")
    parser.add_argument("share", type=float, help="of the colour that stays: 1 for all, 0 for none")
    parser.add_argument("-o", "--output", required=True, help="the file to write, .safetensors")
    parser.add_argument("--half", action="store_true", help="store 16 bit numbers, as weights that ship are")
    options = parser.parse_args()
    if not 0 <= options.share <= 1:
        parser.error(f"share {options.share:g}: must be between 0 and 1")
    network, about = weights.load(options.model)
    matrix, layer = calmed(options.share), network.output
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("ij,jkyx->ikyx", matrix, layer.weight))
        layer.bias.copy_(matrix @ layer.bias)
    parts = {"sha256": about.sha256, "colour": options.share}
    weights.save(network, options.output, name=about.name, half=options.half, made_of=parts)
    print(f"{options.model} -> {options.output}, sha256 {weights.sha256(Path(options.output))}")


if __name__ == "__main__":
    main()
