"""What a model does to images that it should leave alone or can hardly improve: sharp, noisy, or JPEG of quality 60.

    python benchmarks/robustness.py --sharp DIR/kodak24 --data lytro=DIR/lytro -o DIR

Sharp photos should come back unchanged: the benchmark reports the PSNR of the output to the input. The sources of real
pairs get noise (standard deviation 10/255, with fixed seeds) or are saved as JPEG of quality 60 before they are
restored; the change of the PSNR to the target is what the model added or spoilt.
"""

import argparse
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from fdikp import load_model
from fdikp.data import load_images, open_set
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.tables import grid
from fdikp.inference.deblurrer import Deblurrer
from fdikp.metrics.psnr import psnr
from fdikp.synthesis.sensor import round_to_8_bits, through_jpeg

NOISE = 10 / 255
QUALITY = 60
UNCHANGED = 45.0
"""PSNR in dB above which a sharp image counts as unchanged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fdikp-lite")
    parser.add_argument("--sharp", type=Path, required=True, help="a folder of sharp photos")
    parser.add_argument("--data", required=True, metavar="NAME=DIR", help="real pairs")
    parser.add_argument("-o", "--output", type=Path, help="folder for MODEL.md")
    options = parser.parse_args()
    model = load_model(options.model)
    text = (
        "\n\n".join(
            (
                f"# {model.name}, sha256 {model.descriptor.sha256[:12]}…",
                sharp(model, options.sharp),
                degraded(model, *options.data.split("=", 1)),
            )
        )
        + "\n"
    )
    print(text)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / f"{model.name}.md").write_text(text)


def sharp(model: Deblurrer, folder: Path) -> str:
    """The PSNR of sharp photos to themselves."""
    found = []
    for number, pixels in enumerate(load_images([folder]), 1):
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        found.append((_psnr(model.predict(image), image), number))
    kept = sum(value > UNCHANGED for value, _ in found)
    worst, number = min(found)
    return (
        f"Sharp photos, PSNR to themselves: mean {fmean(value for value, _ in found):.1f} dB, "
        f"{kept} of {len(found)} above {UNCHANGED:g} dB, worst {worst:.1f} dB (number {number})."
    )


def degraded(model: Deblurrer, name: str, folder: str) -> str:
    """The gain on degraded sources."""
    evaluator = Evaluator(find_protocol("defocus"))
    data = open_set(name, Path(folder))
    rows = []
    for label, degrade in (
        ("unchanged", lambda x, seed: x),
        (f"noise {NOISE * 255:g}/255", noisy),
        (f"JPEG {QUALITY}", jpeg),
    ):
        gains, before = [], []
        for seed, sample in enumerate(data.samples):
            source, target = evaluator.prepared(data, sample)
            assert target is not None
            given = degrade(source[0], seed)
            before.append(_psnr(given, target[0]))
            gains.append(_psnr(model.predict(given), target[0]) - before[-1])
        rows.append((label, f"{fmean(before):.2f}", f"{fmean(gains):+.2f}", f"{min(gains):+.2f}"))
    return grid((f"{name}, {len(data.samples)} images", "PSNR in", "gain, dB", "worst"), rows)


def noisy(image: Tensor, seed: int) -> Tensor:
    """The image with independent noise in every pixel and channel, rounded to 8 bits."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return round_to_8_bits((image + NOISE * noise).clamp(0, 1))


def jpeg(image: Tensor, seed: int) -> Tensor:
    """The image after JPEG with halved chroma; the seed is unused."""
    return through_jpeg(image, QUALITY, chroma_halved=True)


def _psnr(image: Tensor, target: Tensor) -> float:
    return float(psnr(image.clamp(0, 1)[None], target[None]))


if __name__ == "__main__":
    main()
