"""What each function of the compiled library takes, and the check of it before a call.

C takes any pointer: an array that is too short, of another type or laid out otherwise would be read and written beyond
its end. Each entry names its arguments in their order; the library's own last two, the stretch of items that a call is
for, are left out.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

FLOAT, HALF = (torch.float32,), (torch.bfloat16,)


@dataclass(frozen=True)
class Array:
    """A tensor on the CPU.

    Args:
        dtypes: that it may have; None: bfloat16 where the argument `half` is 1, else float32.
        size: its elements, from the integer arguments by name and `items`.
        optional: whether None is allowed.
        strided: whether it may be a part of a larger tensor that reaches as far as `size` says; else it is contiguous
            and has exactly that many elements.
    """

    dtypes: tuple[torch.dtype, ...] | None
    size: Callable[[Any], int]
    optional: bool = False
    strided: bool = False


Argument = Array | type[int] | type[float]
Signature = Mapping[str, Argument]


def _images(n: Any) -> int:
    """Images of a Winograd convolution, whose items are tiles of 2×2 pixels."""
    return int(n.items // (-(-n.H // 2) * -(-n.W // 2)))


def _winograd(dtypes: tuple[torch.dtype, ...]) -> Signature:
    return {
        "x": Array(dtypes, lambda n: _images(n) * n.H * n.W * n.channels),
        "weights": Array(dtypes, lambda n: 16 * n.channels * n.outputs),
        "bias": Array(FLOAT, lambda n: n.outputs),
        "skip": Array(dtypes, lambda n: _images(n) * n.H * n.W * n.outputs, optional=True),
        "slope": float,
        "out": Array(dtypes, lambda n: _images(n) * n.H * n.W * n.outputs),
        "H": int,
        "W": int,
        "channels": int,
        "outputs": int,
    }


SIGNATURES: dict[str, Signature] = {
    # items: rows of all images; an image is pixels of four floats
    "fdikp_pac_forward": {
        "x": Array(FLOAT, lambda n: n.items * n.W * 4),
        "kernels": Array(FLOAT, lambda n: n.items // n.H * n.K**2 * n.N),
        "dilation": Array(FLOAT, lambda n: n.items * n.W),
        "out": Array(FLOAT, lambda n: n.items * n.W * n.N * 3),
        "wide": int,
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    "fdikp_pac_changes": {
        "x": Array(FLOAT, lambda n: n.items * n.W * 4),
        "kernels": Array(FLOAT, lambda n: n.items // n.H * n.K**2 * n.N),
        "dilation": Array(FLOAT, lambda n: n.items * n.W),
        "begin": Array(FLOAT, lambda n: n.items * n.W * 4),
        "out": Array(None, lambda n: n.items * n.W * (n.N + 1) * 3),
        "half": int,
        "wide": int,
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    # items: images
    "fdikp_pac_backward": {
        "x": Array(FLOAT, lambda n: n.items * n.H * n.W * 4),
        "kernels": Array(FLOAT, lambda n: n.items * n.K**2 * n.N),
        "dilation": Array(FLOAT, lambda n: n.items * n.H * n.W),
        "gradient": Array(FLOAT, lambda n: n.items * n.H * n.W * n.N * 3),
        "to_x": Array(FLOAT, lambda n: n.items * n.H * n.W * 4, optional=True),
        "to_kernels": Array(FLOAT, lambda n: n.items * n.K**2 * n.N),
        "to_dilation": Array(FLOAT, lambda n: n.items * n.H * n.W),
        "N": int,
        "K": int,
        "H": int,
        "W": int,
    },
    # items: planes; complex numbers are pairs of floats
    "fdikp_polar": {
        "f": Array(FLOAT, lambda n: n.items * n.H * n.W * 2),
        "amplitude": Array(FLOAT, lambda n: n.items * n.H * n.W),
        "phase": Array(FLOAT, lambda n: n.items * n.H * n.W),
        "rounding": float,
        "H": int,
        "W": int,
    },
    # items: rows of all images
    "fdikp_detail": {
        "x": Array(FLOAT, lambda n: n.items * n.W * 3),
        "out": Array(FLOAT, lambda n: n.items * n.W * 3),
        "scale": float,
        "H": int,
        "W": int,
    },
    # items: strips
    "fdikp_attend": {
        "qkv": Array(
            HALF, lambda n: (n.items - 1) * n.strip + (n.tokens - 1) * n.step + 3 * n.heads * n.features, strided=True
        ),
        "out": Array(
            HALF,
            lambda n: (n.items - 1) * n.out_strip + (n.tokens - 1) * n.out_step + n.heads * n.features,
            strided=True,
        ),
        "tokens": int,
        "heads": int,
        "features": int,
        "step": int,
        "strip": int,
        "out_step": int,
        "out_strip": int,
    },
    # items: pixels
    "fdikp_cell": {
        "gates": Array(None, lambda n: n.items * 4 * n.maps),
        "before": Array(None, lambda n: n.items * n.maps),
        "hidden": Array(None, lambda n: n.items * n.maps),
        "after": Array(None, lambda n: n.items * n.maps),
        "maps": int,
        "half": int,
    },
    # items: rows of all images, of an even number of pixels
    "fdikp_coefficients": {
        "located": Array(None, lambda n: n.items * n.W * n.maps),
        "hidden": Array(None, lambda n: n.items // 2 * (n.W // 2) * n.maps),
        "scale": Array(FLOAT, lambda n: n.maps),
        "shift": Array(FLOAT, lambda n: n.maps),
        "out": Array(None, lambda n: n.items * n.W * n.maps),
        "maps": int,
        "W": int,
        "half": int,
    },
    # items: pixels of one image
    "fdikp_blend": {
        "ours": Array(None, lambda n: n.pixels * n.candidates * 3),
        "theirs": Array(None, lambda n: n.pixels * n.candidates * 3),
        "coefficients": Array(None, lambda n: n.pixels * 2 * n.candidates),
        "weights": Array(FLOAT, lambda n: 2 * n.candidates * 3 * 4),
        "bias": Array(FLOAT, lambda n: 3),
        "begin": Array(FLOAT, lambda n: n.pixels * 3),
        "out": Array(FLOAT, lambda n: n.pixels * 3),
        "candidates": int,
        "half": int,
        "pixels": int,
    },
    # items: tiles of 2×2 pixels of all images
    "fdikp_winograd": _winograd(HALF),
    "fdikp_winograd_float": _winograd(FLOAT),
    "fdikp_winograd_wide": _winograd(FLOAT),
}
"""The arguments of every function, by name, in their order."""


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the argument types of every function that the library has."""
    for name, signature in SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:  # not compiled for this processor family
            continue
        function.argtypes = [*(_ctype(argument) for argument in signature.values()), ctypes.c_int, ctypes.c_int]
        function.restype = None
    return library


