"""Wall time, overhead and peak memory of `fdikp deblur`, start to finish, on photos of given sizes.

    python benchmarks/footprint.py 1680x1120 12000x8334
    python benchmarks/footprint.py 600x400 --runs 9

Each photo is scikit-image's `coffee`, enlarged, as a JPEG. Memory is the peak resident size of the process. The command
runs as a user would type it, with model loading and writing. Overhead is the total minus the network's own time, which
is measured in turn in another process after a warm-up call; the cost of a first call therefore counts as overhead. The
table has the median of several runs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import pyvips
from skimage import data


def write_photo_of_size(path: Path, width: int, height: int) -> None:
    """Write the enlarged photo, row by row to bound the memory."""
    coffee = pyvips.Image.new_from_array(data.coffee())
    enlarged = coffee.resize(width / coffee.width, vscale=height / coffee.height, kernel="cubic")
    enlarged.crop(0, 0, width, height).copy(interpretation="srgb").jpegsave(str(path), Q=92)


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; returns its wall seconds, CPU seconds and peak resident memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def network_seconds(source: str, arguments: list[str]) -> float:
    """The network's time on a photo, called as by `fdikp deblur` with these arguments, after a warm-up call."""
    from fdikp.allocator import configure_malloc
    from fdikp.cli.deblur import Options
    from fdikp.cli.parsing import parse
    from fdikp.imaging import read_photo

    options = parse(Options, [source, *arguments], "fdikp deblur")
    configure_malloc()
    model = options.compute.load()
    photo = read_photo(source)
    corner = photo.pixels[: model.tile or None, : model.tile or None].copy()
    seconds = 0.0
    for pixels in (corner, photo.pixels):
        start = time.perf_counter()
        model(pixels, strength=options.strength)
        seconds = time.perf_counter() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=["600x400", "1680x1120"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--model", default="fdikp-lite")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--options", default="", help="further options of fdikp deblur, as one string")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("| size | start to finish | network | overhead | peak memory |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            width, height = (int(side) for side in size.split("x"))
            source = Path(folder) / f"{size}.jpg"
            write_photo_of_size(source, width, height)
            options = ["-o", folder + "/out", "--overwrite", "--model", arguments.model, *arguments.options.split()]
            runs = []
            for _ in range(arguments.runs):
                runs.append(measure([sys.executable, "-m", "fdikp", "deblur", str(source), *options]))
                # A fresh process, as memory of this one would be inherited by the command
                with ProcessPoolExecutor(1, get_context("spawn")) as other:
                    runs[-1]["network"] = other.submit(network_seconds, str(source), options).result()
                runs[-1]["overhead"] = runs[-1]["seconds"] - runs[-1]["network"]
            figures = {name: median(run[name] for run in runs) for name in runs[0]}
            rows.append({"size": size, **figures, "runs": runs})
            print(
                f"| {size} | {figures['seconds']:.2f} s | {figures['network']:.2f} s | {figures['overhead']:.2f} s "
                f"| {figures['peak_mib']:.0f} MiB |",
                flush=True,
            )
    if arguments.json:
        machine = {"platform": platform.platform(), "cpus": os.cpu_count(), "model": arguments.model}
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
