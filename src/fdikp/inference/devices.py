"""Where the network runs and in which precision."""

import platform
from pathlib import Path

import torch

from fdikp.errors import FdikpError
from fdikp.network.ops import native

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

FFT_TOLERANCE = 1e-4
"""Largest error of irfft2(rfft2(x)) for x in 0..1 that is rounding; a wrong transform is off by about 1."""


def choose_device(name: str = "auto") -> torch.device:
    """The device of the given name: `auto` (CUDA, else MPS, else CPU) or any that torch knows, checked to be there.

    Raises:
        FdikpError: no such device here, or its Fourier transform is wrong.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise FdikpError(f"device {name}: not usable here ({reason[:120]}); use --device auto or cpu") from None
    # MPS has shipped inverse transforms that were wrong; every result would be
    if device.type == "mps" and (off := fft_error(device)) > FFT_TOLERANCE:
        raise FdikpError(f"device {name}: its Fourier transform is off by {off:.2g}; update torch or use --device cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of the given name; `auto` is bfloat16 where the device computes in it, else float32.

    Raises:
        FdikpError: no precision of that name.
    """
    if name != "auto":
        if name not in PRECISIONS:
            raise FdikpError(f"precision {name}: not known; use auto, {', '.join(PRECISIONS)}")
        return PRECISIONS[name]
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16; elsewhere it is emulated, which is several times slower than float32.

    On a CPU, oneDNN has to be allowed to do so too (ONEDNN_MAX_CPU_ISA), and FDIKP_ISA must not be `avx2`.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(
            supported
            and supported()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()
            and native.isa_limit() == "avx512"
        )
    return False


def fft_error(device: torch.device) -> float:
    """The largest difference between irfft2(rfft2(x)) and x over sizes even, odd and prime, for x in 0..1."""
    worst = 0.0
    for height, width in ((64, 64), (48, 80), (37, 53)):
        x = torch.linspace(0, 1, height * width).mul(997).frac().reshape(1, 1, height, width).to(device)
        back = torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho"), s=(height, width), norm="ortho")
        worst = max(worst, (back - x).abs().max().item())
    return worst


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
