"""Do ONNX Runtime or OpenVINO run the network faster than torch on this CPU?

    pip install onnx onnxruntime openvino
    python research/backends.py fdikp-lite --calibrate RENDERED --pairs LYTRO
    python research/backends.py fdikp-base

Each runs the encoder-decoder (DSRM), which has nearly all operations, as one model of fixed size for each of the three
scales; the rest, such as position adaptive convolution, stays in torch. Int8 is static quantisation of the
convolutions, with ranges from the images of `--calibrate` (pairs from `fdikp render`). All backends restore the same
image of 512×512 in turn. `--pairs` (source and target) adds the gain of each on the central 512×512.

A network without weights is measured with random initialisation and a recurrent unit that is not zero: its times are
valid, its PSNR says nothing about trained weights.
"""

import argparse
import copy
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from skimage import data
from torch import Tensor, nn

from fdikp import models
from fdikp.allocator import configure_malloc
from fdikp.bench.machine import describe
from fdikp.bench.timing import in_turn, ratio
from fdikp.data.pairs import find_pairs
from fdikp.data.readers import read_unit
from fdikp.evaluation.cost import PeakMemory
from fdikp.evaluation.tables import grid
from fdikp.network import FDIKP, PRESETS, SCALES
from fdikp.network.dsrm import DSRM, RecurrentState
from fdikp.network.dual_domain import FrequencyBlock
from fdikp.network.fdikp import pad

SIDE = 512
CPU = torch.device("cpu")
TORCH32, TORCH16 = "torch float32", "torch bfloat16"
FLOAT = ("onnxruntime float32", "openvino float32", "openvino bfloat16")
INT8 = ("onnxruntime int8", "openvino int8, rest bfloat16")

Run = Callable[[list[np.ndarray]], list[np.ndarray]]
"""From a stage's input, and hidden and cell state if there are any, to coefficients, hidden and cell state."""


