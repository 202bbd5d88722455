"""What each native kernel takes, and the check of the arguments before a launch.

C accepts any pointer: it would read and write outside an array that is too short, of another type or of another layout.
Each entry names the arguments in their order, without the kernel's own last two, the range of items of one call.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

ISAS = ("avx512", "avx2", "generic")
"""Instruction sets that the kernels are compiled for, best first; the suffixes of their functions."""


@dataclass(frozen=True)
class Array:
    """A contiguous tensor on the CPU.

    Args:
        size: its number of elements, from the integer arguments by name and `items`.
        optional: whether None is allowed.
        either: whether it is bfloat16 where the argument `is_bfloat16` is 1; else it is float32.
    """

    size: Callable[[Any], int]
    optional: bool = False
    either: bool = False


Argument = Array | type[int] | type[float]
Signature = Mapping[str, Argument]


def _images(n: Any) -> int:
    """Images of a Winograd convolution, whose items are tiles of 2×2 pixels."""
    return int(n.items // (-(-n.H // 2) * -(-n.W // 2)))


SIGNATURES: dict[str, Signature] = {
    # items: rows of all images; an image is pixels of four floats
    "fdikp_pac_forward": {
        "x": Array(lambda n: n.items * n.W * 4),
        "kernels": Array(lambda n: n.items // n.H * n.K**2 * n.N),
        "dilation": Array(lambda n: n.items * n.W),
        "out": Array(lambda n: n.items * n.W * n.N * 3),
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    "fdikp_pac_residuals": {
        "x": Array(lambda n: n.items * n.W * 4),
        "kernels": Array(lambda n: n.items // n.H * n.K**2 * n.N),
        "dilation": Array(lambda n: n.items * n.W),
        "base": Array(lambda n: n.items * n.W * 4),
        "out": Array(lambda n: n.items * n.W * (n.N + 1) * 3, either=True),
        "is_bfloat16": int,
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    # items: images
    "fdikp_pac_backward": {
        "x": Array(lambda n: n.items * n.H * n.W * 4),
        "kernels": Array(lambda n: n.items * n.K**2 * n.N),
        "dilation": Array(lambda n: n.items * n.H * n.W),
        "grad_out": Array(lambda n: n.items * n.H * n.W * n.N * 3),
        "grad_x": Array(lambda n: n.items * n.H * n.W * 4, optional=True),
        "grad_kernels": Array(lambda n: n.items * n.K**2 * n.N),
        "grad_dilation": Array(lambda n: n.items * n.H * n.W),
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    # items: planes; complex numbers are pairs of floats
    "fdikp_log_amplitude_and_phase": {
        "f": Array(lambda n: n.items * n.H * n.W * 2),
        "amplitude": Array(lambda n: n.items * n.H * n.W),
        "phase": Array(lambda n: n.items * n.H * n.W),
        "noise_floor": float,
        "H": int,
        "W": int,
    },
    # items: rows of all images
    "fdikp_band_energy": {
        "x": Array(lambda n: n.items * n.W * 3),
        "out": Array(lambda n: n.items * n.W * 3),
        "scale": float,
        "H": int,
        "W": int,
    },
    # items: pixels
    "fdikp_lstm_cell": {
        "gates": Array(lambda n: n.items * 4 * n.maps, either=True),
        "old_cell": Array(lambda n: n.items * n.maps, either=True),
        "hidden": Array(lambda n: n.items * n.maps, either=True),
        "cell": Array(lambda n: n.items * n.maps, either=True),
        "maps": int,
        "is_bfloat16": int,
    },
    # items: rows of all images, of an even number of pixels
    "fdikp_coefficient_maps": {
        "spatial": Array(lambda n: n.items * n.W * n.maps, either=True),
        "hidden": Array(lambda n: n.items // 2 * (n.W // 2) * n.maps, either=True),
        "scale": Array(lambda n: n.maps),
        "shift": Array(lambda n: n.maps),
        "out": Array(lambda n: n.items * n.W * n.maps, either=True),
        "maps": int,
        "W": int,
        "is_bfloat16": int,
    },
    # items: pixels of one image
    "fdikp_blend": {
        "first_residuals": Array(lambda n: n.pixels * n.candidates * 3, either=True),
        "second_residuals": Array(lambda n: n.pixels * n.candidates * 3, either=True),
        "coefficients": Array(lambda n: n.pixels * 2 * n.candidates, either=True),
        "weights": Array(lambda n: 2 * n.candidates * 3 * 4),
        "bias": Array(lambda n: 3),
        "base": Array(lambda n: n.pixels * 3),
        "out": Array(lambda n: n.pixels * 3),
        "candidates": int,
        "is_bfloat16": int,
        "pixels": int,
    },
    # items: tiles of 2×2 pixels of all images
    "fdikp_winograd": {
        "x": Array(lambda n: _images(n) * n.H * n.W * n.inputs),
        "weights": Array(lambda n: 16 * n.inputs * n.outputs),
        "bias": Array(lambda n: n.outputs),
        "skip": Array(lambda n: _images(n) * n.H * n.W * n.outputs, optional=True),
        "slope": float,
        "out": Array(lambda n: _images(n) * n.H * n.W * n.outputs),
        "H": int,
        "W": int,
        "inputs": int,
        "outputs": int,
    },
}
"""The arguments of every kernel, by name, in their order."""


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give ctypes the argument types of every function in the library."""
    for name, signature in SIGNATURES.items():
        for isa in ISAS:
            try:
                function = getattr(library, f"{name}_{isa}")
            except AttributeError:  # another family of processors
                continue
            function.argtypes = [*(_ctype(argument) for argument in signature.values()), ctypes.c_int, ctypes.c_int]
            function.restype = None
    return library


