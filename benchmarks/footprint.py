"""Wall time and peak memory of `fdikp deblur`, start to finish, on photographs of given sizes.

    python benchmarks/footprint.py 1680x1120 12000x8334

Each photograph is scikit-image's `coffee`, enlarged, as a JPEG. Memory is the operating system's peak resident size of
the process. The command runs as a user would type it, model loading and writing included.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyvips
from skimage import data


def photograph(path: Path, width: int, height: int) -> None:
    """Write the enlarged photograph, in memory bounded by its rows."""
    coffee = pyvips.Image.new_from_array(data.coffee())
    enlarged = coffee.resize(width / coffee.width, vscale=height / coffee.height, kernel="cubic")
    enlarged.crop(0, 0, width, height).copy(interpretation="srgb").jpegsave(str(path), Q=92)


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; its wall seconds, CPU seconds and peak resident memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=["600x400", "1680x1120"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--model", default="fdikp-lite")
    parser.add_argument("--options", default="", help="further options of fdikp deblur, in one string")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            width, height = (int(side) for side in size.split("x"))
            source = Path(folder) / f"{size}.jpg"
            photograph(source, width, height)
            command = [sys.executable, "-m", "fdikp", "deblur", str(source), "-o", folder + "/out", "--overwrite"]
            rows.append({"size": size, **measure([*command, "--model", arguments.model, *arguments.options.split()])})
            figures = rows[-1]
            print(f"| {size} | {figures['seconds']:.1f} s | {figures['peak_mib']:.0f} MiB |", flush=True)
    if arguments.json:
        machine = {"platform": platform.platform(), "cpus": os.cpu_count(), "model": arguments.model}
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
