"""Does the kernel path do what the paper says? Its predictions against the true blur, and the loss without it.

    python benchmarks/kernel_path.py --weights fdikp-lite --data FOLDER

Crops of sharp photos are rendered through known apertures: scenes with varying blur radius, and the same crops with one
radius everywhere. The benchmark measures the correlation of the dilation map with the true radius, how close the
inverse kernels are to inverses of the true blur, and the PSNR when a part of the path is replaced: kernels of another
image, the average kernels, identity kernels, a constant dilation, the candidates of one stage alone.
docs/kernel-path.md describes the method.

Prints Markdown tables with mean ± standard deviation over images. With --output it also writes kernel_path.md, .csv (a
line for each mean) and .json (with the values of each image). Float32 on the CPU, whole crops.
"""

import argparse
import platform
import shlex
import sys
import time
from pathlib import Path

import torch

import fdikp
from fdikp import models
from fdikp.data import find_images, read_image
from fdikp.data.faults import map_all
from fdikp.errors import FdikpError
from fdikp.files import atomic_write
from fdikp.network import SIZE_MULTIPLE
from fdikp.paper.kernel_path import as_csv, as_json, crops, markdown, measure
from fdikp.paper.kernel_path.known_blur import MIXED
from fdikp.paper.kernel_path.response import SPACING

RADII = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)


def main() -> None:
    options = parse()
    started = time.perf_counter()
    try:
        network, about = models.load(options.weights)
        files = [file for folder in options.data for file in find_images(folder)][: options.images]
        if len(files) < 2:
            raise FdikpError(f"{files[0]}: the only image; give a folder with at least two")
        sharp = crops(map_all(read_image, files), options.size)
        measurements = measure(network, sharp, options.radii, lambda what: print(what, file=sys.stderr))
    except FdikpError as error:
        sys.exit(f"kernel_path: {error}")
    facts = {
        "weights": about.name,
        "sha256": about.sha256,
        "images": f"{len(sharp)} of {' '.join(map(str, options.data))}, crops of {options.size} px from the centre",
        "command": shlex.join(["python", "benchmarks/kernel_path.py", *sys.argv[1:]]),
        "versions": f"fdikp {fdikp.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        "precision": "float32, CPU",
    }
    table = "\n".join([markdown(measurements), *(f"- {name}: {value}" for name, value in facts.items())]) + "\n"
    print(table, end="")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        for suffix, text in (("md", table), ("csv", as_csv(measurements)), ("json", as_json(measurements, facts))):
            with atomic_write(options.output / f"kernel_path.{suffix}") as file:
                file.write(text.encode())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=models.DEFAULT, help="a shipped model, or a .safetensors file")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photos")
    parser.add_argument("--images", type=count, help="use at most this many, the first by path")
    parser.add_argument("--size", type=size, default=256, help="side of the crops, pixels")
    parser.add_argument("--radii", type=radius, nargs="+", default=RADII, help="blur radii of the uniform sets, pixels")
    parser.add_argument("-o", "--output", type=Path, help="folder for kernel_path.md, .csv and .json")
    return parser.parse_args()


def radius(text: str) -> float:
    value = float(text)
    if not 0.5 < value <= MIXED.max_radius:
        raise argparse.ArgumentTypeError(
            f"{text}: must be above 0.5, where blur begins, and at most {MIXED.max_radius:g}"
        )
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 2, because kernels of another image are needed")
    return value


def size(text: str) -> int:
    value = int(text)
    if value < SPACING or value % SIZE_MULTIPLE:
        raise argparse.ArgumentTypeError(f"{text}: must be a multiple of {SIZE_MULTIPLE} and at least {SPACING}")
    return value


if __name__ == "__main__":
    main()
