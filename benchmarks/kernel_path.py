"""Does the kernel path earn its place? What it predicts against what is true, and what is lost without it.

    python benchmarks/kernel_path.py --weights fdikp-lite --data FOLDER

Crops of a folder of sharp photographs are rendered out of focus through known apertures: scenes whose blur radius
varies, and the same crops with one radius everywhere. Measured are the correlation of the dilated map with the true
radius, how near the inverse kernels are to inverses of the true blur, and the PSNR when a part of the path is replaced:
kernels of another picture, the average kernels, none (deltas), one dilation, candidates of one stage alone.
docs/kernel-path.md says how.

Prints tables in Markdown, mean ± standard deviation over pictures; with --out also writes kernel_path.md, .csv (a line
for each number) and .json (with the values of each picture). Float32 on the CPU, whole crops.
"""

import argparse
import platform
import shlex
import sys
import time
from pathlib import Path

import torch

import fdikp
from fdikp import weights
from fdikp.data import find_images, read_image
from fdikp.data.faults import map_all
from fdikp.errors import FdikpError
from fdikp.files import atomic_write
from fdikp.network import GRID
from fdikp.paper.kernel_path import as_csv, as_json, crops, markdown, measure
from fdikp.paper.kernel_path.known_blur import MIXED
from fdikp.paper.kernel_path.response import CELL

RADII = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)


def main() -> None:
    options = parse()
    started = time.perf_counter()
    try:
        network, about = weights.load(options.weights)
        files = [file for folder in options.data for file in find_images(folder)][: options.pictures]
        if len(files) < 2:
            raise FdikpError(
                f"{files[0]}: the only picture, but kernels of another are needed; give a folder with more"
            )
        sharp = crops(map_all(read_image, files), options.size)
        cells = measure(network, sharp, options.radii, lambda what: print(what, file=sys.stderr))
    except FdikpError as error:
        sys.exit(f"kernel_path: {error}")
    told = {
        "weights": about.name,
        "sha256": about.sha256,
        "pictures": f"{len(sharp)} of {' '.join(map(str, options.data))}, crops of {options.size} px from the middle",
        "command": shlex.join(["python", "benchmarks/kernel_path.py", *sys.argv[1:]]),
        "versions": f"fdikp {fdikp.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        "precision": "float32, CPU",
    }
    table = "\n".join([markdown(cells), *(f"- {name}: {value}" for name, value in told.items())]) + "\n"
    print(table, end="")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for suffix, text in (("md", table), ("csv", as_csv(cells)), ("json", as_json(cells, told))):
            with atomic_write(options.out / f"kernel_path.{suffix}") as file:
                file.write(text.encode())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=weights.DEFAULT, help="a model that ships, or a safetensors file")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photographs")
    parser.add_argument("--pictures", type=count, help="so many of them at most, the first by path")
    parser.add_argument("--size", type=size, default=256, help="side of the crops, pixels")
    parser.add_argument("--radii", type=radius, nargs="+", default=RADII, help="blur radii of the uniform sets, pixels")
    parser.add_argument("--out", type=Path, help="folder for kernel_path.md, .csv and .json")
    return parser.parse_args()


def radius(text: str) -> float:
    value = float(text)
    if not 0.5 < value <= MIXED.max_radius:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0.5, where blur begins, up to {MIXED.max_radius:g}")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 2, for kernels of another picture are needed")
    return value


def size(text: str) -> int:
    value = int(text)
    if value < CELL or value % GRID:
        raise argparse.ArgumentTypeError(f"{text}: must be a multiple of {GRID} of at least {CELL}")
    return value


if __name__ == "__main__":
    main()
