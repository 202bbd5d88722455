"""Reference rates of the machine: a matrix product and a convolution in the same data type."""

import os
import platform
from pathlib import Path

import torch
import torch.nn.functional as F

from fdikp.bench.timing import Call

CHANNELS = 64
"""Channels of the reference convolution: those of the paper's network."""

SIDE = 512
"""Side of its feature map, pixels."""


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Call, float]:
    """A large matrix product, and its billions of operations."""
    side = 2048 if device.type == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, 2 * side**3 / 1e9


def convolution(device: torch.device, dtype: torch.dtype) -> tuple[Call, float]:
    """A 3×3 convolution from 64 to 64 channels, channels-last, and its billions of operations."""
    side = SIDE if device.type == "cpu" else 2 * SIDE
    x = torch.randn(1, CHANNELS, side, side, device=device).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, device=device).to(dtype, memory_format=torch.channels_last)

    def call() -> object:
        with torch.inference_mode():
            return F.conv2d(x, weight, padding=1)

    return call, 2 * 9 * CHANNELS**2 * side**2 / 1e9


def describe(device: torch.device) -> str:
    """The name of the processor or GPU, with cores and threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor()}, {cores} cores, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