class Elsewhere(nn.Module):
    """A DSRM that something else computes."""

    def __init__(self, runs: dict[int, Run]) -> None:
        super().__init__()
        self.runs = runs

    def forward(self, x: Tensor, memory: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        given = [t.float().contiguous().numpy() for t in (x, *(memory or ()))]
        coefficients, hidden, cell = (torch.from_numpy(out) for out in self.runs[x.shape[-1]](given))
        return coefficients, RecurrentState(hidden, cell)


class Exported(nn.Module):
    """A DSRM whose arguments and results are tensors only, and whose Fourier transforms are matrix products."""

    def __init__(self, dsrm: DSRM) -> None:
        super().__init__()
        self.dsrm = copy.deepcopy(dsrm)
        for module in self.dsrm.modules():
            if isinstance(module, FrequencyBlock):
                module.frequency_branch = lambda x, block=module: by_products(block, x)  # type: ignore[method-assign]

    def forward(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        coefficients, (hidden, cell) = self.dsrm(x, RecurrentState(*memory) if memory else None)
        return coefficients, hidden, cell


def by_products(block: FrequencyBlock, x: Tensor) -> Tensor:
    """`FrequencyBlock.frequency_branch` with constant matrices: no runtime has to know a Fourier transform."""
    H, W = (int(side) for side in x.shape[-2:])
    half = W // 2 + 1
    (cos_h, sin_h), (cos_w, sin_w) = fourier(H), fourier(W)
    real, imaginary = (x @ torch.cat((cos_w[:, :half], sin_w[:, :half]), dim=1)).chunk(2, dim=-1)
    f = torch.cat((cos_h @ real - sin_h @ imaginary, cos_h @ imaginary + sin_h @ real), dim=1)
    real, imaginary = block.spectral(f).chunk(2, dim=1)
    real, imaginary = cos_h @ real + sin_h @ imaginary, cos_h @ imaginary - sin_h @ real
    # Each column of the half plane stands for two of the whole one, but for the first and, widths being even, the last
    twice = torch.full((half, 1), 2.0)
    twice[0] = twice[-1] = 1.0
    return torch.cat((real, imaginary), dim=-1) @ torch.cat((twice * cos_w[:half], twice * sin_w[:half]))


def fourier(n: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the orthonormal Fourier matrix."""
    steps = torch.arange(n)
    angle = -2 * torch.pi * (torch.outer(steps, steps) % n).double() / n
    return (angle.cos() / n**0.5).float(), (angle.sin() / n**0.5).float()


def build(name: str) -> FDIKP:
    """A model that ships, or one of `PRESETS` untrained."""
    if name in models.available():
        return models.load(name)[0]
    torch.manual_seed(0)
    network = FDIKP(PRESETS[name]).eval().requires_grad_(False)
    gates = network.dsrm.apu.gates
    nn.init.normal_(gates.weight[-network.dsrm.apu.maps :], std=0.0007)
    return network


def export(network: FDIKP, folder: Path, pictures: list[Tensor]) -> None:
    """Write the encoder-decoder of each scale as ONNX, and in int8 if there are pictures to calibrate with."""
    seen = list(inputs(network, pictures or [picture()]))
    for number, scale in enumerate(SCALES):
        feeds = [given[number] for given in seen]
        raw, whole, small = (folder / f"{SIDE // scale}{suffix}.onnx" for suffix in ("-raw", "", "-int8"))
        names = ["x", "hidden", "cell"][: len(feeds[0])]
        example = tuple(torch.from_numpy(a) for a in feeds[0])
        with torch.enable_grad():  # without gradients the network may take compiled passes, which are not traced
            torch.onnx.export(Exported(network.dsrm), example, raw, input_names=names, opset_version=18, dynamo=False)
        quant_pre_process(str(raw), str(whole), skip_symbolic_shape=True)
        if not pictures:
            continue
        settings = {"quant_format": QuantFormat.QDQ, "per_channel": True, "op_types_to_quantize": ["Conv"]}
        types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(str(whole), str(small), Feeds(names, feeds), **settings, **types)


class Feeds(CalibrationDataReader):
    """What a model is calibrated with, one set of inputs after another."""

    def __init__(self, names: list[str], feeds: list[list[np.ndarray]]) -> None:
        self.left = (dict(zip(names, feed, strict=True)) for feed in feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


@torch.inference_mode()
def inputs(network: FDIKP, pictures: list[Tensor]) -> Iterator[list[list[np.ndarray]]]:
    """What the encoder-decoder is given at each scale, picture by picture."""
    listening = copy.deepcopy(network)
    given: list[list[np.ndarray]] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, RecurrentState | None]) -> None:
        x, memory = arguments
        given.append([t.contiguous().numpy().copy() for t in (x, *(memory or ()))])

    listening.dsrm.register_forward_pre_hook(keep)
    for x in pictures:
        given.clear()
        listening(x)
        yield list(given)


def onnxruntime_run(file: Path) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Its threads must not spin while others run
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda arrays: session.run(None, dict(zip(names, arrays, strict=True)))


def openvino_run(file: Path, precision: str) -> Run:
    # Pinning threads to cores, the default, slows down torch
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        found = request.infer(arrays, share_inputs=True)
        return [found[number] for number in range(3)]

    return run


def load(way: str, network: FDIKP, folder: Path) -> FDIKP:
    """The network, computed as `way` says."""
    made = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if way == TORCH32:
        return made
    suffix = "-int8" if "int8" in way else ""
    files = {SIDE // scale: folder / f"{SIDE // scale}{suffix}.onnx" for scale in SCALES}
    if way.startswith("onnxruntime"):
        made.dsrm = Elsewhere({side: onnxruntime_run(file) for side, file in files.items()})
    elif way.startswith("openvino"):
        precision = "f32" if "float32" in way else "bf16"
        made.dsrm = Elsewhere({side: openvino_run(file, precision) for side, file in files.items()})
    return made if "float32" in way else made.bfloat16()


def footprint(way: str, name: str, folder: Path) -> float | None:
    """Peak memory, MiB, of a process that restores one picture in this way and does nothing else."""
    configure_malloc()
    memory = PeakMemory(CPU)
    with torch.inference_mode():
        load(way, build(name), folder)(picture())
    return memory.mib()


def picture() -> Tensor:
    return tensor(data.astronaut() / np.float32(255))


def tensor(pixels: np.ndarray) -> Tensor:
    """[H, W, 3] to the middle of it, [1, 3, SIDE, SIDE], mirrored below and to the right where it is smaller."""
    y, x = (max(0, side - SIDE) // 2 for side in pixels.shape[:2])
    return pad(torch.from_numpy(pixels[y : y + SIDE, x : x + SIDE]).permute(2, 0, 1).unsqueeze(0), SIDE, SIDE)


def pairs(folder: Path) -> list[tuple[Tensor, Tensor]]:
    found = find_pairs(folder)
    if found is None:
        raise SystemExit(f"{folder}: no pairs in it; give a folder with source/ and target/")
    return [(tensor(read_unit(pair.source)), tensor(read_unit(pair.target))) for pair in found.pairs]


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


def quality(network: FDIKP, exact: FDIKP, measured: list[tuple[Tensor, Tensor]]) -> tuple[str, str]:
    """The least PSNR to what float32 makes of a picture, and the mean gain against the truth."""
    shown = picture()
    least, gains = psnr(network(shown), exact(shown)), []
    for x, y in measured:
        found = network(x)
        least = min(least, psnr(found, exact(x)))
        gains.append(psnr(found.clamp(0, 1), y) - psnr(x, y))
    return ("" if network is exact else f"{least:.1f}", f"{np.mean(gains):+.3f}" if gains else "")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted({*PRESETS, *models.available()}))
    parser.add_argument("--calibrate", type=Path, help="pairs whose sources int8 is calibrated with")
    parser.add_argument("--pairs", type=Path, help="pairs to tell what each way gains, in PSNR")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    configure_malloc()
    network, x = build(options.model), picture()
    ways = [TORCH16, TORCH32, *FLOAT, *(INT8 if options.calibrate else ())]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export(network, folder, [source for source, _ in pairs(options.calibrate)] if options.calibrate else [])
        networks, loading = {}, {}
        for way in ways:
            begun = time.perf_counter()
            networks[way] = load(way, network, folder)
            loading[way] = time.perf_counter() - begun
        exact = networks[TORCH32]
        times = in_turn({way: lambda n=n: n(x) for way, n in networks.items()}, options.runs)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            peaks = list(pool.map(partial(footprint, name=options.model, folder=folder), ways))
    measured = pairs(options.pairs) if options.pairs else []
    rows = []
    for (way, made), peak in zip(networks.items(), peaks, strict=True):
        faster = ratio(times[TORCH16], times[way])
        (low, high), (least, most) = times[way].spread, faster.spread
        took = f"{times[way].median:.3f} ({low:.3f} to {high:.3f})"
        rate = f"×{faster.median:.2f} ({least:.2f} to {most:.2f})"
        memory = "" if peak is None else f"{peak:.0f}"
        rows.append((way, took, rate, *quality(made, exact, measured), f"{loading[way]:.1f}", memory))
    head = ("encoder-decoder by", "seconds (quartiles)", "speed of torch bfloat16", "least PSNR to float32, dB")
    print(f"{options.model}, one picture of {SIDE}×{SIDE}; float32 changes it by {psnr(exact(x), x):.1f} dB PSNR\n")
    print(grid((*head, "gain on pairs, dB", "loading, s", "peak MiB"), rows))
    found = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "openvino"))
    print(f"\n{describe(CPU)}; {found}, Python {platform.python_version()}; median of {options.runs} rounds in turn")


if __name__ == "__main__":
    main()
