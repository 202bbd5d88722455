"""What a model does to pictures that it should leave alone, or can do little for: sharp, noisy, or JPEG of quality 60.

    python benchmarks/robustness.py --sharp DIR/kodak24 --data lytro=DIR/lytro --out DIR

Sharp photographs are to come back as they are: the PSNR of the output to the input, of each picture. The sources of the
pairs are given noise (standard deviation 10 of 255, the same each time) or are saved as JPEG of quality 60 before they
are restored; then the change of the PSNR to the target is what the model added or spoilt.
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
RETURNED = 45.0
"""PSNR in dB above which a sharp picture counts as returned."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fdikp-lite")
    parser.add_argument("--sharp", type=Path, required=True, help="a folder of sharp photographs")
    parser.add_argument("--data", required=True, metavar="NAME=DIR", help="real pairs")
    parser.add_argument("--out", type=Path, help="folder for MODEL.md")
    options = parser.parse_args()
    model = load_model(options.model)
    text = (
        "\n\n".join(
            (
                f"# {model.name}, sha256 {model.weights.sha256[:12]}…",
                sharp(model, options.sharp),
                spoilt(model, *options.data.split("=", 1)),
            )
        )
        + "\n"
    )
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{model.name}.md").write_text(text)


def sharp(model: Deblurrer, folder: Path) -> str:
    """How sharp pictures come back."""
    found = []
    for number, pixels in enumerate(load_images([folder]), 1):
        picture = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        found.append((_psnr(model.predict(picture), picture), number))
    kept = sum(value > RETURNED for value, _ in found)
    worst, number = min(found)
    return (
        f"Sharp photographs, to themselves: {fmean(value for value, _ in found):.1f} dB in the mean, "
        f"{kept} of {len(found)} above {RETURNED:g} dB, the worst {worst:.1f} dB (number {number})."
    )


def spoilt(model: Deblurrer, name: str, folder: str) -> str:
    """What is gained on spoilt sources."""
    evaluator = Evaluator(find_protocol("defocus"))
    data = open_set(name, Path(folder))
    rows = []
    for label, spoil in (
        ("as they are", lambda x, seed: x),
        (f"noise {NOISE * 255:g}/255", noisy),
        (f"JPEG {QUALITY}", jpeg),
    ):
        gains, before = [], []
        for seed, sample in enumerate(data.samples):
            source, target = evaluator.prepared(data, sample)
            assert target is not None
            seen = spoil(source[0], seed)
            before.append(_psnr(seen, target[0]))
            gains.append(_psnr(model.predict(seen), target[0]) - before[-1])
        rows.append((label, f"{fmean(before):.2f}", f"{fmean(gains):+.2f}", f"{min(gains):+.2f}"))
    return grid((f"{name}, {len(data.samples)} pictures", "PSNR in", "gain, dB", "worst"), rows)


def noisy(picture: Tensor, seed: int) -> Tensor:
    """With noise of every pixel and channel its own, in 8 bits."""
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    return round_to_8_bits((picture + NOISE * noise).clamp(0, 1))


def jpeg(picture: Tensor, seed: int) -> Tensor:
    """After JPEG with halved chroma; the seed is not needed."""
    return through_jpeg(picture, QUALITY, chroma_halved=True)


def _psnr(image: Tensor, target: Tensor) -> float:
    return float(psnr(image.clamp(0, 1)[None], target[None]))


if __name__ == "__main__":
    main()