def _ctype(argument: Argument) -> Any:
    if isinstance(argument, Array):
        return ctypes.c_void_p
    return ctypes.c_float if argument is float else ctypes.c_int


def checked(name: str, arguments: Sequence[Tensor | int | float | None], items: int) -> list[int | float | None]:
    """The arguments as ctypes takes them, pointers and numbers, each checked against the signature.

    Args:
        name: of the kernel.
        arguments: in their order.
        items: how many items all calls together compute.

    Raises:
        TypeError: too few or too many arguments, or one of another kind; an int for a float argument counts as such.
        ValueError: a tensor has another dtype, device, layout or size than the kernel reads and writes.
    """
    signature = SIGNATURES[name]
    if len(arguments) != len(signature):
        raise TypeError(f"{name}: takes {len(signature)} arguments, not {len(arguments)}")
    named = dict(zip(signature, arguments, strict=True))
    for key, kind in signature.items():
        if not isinstance(kind, Array) and type(named[key]) is not kind:
            raise TypeError(f"{name}: {key} must be of type {kind.__name__}, not {type(named[key]).__name__}")
    numbers = SimpleNamespace(items=items, **{key: value for key, value in named.items() if type(value) is int})
    if min(vars(numbers).values()) < 0:
        raise ValueError(f"{name}: a size is negative: {vars(numbers)}")
    values: list[int | float | None] = []
    for key, kind in signature.items():
        value = named[key]
        if isinstance(kind, Array):
            problem = _problem(kind, value, numbers)
            if problem:
                raise (ValueError if isinstance(value, Tensor) else TypeError)(f"{name}: {key} {problem}")
            values.append(value.data_ptr() if isinstance(value, Tensor) else None)
        else:
            assert isinstance(value, int | float)
            values.append(value)
    return values


def _problem(array: Array, value: object, numbers: Any) -> str | None:
    """What is wrong with the value of an array argument, or None."""
    if value is None:
        return None if array.optional else "must be a tensor, not None"
    if type(value) not in (Tensor, torch.nn.Parameter):
        return f"must be a tensor, not {type(value).__name__}"
    assert isinstance(value, Tensor)
    dtype = torch.bfloat16 if array.either and numbers.is_bfloat16 else torch.float32
    size = array.size(numbers)
    if value.device.type != "cpu":
        return f"must be on the CPU, not on {value.device}"
    if value.dtype != dtype:
        return f"must be of {dtype}, not {value.dtype}"
    if not value.is_contiguous():
        return "must be contiguous"
    return None if value.numel() == size else f"must have {size} elements, not {value.numel()}"
