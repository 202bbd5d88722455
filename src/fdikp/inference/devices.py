"""Choose where the network runs, and in which precision."""

import torch

from fdikp.errors import ArgumentError
from fdikp.models.descriptor import PRECISIONS
from fdikp.network.ops import native

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in PRECISIONS}
"""The type of each precision."""

FFT_TOLERANCE = 1e-4
"""Largest error of irfft2(rfft2(x)), for x in 0..1, that counts as rounding. A wrong transform is off by about 1."""


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name: `auto` (CUDA, else MPS, else CPU), or any that torch knows. It is checked to work.

    Raises:
        ArgumentError: there is no such device here, or its Fourier transform is wrong.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:  # its message lists every kind of device that torch was ever built for
        raise ArgumentError(
            "there is no such device",
            argument="device",
            value=name,
            code="device_unusable",
            hint="use auto, cpu, cuda or mps",
        ) from None
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f"not usable here ({reason[:120]})",
            argument="device",
            value=name,
            code="device_unusable",
            hint="use auto or cpu",
        ) from None
    # Some versions of MPS have wrong inverse transforms, with which every result would be wrong
    if device.type == "mps" and (off := fft_error(device)) > FFT_TOLERANCE:
        raise ArgumentError(
            f"its Fourier transform is off by {off:.2g}",
            argument="device",
            value=name,
            code="device_unusable",
            hint="update torch or use cpu",
        )
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of this name; `auto` is bfloat16 where the device computes in it, else float32.

    Raises:
        ArgumentError: there is no precision of this name.
    """
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise ArgumentError(
            "not a known precision", argument="precision", value=name, hint=f"use auto, {', '.join(PRECISIONS)}"
        )
    return DTYPES[name]


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16. Elsewhere it is emulated, several times slower than float32.

    On a CPU this also needs oneDNN's permission (ONEDNN_MAX_CPU_ISA), and FDIKP_ISA must not be `avx2`.
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
    """The largest difference between irfft2(rfft2(x)) and x, for x in 0..1 and even, odd and prime sizes."""
    worst = 0.0
    for height, width in ((64, 64), (48, 80), (37, 53)):
        x = torch.linspace(0, 1, height * width).mul(997).frac().reshape(1, 1, height, width).to(device)
        inverse = torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho"), s=(height, width), norm="ortho")
        worst = max(worst, (inverse - x).abs().max().item())
    return worst
