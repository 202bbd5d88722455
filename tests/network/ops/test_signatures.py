"""The boundary to C: right arguments are passed, each wrong one is refused before the call."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fdikp.network.ops import fused_cpu, native, pac_cpu, winograd
from fdikp.network.ops.native.signatures import SIGNATURES, Array, checked

NUMBERS = {
    "N": 2, "K": 3, "H": 4, "W": 6, "is_bfloat16": 0, "maps": 4, "pixels": 24, "candidates": 3, "inputs": 16,
    "outputs": 16,
}  # fmt: skip
"""Integer arguments of a small call of any kernel."""

ITEMS = {"fdikp_pac_backward": 1, "fdikp_blend": 24, "fdikp_winograd": 6}
"""Items of that call; the default is 4, the rows of one image."""

KERNELS = Path(native.__file__).parent / "kernels"

needs_library = pytest.mark.skipif(native.library() is None, reason="native kernels were not built")


def right(name: str, is_bfloat16: int = 0) -> dict[str, Any]:
    """Arguments that the kernel takes, all tensors zero."""
    numbers = SimpleNamespace(items=ITEMS.get(name, 4), **(NUMBERS | {"is_bfloat16": is_bfloat16}))
    arguments: dict[str, Any] = {}
    for key, kind in SIGNATURES[name].items():
        if isinstance(kind, Array):
            dtype = torch.bfloat16 if kind.either and is_bfloat16 else torch.float32
            arguments[key] = torch.zeros(kind.size(numbers), dtype=dtype)
        else:
            arguments[key] = 1.0 if kind is float else getattr(numbers, key)
    return arguments


def wrong(name: str) -> list[tuple[str, str, Any]]:
    """Every argument of a kernel, made wrong in every way: its name, how, and the value."""
    cases: list[tuple[str, str, Any]] = []
    for key, value in right(name).items():
        kind = SIGNATURES[name][key]
        if not isinstance(kind, Array):
            other = 1 if kind is float else 1.0
            cases += [(key, "number of another type", other), (key, "tensor", torch.zeros(1)), (key, "none", None)]
            cases += [(key, "bool", True)]
            continue
        assert isinstance(value, Tensor)
        cases += [(key, "dtype", value.double()), (key, "integers", value.int()), (key, "device", value.to("meta"))]
        cases += [(key, "16 bits", value.bfloat16()), (key, "too short", value[:-1]), (key, "array", value.numpy())]
        cases += [(key, "number", 0), (key, "too long", torch.zeros(len(value) + 1))]
        cases += [(key, "layout", torch.zeros(len(value), 2)[:, 0])]
        if not kind.optional:
            cases += [(key, "none", None)]
    return cases


WRONG = [(name, *case) for name in SIGNATURES for case in wrong(name)]


@pytest.mark.parametrize(("name", "key", "how", "value"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_each_wrong_argument_is_refused(name: str, key: str, how: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name}: {key} must"):
        checked(name, [*(right(name) | {key: value}).values()], ITEMS.get(name, 4))


@pytest.mark.parametrize("name", SIGNATURES)
def test_right_arguments_are_passed(name: str) -> None:
    for is_bfloat16 in {0, int("is_bfloat16" in SIGNATURES[name])}:
        arguments = right(name, is_bfloat16)
        values = checked(name, [*arguments.values()], ITEMS.get(name, 4))
        assert values == [value.data_ptr() if isinstance(value, Tensor) else value for value in arguments.values()]
    optional = [key for key, kind in SIGNATURES[name].items() if isinstance(kind, Array) and kind.optional]
    without = checked(name, [*(arguments | dict.fromkeys(optional)).values()], ITEMS.get(name, 4))
    assert without.count(None) == len(optional)


@pytest.mark.parametrize("name", [name for name, signature in SIGNATURES.items() if "is_bfloat16" in signature])
def test_float32_where_the_flag_says_bfloat16_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be of torch\.bfloat16, not torch\.float32"):
        checked(name, [*(right(name) | {"is_bfloat16": 1}).values()], ITEMS.get(name, 4))


@pytest.mark.parametrize("name", SIGNATURES)
def test_too_few_arguments_and_negative_sizes_are_refused(name: str) -> None:
    arguments, items = right(name), ITEMS.get(name, 4)
    with pytest.raises(TypeError, match=f"{name}: takes {len(arguments)} arguments, not {len(arguments) - 1}"):
        checked(name, [*arguments.values()][:-1], items)
    (number, *_) = (key for key, kind in SIGNATURES[name].items() if kind is int)
    with pytest.raises(ValueError, match=f"{name}: a size is negative"):
        checked(name, [*(arguments | {number: -1}).values()], items)


@needs_library
@pytest.mark.parametrize("name", SIGNATURES)
def test_ctypes_has_the_argument_types_of_every_build(name: str) -> None:
    library = native.library()
    assert library is not None
    for isa in native.supported_isas(library):
        assert len(getattr(library, f"{name}_{isa}").argtypes) == len(SIGNATURES[name]) + 2


@needs_library
def test_a_launch_checks_its_arguments() -> None:
    arguments = right("fdikp_band_energy") | {"scale": 1}
    with pytest.raises(TypeError, match="fdikp_band_energy: scale must be of type float, not int"):
        native.launch("fdikp_band_energy", *arguments.values(), items=4, pixels=6)


def test_every_entry_point_of_the_sources_has_a_signature_of_as_many_arguments() -> None:
    text = "".join(file.read_text() for file in KERNELS.glob("*.h"))
    entries = dict(re.findall(r"^void ENTRY\((\w+)\)\(([^)]*)\)", text, re.MULTILINE))
    assert {f"fdikp_{name}": arguments.count(",") + 1 for name, arguments in entries.items()} == {
        name: len(signature) + 2 for name, signature in SIGNATURES.items()
    }


def test_limits_in_python_are_those_of_the_sources() -> None:
    text = "".join(file.read_text() for file in KERNELS.glob("*.h"))
    defines = {name: int(value) for name, value in re.findall(r"^#define (\w+) (\d+)\b", text, re.MULTILINE)}
    assert defines["MAX_KERNEL"] == pac_cpu.MAX_KERNEL
    assert defines["MAX_MAPS"] == 2 * defines["MAX_CANDIDATES"] == fused_cpu.MAX_MAPS
    assert defines["GROUP"] == winograd.GROUP
