"""Quality of a model: before and after on rendered and on real pairs, and what it does to what is sharp already.

    python benchmarks/quality.py --weights fdikp-lite --data ../shared/data/eval
    python benchmarks/quality.py --weights runs/x/weights.safetensors --data ../shared/data/eval --sets lytro

Prints a table in Markdown; with --out also writes quality.json (all of it) and quality.csv (a line for each picture).
The data folder holds kodak24/, lytro/ and epfl48/ with source/ and target/, as users keep them; none of it ships.
"""

import argparse
import csv
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import fdikp
from fdikp import weights
from fdikp.deblur import TILE
from fdikp.evaluation import LPIPS
from fdikp.evaluation.quality import Scores, Summary, score, summarise
from fdikp.synthesis import kodak_pairs

PROTOCOL = "defocus: RGB, float, clamped to 0..1, not rounded; SSIM 7x7 uniform; LPIPS v0.1 AlexNet; mean of pictures"

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    name: str
    blurred: Tensor
    """[3, H, W] float32 0..1"""
    target: Tensor


def main() -> None:
    options = parse()
    model, about = load(options)
    lpips_file = options.lpips or options.data.parent / "lpips" / "lpips-v0.1-alex.safetensors"
    lpips = LPIPS(lpips_file) if Path(lpips_file).is_file() else None
    if lpips is None:
        print(f"no LPIPS weights at {lpips_file}: give --lpips to have that column", file=sys.stderr)
    results: dict[str, list[Scores]] = {}
    for name in options.sets:
        started = time.perf_counter()
        results[name] = [measure(model, pair, lpips) for pair in islice(SETS[name](options.data), options.limit)]
        if not results[name]:
            sys.exit(f"{options.data}: no pairs of the set {name} there")
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    summaries = {name: summarise(scores) for name, scores in results.items()}
    print(markdown(summaries, about))
    if options.out:
        write(options.out, about, results, summaries)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=weights.DEFAULT, help="a model that ships, or a safetensors file")
    parser.add_argument("--data", type=Path, required=True, help="folder with kodak24/, lytro/, epfl48/")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--limit", type=int, help="pictures of each set at most")
    parser.add_argument("--tile", type=int, default=TILE, help="0: no tiles")
    parser.add_argument("--strength", type=float, default=1.0, help="how much of the change to apply")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16, float16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--whole", action="store_true", help="the bare network in float32, not the product's path")
    parser.add_argument("--lpips", type=Path, help="LPIPS AlexNet safetensors (default: beside the data folder)")
    parser.add_argument("--out", type=Path, help="folder for quality.json and quality.csv")
    return parser.parse_args()


def load(options: argparse.Namespace) -> tuple[Model, dict[str, Any]]:
    """The function from [3, H, W] to [3, H, W], and what the table has to say about it."""
    about: dict[str, Any] = {
        "protocol": PROTOCOL,
        "rendered pairs": "kodakNN with seed NN, fdikp.synthesis.KODAK_SETTINGS",
    }
    if options.whole:
        network, info = weights.load(options.weights)
        about |= {"path": "bare network", "tile": "none", "precision": "float32", "device": "cpu"}

        def model(x: Tensor) -> Tensor:
            with torch.inference_mode():
                return network(x[None])[0]

    else:
        deblurrer = fdikp.load_model(options.weights, options.device, options.precision, tile=options.tile)
        info = deblurrer.weights

        def model(blurred: Tensor) -> Tensor:
            return deblurrer(blurred, strength=options.strength)

        precision = str(deblurrer.precision).removeprefix("torch.")
        about |= {
            "path": "load_model",
            "strength": options.strength,
            "tile": options.tile or "none",
            "precision": precision,
            "device": str(deblurrer.device),
        }
    about |= {"weights": info.name, "sha256": info.sha256, "parameters": info.parameters}
    about["versions"] = f"fdikp {fdikp.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    return model, about


def kodak(data: Path) -> Iterator[Pair]:
    for pair in kodak_pairs(data / "kodak24"):
        yield Pair(pair.name, pair.blurred, pair.target)


def kodak_sharp(data: Path) -> Iterator[Pair]:
    """Sharp pictures in: all of them is in focus, and what comes out should be what went in."""
    for file in sorted((data / "kodak24").glob("*.png")):
        picture = read(file)
        yield Pair(file.stem, picture, picture)


def real(folder: str) -> Callable[[Path], Iterator[Pair]]:
    def pairs(data: Path) -> Iterator[Pair]:
        targets = {file.stem: file for file in sorted((data / folder / "target").glob("*"))}
        for file in sorted((data / folder / "source").glob("*")):
            target = targets.get(file.stem) or next(iter(targets.values()))  # epfl48: one target for all
            yield Pair(file.stem, read(file), read(target))

    return pairs


def read(file: Path) -> Tensor:
    with Image.open(file) as image:
        pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255.0
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


SETS: dict[str, Callable[[Path], Iterator[Pair]]] = {
    "kodak": kodak,
    "lytro": real("lytro"),
    "epfl48": real("epfl48"),
    "sharp": kodak_sharp,
}


def measure(model: Model, pair: Pair, lpips: LPIPS | None) -> Scores:
    output = model(pair.blurred)
    with torch.inference_mode():
        return score(pair.name, pair.blurred, output, pair.target, lpips)


def markdown(summaries: dict[str, Summary], about: dict[str, Any]) -> str:
    """The table, and below it what made it."""
    head = (
        "set",
        "pictures",
        "PSNR",
        "gain",
        "worst",
        "SSIM",
        "LPIPS",
        "in-focus error",
        "where the target is sharp",
        "shift",
    )
    rows = [head, tuple("---" for _ in head)]
    for name, s in summaries.items():
        change = "{} → {}".format
        rows.append(
            (
                name,
                str(s.pictures),
                change(f"{s.psnr_before:.2f}", f"{s.psnr_after:.2f}"),
                f"{s.gain:+.2f}",
                f"{s.worst_gain:+.2f} ({s.worst_name})",
                change(f"{s.ssim_before:.4f}", f"{s.ssim_after:.4f}"),
                "–" if s.lpips_before is None else change(f"{s.lpips_before:.4f}", f"{s.lpips_after:.4f}"),
                region(s.focus_error, s.focus_ratio),
                region(s.sharp_error, s.sharp_ratio),
                f"{s.shift:.5f}",
            )
        )
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in about.items())])


def region(error: float | None, ratio: float | None) -> str:
    if error is None:
        return "–"
    return f"{error:.1e}" + (f" (×{ratio:.2f})" if ratio is not None else "")


def write(out: Path, about: dict[str, Any], results: dict[str, list[Scores]], summaries: dict[str, Summary]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    sets = {
        name: {"mean": asdict(summaries[name]), "pictures": [asdict(s) for s in scores]}
        for name, scores in results.items()
    }
    (out / "quality.json").write_text(json.dumps({"about": about, "sets": sets}, indent=2) + "\n")
    with (out / "quality.csv").open("w", newline="") as file:
        rows = [{"set": name} | asdict(s) for name, scores in results.items() for s in scores]
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
