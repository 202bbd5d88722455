"""`fdikp doctor`: what is installed, what the devices can do, and whether the parts of fdikp work here."""

import json
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from fdikp.cli import console
from fdikp.cli.model_options import Flag

ESSENTIAL = ("jpeg", "png", "tiff")
"""Formats without which an installation counts as broken; others depend on how libvips was built."""

SIDE, RUNS = 256, 3
"""What speed is measured on: a square picture, so many times after one to warm up."""


@dataclass(frozen=True)
class Options:
    """Check this installation: versions, devices, image formats, weights and speed.

    Each device's Fourier transform is compared with what it should give,
    photographs are written and read back in each format, each shipped model's
    file is compared with the sha256 it was released with, and a small picture
    is deblurred. The exit code is 1 if any of this fails.
    """

    # Print one JSON object instead of lines.
    json: Flag = False


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    facts: dict[str, Any]
    ok: bool = True

    def line(self) -> str:
        """The finding in words."""
        facts = (f"{fact} {_words(value)}" for fact, value in self.facts.items())
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.name:18} {', '.join(facts)}"


def run(options: Options) -> int:
    """Check, report, and return the exit code."""
    findings = []
    for finding in _findings():
        findings.append(finding)
        if not options.json:
            console.result(finding.line())
    failed = sum(not finding.ok for finding in findings)
    if options.json:
        checks = [{"check": finding.name, "ok": finding.ok, **finding.facts} for finding in findings]
        console.result(json.dumps({"ok": not failed, "checks": checks}))
    if failed:
        console.problem(f"{failed} of {len(findings)} checks failed")
    return 1 if failed else 0


def _findings() -> Iterator[Finding]:
    from fdikp.inference.devices import processor

    yield Finding("versions", _versions())
    yield Finding("system", {"os": platform.platform(), "processor": processor()})
    yield from _devices()
    yield from _formats()
    yield from _models()


def _versions() -> dict[str, str]:
    from fdikp.imaging._vips import pyvips

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = ("fdikp", "torch", "numpy", "pyvips", "safetensors", "matplotlib", "tyro", "rich")
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    return {"python": platform.python_version(), **{name: of(name) for name in packages}, "libvips": libvips}


def _devices() -> Iterator[Finding]:
    """A finding for each device that torch sees: what it is, and the error of its Fourier transform."""
    import torch

    from fdikp.inference.devices import FFT_TOLERANCE, fft_error, has_bfloat16
    from fdikp.network.ops import native

    devices = [torch.device("cpu")]
    devices += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    devices += [torch.device("mps")] * torch.backends.mps.is_available()
    for device in devices:
        facts: dict[str, Any] = {}
        ok = False
        try:
            if device.type == "cpu":
                facts["threads"] = torch.get_num_threads()
                facts["compiled_passes"] = native.library() is not None
                facts["instructions"] = _instructions()
            if device.type == "cuda":
                properties = torch.cuda.get_device_properties(device)
                facts.update(name=properties.name, memory_gib=round(properties.total_memory / 2**30, 1))
            facts["bfloat16"] = has_bfloat16(device)
            facts["fft_error"] = fft_error(device)
            ok = facts["fft_error"] <= FFT_TOLERANCE
        except RuntimeError as error:
            facts["error"] = str(error).partition("\n")[0]
        yield Finding(f"device {device}", facts, ok)


def _instructions() -> str:
    """What compiled passes use of this processor beyond what every one has."""
    from fdikp.network.ops import native

    found = {"AVX-512": native.wide(), "bfloat16 products": native.products()}
    return " + ".join(name for name, there in found.items() if there) or "plain"


def _formats() -> Iterator[Finding]:
    """A finding for each image format: what fdikp writes is written and read back."""
    import numpy as np

    from fdikp.errors import PhotoError
    from fdikp.imaging import FORMATS, Photo, encode_photo, read_photo
    from fdikp.imaging._vips import has_operation

    grey = Photo(np.full((16, 24, 3), 128, np.uint8))
    for name, format in FORMATS.items():
        if format.writable:
            try:
                pixels = read_photo(encode_photo(grey, name)).pixels
                works = pixels.shape == grey.pixels.shape and abs(int(pixels[8, 12, 0]) - 128) <= 3
            except PhotoError:
                works = False
            yield Finding(f"format {name}", {"read": works, "write": works}, works or name not in ESSENTIAL)
        elif format.loader is None:
            yield Finding(f"format {name}", {"rawpy": find_spec("rawpy") is not None, "write": False})
        else:  # what its loader can decode depends on codecs that cannot be asked for
            yield Finding(f"format {name}", {"loader": has_operation(f"{format.loader}load_source"), "write": False})


def _models() -> Iterator[Finding]:
    """A finding for each shipped model: whether its weights are whole, and its speed on the default device."""
    import numpy as np

    from fdikp import load_model, models
    from fdikp.errors import FdikpError

    if not models.available():
        yield Finding("models", {"error": "no weights ship with this installation; reinstall fdikp"}, ok=False)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for name in models.available():
        try:
            model = load_model(name)
            model(picture)
            times = []
            for _ in range(RUNS):
                started = time.perf_counter()
                model(picture)
                times.append(time.perf_counter() - started)
        except FdikpError as error:
            yield Finding(f"model {name}", {"error": str(error)}, ok=False)
            continue
        seconds = statistics.median(times)
        yield Finding(
            f"model {name}",
            {
                "weights": "verified",
                "parameters": model.descriptor.parameters,
                "device": str(model.device),
                "precision": str(model.precision).removeprefix("torch."),
                "size": f"{SIDE}x{SIDE}",
                "seconds": round(seconds, 4),
                "megapixels_per_second": round(SIDE * SIDE / 1e6 / seconds, 3),
                "sha256": model.descriptor.sha256,
                "path": str(model.descriptor.path),
            },
        )


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) and value < 1e-2 else str(value)
