"""Models at several sizes and precisions, timed in turn with the machine's reference rates."""

import importlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

import fdikp
from fdikp.bench.machine import convolution, describe, matrix_product
from fdikp.bench.timing import Call, Times, in_turn, ratio
from fdikp.errors import FdikpError
from fdikp.evaluation.cost import PeakMemory, counter, gflop
from fdikp.inference.deblurrer import Deblurrer
from fdikp.inference.devices import DTYPES

PRODUCT, CONVOLUTION = "a matrix product", "a convolution"
"""Names of the reference calls."""


@dataclass(frozen=True)
class Subject:
    """A model or network to time."""

    name: str
    restore: Callable[[torch.Tensor], object]
    """Takes [3, H, W] float32 in 0..1 on the CPU for our models, [1, 3, H, W] on the device for others."""
    foreign: bool
    """Whether it is a network of others."""
    gflop: Callable[[int, int], float | None]
    """Billions of operations for an image of this height and width."""


@dataclass(frozen=True)
class Line:
    """One model at one size in one precision."""

    model: str
    precision: str
    width: int
    height: int
    seconds: Times
    gflop: float | None
    relative_rate: float | None
    """Operations per second relative to the reference convolution in the same rounds."""
    peak_mib: float | None
    relative_time: Times | None
    """Time relative to the first model, round by round; None for the first."""


@dataclass(frozen=True)
class Rate:
    """Reference rates of the machine in one precision, billions of operations per second."""

    precision: str
    matrix_product: float
    convolution: float


@dataclass(frozen=True)
class Benchmark:
    """All measurements of a run."""

    lines: tuple[Line, ...]
    rates: tuple[Rate, ...]
    about: dict[str, str]

    def to_json(self) -> str:
        """The benchmark as a JSON document."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def own_model(model: Deblurrer) -> Subject:
    """One of our models, with the tiles and transfers of normal use."""
    return Subject(model.name, model.predict, False, lambda height, width: gflop(model.config, height, width))


def foreign_network(text: str, device: torch.device, dtype: torch.dtype) -> Subject:
    """Any importable network, from `package.module:factory`.

    factory() returns an `nn.Module` that takes [1, 3, H, W] in 0..1.

    Raises:
        FdikpError: the factory cannot be imported, fails, or returns something else.
    """
    name, colon, factory = text.partition(":")
    try:
        if not (name and colon and factory):
            raise ValueError("must be package.module:factory")
        network = getattr(importlib.import_module(name), factory)()
        if not isinstance(network, nn.Module):
            raise TypeError(f"{factory}() returned {type(network).__name__}, not an nn.Module")
    except Exception as error:  # a foreign module may raise anything
        raise FdikpError(f"{text}: {str(error).partition(chr(10))[0]}") from error
    network = network.eval().to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def restore(x: torch.Tensor) -> object:
        return network(x)

    def operations(height: int, width: int) -> float:
        x = torch.rand(1, 3, height, width, device=device).to(dtype, memory_format=torch.channels_last)
        with torch.inference_mode(), counter() as counted:
            network(x)
        return counted.get_total_flops() / 1e9

    return Subject(text, restore, True, operations)


def measure(
    subjects: Callable[[str], Sequence[Subject]],
    sizes: Sequence[tuple[int, int]],
    precisions: Sequence[str],
    device: torch.device,
    runs: int,
    progress: Callable[[str], None] = lambda line: None,
) -> Benchmark:
    """Time every model at every size (width, height) in every precision.

    Args:
        subjects: returns the models for a precision; the others are compared with the first.
        sizes: of the images, pixels.
        precisions: names in `fdikp.models.descriptor.PRECISIONS`.
        device: where to compute.
        runs: rounds that count, after one to warm up.
        progress: called with a description of the next measurement.
    """
    lines: list[Line] = []
    rates: list[Rate] = []
    for precision in precisions:
        dtype = DTYPES[precision]
        models = subjects(precision)
        product, product_gflop = matrix_product(device, dtype)
        conv, conv_gflop = convolution(device, dtype)
        reached: list[tuple[float, float]] = []
        for width, height in sizes:
            progress(f"{precision}, {width}x{height}")
            calls = {subject.name: _call(subject, width, height, device, dtype) for subject in models}
            times = in_turn(calls | {PRODUCT: product, CONVOLUTION: conv}, runs, device=device)
            rate = conv_gflop / times[CONVOLUTION].median
            reached.append((product_gflop / times[PRODUCT].median, rate))
            lines += _lines(models, times, calls, precision, (width, height), rate, device)
        best = [max(column) for column in zip(*reached, strict=True)]
        rates.append(Rate(precision, *best))
    return Benchmark(tuple(lines), tuple(rates), _about(device, runs))


def _call(subject: Subject, width: int, height: int, device: torch.device, dtype: torch.dtype) -> Call:
    x = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    if subject.foreign:
        x = x[None].to(device=device, dtype=dtype, memory_format=torch.channels_last)
    return lambda: subject.restore(x)


def _lines(
    models: Sequence[Subject],
    times: dict[str, Times],
    calls: dict[str, Call],
    precision: str,
    size: tuple[int, int],
    rate: float,
    device: torch.device,
) -> Iterator[Line]:
    width, height = size
    for number, subject in enumerate(models):
        memory = PeakMemory(device)
        calls[subject.name]()
        operations = subject.gflop(height, width)
        taken = times[subject.name]
        yield Line(
            subject.name,
            precision,
            width,
            height,
            taken,
            operations,
            operations / taken.median / rate if operations else None,
            memory.mib(),
            ratio(taken, times[models[0].name]) if number else None,
        )


def _about(device: torch.device, runs: int) -> dict[str, str]:
    versions: dict[str, Any] = {"fdikp": fdikp.__version__, "torch": torch.__version__}
    return {
        "machine": describe(device),
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items()) + f", Python {platform.python_version()}",
        "how": f"median of {runs} rounds after one to warm up; in each round every call once, in turn; "
        "one image at a time, including tiles and transfers for our models",
        "operations": "of the whole image at once, without the overlap of tiles; a multiply-add counts as two",
    }
