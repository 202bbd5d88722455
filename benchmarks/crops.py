"""Rank weights in minutes: gain, worst image, LPIPS and overshoot on the centre of each image of a few sets.

    fdikp average a.safetensors b.safetensors -o mean.safetensors
    python benchmarks/crops.py fdikp-lite mean.safetensors --data lytro=DIR/lytro epfl48=DIR/epfl48

The shipped averages of weights were selected by this benchmark. The scores in MODEL_CARD.md are of whole images, from
`fdikp evaluate`. LPIPS needs weights (--lpips, or FDIKP_LPIPS in the environment) and is left out without them.
"""

import argparse
import os
from pathlib import Path
from statistics import fmean

from torch import Tensor

from fdikp import load_model
from fdikp.allocator import configure_malloc
from fdikp.data import open_set
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.tables import grid
from fdikp.metrics.lpips import LPIPS
from fdikp.metrics.overshoot import overshoot
from fdikp.metrics.psnr import psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names of shipped models, or weights files")
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR", help="sets with targets")
    parser.add_argument("--side", type=int, default=384, help="side of the square in the centre, pixels")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--lpips", default=os.environ.get("FDIKP_LPIPS"), help="LPIPS weights")
    options = parser.parse_args()
    configure_malloc()
    lpips = LPIPS(options.lpips) if options.lpips else None
    evaluator = Evaluator(find_protocol("defocus"))
    sets = {}
    for name, folder in (given.split("=", 1) for given in options.data):
        data = open_set(name, Path(folder))
        pairs = [(sample.name, *evaluator.prepared(data, sample)) for sample in data.samples]
        sets[name] = [
            (image, middle(source, options.side), middle(target, options.side))
            for image, source, target in pairs
            if target is not None
        ]
    rows = []
    for name in options.models:
        model = load_model(name, precision=options.precision)
        for label, pairs in sets.items():
            gains, distances, overshoots, inputs = [], [], [], []
            for image, source, target in pairs:
                output = model.predict(source[0]).clamp(0, 1)[None]
                gains.append((float(psnr(output, target) - psnr(source, target)), image))
                overshoots.append(float(overshoot(output, target)))
                inputs.append(float(overshoot(source, target)))
                if lpips:
                    distances.append(float(lpips(output, target)))
            worst = min(gains)
            rows.append(
                (
                    name,
                    label,
                    f"{fmean(gain for gain, _ in gains):+.3f}",
                    f"{worst[0]:+.2f} ({worst[1]})",
                    f"{fmean(distances):.4f}" if distances else "",
                    f"{fmean(inputs):.3f} → {fmean(overshoots):.3f}",
                )
            )
            print(*rows[-1], flush=True)
    print()
    print(grid(("weights", f"set, middle {options.side}²", "gain, dB", "worst", "LPIPS", "overshoot"), rows))


def middle(image: Tensor, side: int) -> Tensor:
    """The square in the centre of [1, 3, H, W], smaller if the image is."""
    H, W = image.shape[-2:]
    top, left = max(0, (H - side) // 2), max(0, (W - side) // 2)
    return image[..., top : top + side, left : left + side].contiguous()


if __name__ == "__main__":
    main()