def _ctype(argument: Argument) -> Any:
    if isinstance(argument, Array):
        return ctypes.c_void_p
    return ctypes.c_float if argument is float else ctypes.c_int


def checked(name: str, arguments: Sequence[Tensor | int | float | None], items: int) -> list[int | float | None]:
    """The arguments as ctypes takes them, each checked against the signature: pointers and numbers.

    Args:
        name: of the function.
        arguments: in their order.
        items: how many items all calls together are for.

    Raises:
        TypeError: too few or too many arguments, or one of another kind; an int where a float is wanted counts as such.
        ValueError: a tensor has another dtype, device, layout or size than the function reads and writes.
    """
    signature = SIGNATURES[name]
    if len(arguments) != len(signature):
        raise TypeError(f"{name}: takes {len(signature)} arguments, not {len(arguments)}")
    given = dict(zip(signature, arguments, strict=True))
    for key, kind in signature.items():
        if not isinstance(kind, Array) and type(given[key]) is not kind:
            raise TypeError(f"{name}: {key} must be of type {kind.__name__}, not {type(given[key]).__name__}")
    numbers = SimpleNamespace(items=items, **{key: value for key, value in given.items() if type(value) is int})
    if min(vars(numbers).values()) < 0:
        raise ValueError(f"{name}: a size is negative: {vars(numbers)}")
    passed: list[int | float | None] = []
    for key, kind in signature.items():
        value = given[key]
        if isinstance(kind, Array):
            fault = _fault(kind, value, numbers)
            if fault:
                raise (ValueError if isinstance(value, Tensor) else TypeError)(f"{name}: {key} {fault}")
            passed.append(value.data_ptr() if isinstance(value, Tensor) else None)
        else:
            assert isinstance(value, int | float)
            passed.append(value)
    return passed


def _fault(array: Array, value: object, numbers: Any) -> str | None:
    """What is wrong with a value given for an array; None: nothing."""
    if value is None:
        return None if array.optional else "must be a tensor, not None"
    if type(value) not in (Tensor, torch.nn.Parameter):
        return f"must be a tensor, not {type(value).__name__}"
    assert isinstance(value, Tensor)
    dtypes = array.dtypes or (HALF if numbers.half else FLOAT)
    size = array.size(numbers)
    if value.device.type != "cpu":
        return f"must lie on the CPU, not on {value.device}"
    if value.dtype not in dtypes:
        return f"must be of {dtypes[0]}, not {value.dtype}"
    if array.strided:
        reach = value.untyped_storage().nbytes() // value.dtype.itemsize - value.storage_offset()
        return None if reach >= size else f"must reach over {size} elements, not {reach}"
    if not value.is_contiguous():
        return "must be contiguous"
    return None if value.numel() == size else f"must have {size} elements, not {value.numel()}"
