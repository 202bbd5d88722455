"""Reduce how much weights change colour, and keep how they change brightness.

    python research/colour.py fdikp-lite 0.75 -o calm.safetensors
    python benchmarks/crops.py fdikp-lite calm.safetensors --data lytro=DIR/lytro epfl48=DIR/epfl48

The colour of a real photo is less sharp and less certain than its brightness: a sensor samples each colour at a
fraction of its pixels, and JPEG keeps a quarter of the chroma. Restored colour is wrong more often, and shows as specks
beside strong edges. All changes of a stage pass its last layer, so a 3×3 matrix folded into that layer reduces colour
changes at no cost: it keeps the luma and the given fraction of the difference from it. The shipped weights use 0.75.
"""

import argparse

import torch

from fdikp import models

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in Rec. 601, as in JPEG."""


def chroma_scale_matrix(scale: float) -> torch.Tensor:
    """The 3×3 matrix that keeps luma and scales the difference from it."""
    luma = torch.tensor(LUMA).expand(3, 3)
    return luma + scale * (torch.eye(3) - luma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a shipped model, or a weights file")
    parser.add_argument("scale", type=float, help="factor of colour changes: 1 keeps them, 0 removes them")
    parser.add_argument("-o", "--output", required=True, help="the file to write, .safetensors")
    parser.add_argument("--half", action="store_true", help="store float16, as in the shipped weights")
    options = parser.parse_args()
    if not 0 <= options.scale <= 1:
        parser.error(f"scale {options.scale:g}: must be between 0 and 1")
    network, about = models.load(options.model)
    matrix, layer = chroma_scale_matrix(options.scale), network.output
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("ij,jkyx->ikyx", matrix, layer.weight))
        layer.bias.copy_(matrix @ layer.bias)
    parts = {"sha256": about.sha256, "colour": options.scale}
    models.save(network, options.output, name=about.name, half=options.half, made_of=parts)
    print(f"{options.model} -> {options.output}, sha256 {models.describe(options.output).sha256}")


if __name__ == "__main__":
    main()
