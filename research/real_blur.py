"""The blur of real pairs: the kernels that turn the image in focus into the camera's image.

    python research/real_blur.py lytro=DIR/lytro epfl48=DIR/epfl48 -o DIR

The renderer should imitate cameras. Each clearly blurred square of 48 pixels of a target is blurred by kernels of many
radii and a few shapes, in linear light, in linear light under a contrast curve, and in encoded values, and compared
with the source. The best radius is the blur of that square. Its residual, relative to the difference between source and
target, measures how well a shape and a domain describe the camera. Squares with a large residual under every kernel
(two depths, or motion) are left out.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.data import EvaluationSet, open_set
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.tables import grid
from fdikp.synthesis import Aperture, aperture_kernels
from fdikp.synthesis.tone import ToneCurve
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

RADII = torch.tensor([0.6, 0.8, 1, 1.25, 1.5, 1.8, 2.1, 2.5, 3, 3.5, 4, 4.7, 5.5, 6.5, 7.5, 9, 10.5, 12.5, 15])
REACH = 30
SHAPES = {
    "hard disc": Aperture(),
    "disc with a soft edge": Aperture(edge=0.4),
    "bell": Aperture(edge=1.0),
    "brighter rim": Aperture(ring=0.5),
    "disc and diffraction of 1 px": Aperture(diffraction=1.0),
}
TONED = ToneCurve(contrast=1.3)
Curve = Callable[[Tensor], Tensor]
DOMAINS: dict[str, tuple[Curve, Curve]] = {
    "light": (srgb_to_linear, lambda light: linear_to_srgb(light.clamp(0, 1))),
    "light, contrast 1.3": (TONED.decode, TONED.encode),
    "codes": (lambda codes: codes, lambda codes: codes),
}
"""Domains of the blur: decoding from, and encoding to, 8-bit values."""
SQUARE = 48
BLURRED = 2e-4
"""Minimum mean squared difference of source and target in a clearly blurred square."""
DESCRIBED = 0.35
"""Maximum residual of the best kernel, relative to that difference."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=DIR", help="real pairs")
    parser.add_argument("-o", "--output", type=Path, help="folder for real_blur.md")
    options = parser.parse_args()
    kernels = {name: aperture_kernels(RADII, shape, REACH) for name, shape in SHAPES.items()}
    parts = ["# Blur of real pairs"]
    for text in options.data:
        name, _, folder = text.partition("=")
        parts.append(described(open_set(name, Path(folder)), kernels))
    print("\n\n".join(parts))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "real_blur.md").write_text("\n\n".join(parts) + "\n")


def described(data: EvaluationSet, kernels: dict[str, Tensor]) -> str:
    """A description of the blur of a set, as Markdown."""
    evaluator = Evaluator(find_protocol("defocus"))
    left: dict[tuple[str, str], list[Tensor]] = {(d, shape): [] for d in DOMAINS for shape in kernels}
    radii: list[Tensor] = []
    for sample in data.samples:
        source, target = evaluator.prepared(data, sample)
        assert target is not None
        differs = F.avg_pool2d((source - target).mean(dim=1).square(), SQUARE)[0]
        found = {key: _fitted(source, target, kernels[key[1]], DOMAINS[key[0]]) for key in left}
        least = torch.stack([share for share, _ in found.values()]).amin(dim=0)
        used = (differs > BLURRED) & (least < DESCRIBED * differs)
        for key, (share, _) in found.items():
            left[key].append((share / differs)[used])
        radii.append(RADII[found["light", "hard disc"][1]][used])
    squares = torch.cat(radii)
    quantiles = ", ".join(f"{float(q):g}" for q in squares.quantile(torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])))
    rows = (
        (shape, *(f"{float(torch.cat(left[domain, shape]).mean()):.3f}" for domain in DOMAINS)) for shape in kernels
    )
    return (
        f"## {data.name}, {len(data.samples)} pairs, {len(squares)} blurred squares\n\n"
        f"Radius in pixels (10, 25, 50, 75, 90 %): {quantiles}. Mean residual, relative to the squared difference:\n\n"
        + grid(("kernel", *(f"blurring {domain}" for domain in DOMAINS)), rows)
    )


def _fitted(source: Tensor, target: Tensor, kernels: Tensor, domain: tuple[Curve, Curve]) -> tuple[Tensor, Tensor]:
    """The least mean squared difference of each square over all radii, in encoded values, and the radius index."""
    decode, encode = domain
    seen, sharp = (decode(x).mean(dim=1) for x in (source, target))
    height, width = seen.shape[-2:]
    padded = F.pad(sharp[None], (REACH,) * 4, mode="reflect")[0]
    size = [n + 2 * REACH for n in padded.shape[-2:]]
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(kernels, s=size), s=size)
    inner = blurred[..., 2 * REACH : 2 * REACH + height, 2 * REACH : 2 * REACH + width]
    least, which = F.avg_pool2d((encode(inner) - encode(seen)).square()[:, None], SQUARE)[:, 0].min(dim=0)
    return least, which


if __name__ == "__main__":
    main()
