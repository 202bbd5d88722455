"""`fdikp doctor`: the installed versions, the devices, and whether image formats and models work here."""

import json
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fdikp.cli import console
from fdikp.cli.model_options import Flag
from fdikp.extras import install_hint

if TYPE_CHECKING:
    import numpy as np

    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.models import ModelDescriptor

ESSENTIAL = ("jpeg", "png", "tiff")
"""Formats without which an installation counts as broken; the others depend on the build of libvips."""

SIDE, RUNS = 256, 3
"""Speed is the median over this many runs on a square image of this side, after a warm-up run."""

SMALL_SIDE = 64
"""Side of the image that each model is tried on."""


@dataclass(frozen=True)
class Options:
    """Check this installation: versions, devices, image formats and models.

    The Fourier transform of each device is inverted and compared with its
    input. An image is written and read back in each format; of a format that
    fdikp only reads, a sample is read. The file of each shipped model is
    compared with its released sha256, and a small image is deblurred with it.
    The exit code is 1 if a check fails. A format whose extra is not installed
    does not fail; the line says what to install.
    """

    # Also measure the speed of each model on an image of 256x256 pixels.
    speed: Flag = False

    # Print one JSON object instead of text.
    json: Flag = False


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    facts: dict[str, Any]
    ok: bool = True
    details: dict[str, Any] = field(default_factory=dict)
    """Printed one to a line below the facts."""

    def lines(self) -> list[str]:
        """The finding as text: one line, and one more for each detail."""
        facts = (f"{fact} {_words(value)}" for fact, value in self.facts.items())
        first = f"{'ok  ' if self.ok else 'FAIL'}  {self.name:18} {', '.join(facts)}"
        return [first, *(f"{'':25}{name:16} {_words(value)}" for name, value in self.details.items())]


def run(options: Options) -> int:
    """Check, report, and return the exit code."""
    findings = []
    for finding in _findings(options.speed):
        findings.append(finding)
        if not options.json:
            for line in finding.lines():
                console.result(line)
    failed = sum(not finding.ok for finding in findings)
    if options.json:
        checks = [{"check": finding.name, "ok": finding.ok, **finding.facts, **finding.details} for finding in findings]
        console.result(json.dumps({"ok": not failed, "checks": checks}))
    if failed:
        console.problem(f"{failed} of {len(findings)} checks failed")
    return 1 if failed else 0


def _findings(speed: bool) -> Iterator[Finding]:
    from fdikp.bench.machine import processor

    yield Finding("versions", _versions())
    yield Finding("system", {"os": platform.platform(), "processor": processor()})
    yield from _devices()
    yield from _formats()
    yield from _models(speed)


def _versions() -> dict[str, str]:
    from fdikp.imaging._vips import pyvips

    packages = ("fdikp", "torch", "numpy", "pyvips", "safetensors", "matplotlib", "tyro", "rich")
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    return {
        "python": platform.python_version(),
        **{name: _version(name) or "not installed" for name in packages},
        "libvips": libvips,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[Finding]:
    """A finding for each device that torch reports: its properties, and the error of its Fourier transform."""
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
                facts["native_kernels"] = native.library() is not None
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
    """The instruction set of the native kernels that run here."""
    from fdikp.network.ops import native

    return "none" if native.library() is None else native.isa()


def _formats() -> Iterator[Finding]:
    """A finding for each image format: a grey photo is written in it and read back; if fdikp does not write the format,
    a sample is read."""
    import numpy as np

    from fdikp.errors import PhotoError
    from fdikp.imaging import FORMATS, Photo, as_unit, encode_photo, read_photo
    from fdikp.imaging.formats import readable
    from fdikp.imaging.samples import sample

    grey = Photo(np.full((16, 24, 3), 128, np.uint8))
    for name, format in FORMATS.items():
        reads = writes = False
        facts: dict[str, Any] = {}
        if readable(name):
            try:
                data = encode_photo(grey, name) if format.writable else sample(name)
                writes = format.writable
                reads = bool(np.abs(as_unit(read_photo(data).pixels) - 0.5).max() < 0.02)
            except PhotoError as error:
                facts["error"] = str(error)
        else:
            facts["hint"] = install_hint(format.extra) if format.extra else "this build of libvips does not read it"
        # Whether libvips can encode AVIF and WebP depends on its build, and is known only by trying
        optional = not readable(name) or (format.writable and not writes)
        ok = (reads and writes == format.writable) or (optional and name not in ESSENTIAL)
        yield Finding(f"format {name}", {"read": reads, "write": writes, **facts}, ok)


def _models(speed: bool) -> Iterator[Finding]:
    """A finding for each shipped model: its descriptor, verified, and whether and how fast it runs on the default
    device."""
    import numpy as np

    from fdikp import models
    from fdikp.errors import FdikpError
    from fdikp.inference.load import load_model

    if not models.available():
        yield Finding("models", {"error": "no weights ship with this installation; reinstall fdikp"}, ok=False)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for name in models.available():
        try:
            descriptor = models.describe(name)
            deblur = load_model(name)
            deblur(image[:SMALL_SIDE, :SMALL_SIDE])
            facts = {
                "weights": "verified",
                "device": str(deblur.device),
                "precision": str(deblur.precision).removeprefix("torch."),
                **(_speed(deblur, image) if speed else {}),
            }
        except FdikpError as error:
            yield Finding(f"model {name}", {"error": str(error)}, ok=False)
            continue
        yield Finding(f"model {name}", facts, details=_details(descriptor))


def _speed(deblur: "Deblurrer", image: "np.ndarray") -> dict[str, Any]:
    """The time that a model takes for an image [SIDE, SIDE, 3]."""
    deblur(image)  # the first run compiles and allocates
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        deblur(image)
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    return {
        "size": f"{SIDE}x{SIDE}",
        "seconds": round(seconds, 4),
        "megapixels_per_second": round(SIDE * SIDE / 1e6 / seconds, 3),
    }


def _details(descriptor: "ModelDescriptor") -> dict[str, Any]:
    """The fields of a descriptor that a user may want to know."""
    return {
        "path": str(descriptor.path),
        "sha256": descriptor.sha256,
        "licence": descriptor.licence,
        "parameters": descriptor.parameters,
        "precisions": " ".join(descriptor.precisions),
        "default_tile": descriptor.default_tile,
        "min_tile": descriptor.min_tile,
        "size_multiple": descriptor.size_multiple,
        "tile_memory_mib": descriptor.working_memory(descriptor.default_tile) >> 20,
    }


def _words(value: Any) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) and value < 1e-2 else str(value)
