"""The boundary to C: right arguments are passed, each wrong one is refused before the call."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fdikp.network.ops import native
from fdikp.network.ops.native import call
from fdikp.network.ops.native.signatures import FLOAT, HALF, SIGNATURES, Array, checked

SIZES = {
    "N": 2, "K": 3, "H": 4, "W": 6, "wide": 0, "half": 0, "maps": 4, "pixels": 24, "candidates": 3, "tokens": 6,
    "heads": 2, "features": 8, "step": 48, "strip": 288, "out_step": 16, "out_strip": 96, "channels": 16, "outputs": 16,
}  # fmt: skip
"""Integer arguments of a small call of any function."""

ITEMS = {"fdikp_pac_backward": 1, "fdikp_blend": 24, "fdikp_winograd": 6, "fdikp_attend": 4}
"""Items of that call; the default is 4, the rows of one image."""


def items_of(name: str) -> int:
    return ITEMS.get("fdikp_winograd" if name.startswith("fdikp_winograd") else name, 4)


def right(name: str, half: int = 0) -> dict[str, Any]:
    """Arguments that the function takes, all tensors zero."""
    from types import SimpleNamespace

    numbers = SimpleNamespace(items=items_of(name), **(SIZES | {"half": half}))
    given: dict[str, Any] = {}
    for key, kind in SIGNATURES[name].items():
        if isinstance(kind, Array):
            dtype = (kind.dtypes or (HALF if half else FLOAT))[0]
            given[key] = torch.zeros(kind.size(numbers), dtype=dtype)
        else:
            given[key] = 1.0 if kind is float else getattr(numbers, key)
    return given


def wrong(name: str) -> list[tuple[str, str, Any]]:
    """Every argument of a function, made wrong in every way: its name, how, and the value."""
    found: list[tuple[str, str, Any]] = []
    for key, value in right(name).items():
        kind = SIGNATURES[name][key]
        if not isinstance(kind, Array):
            other = 1 if kind is float else 1.0
            found += [(key, "number of another type", other), (key, "tensor", torch.zeros(1)), (key, "none", None)]
            found += [(key, "bool", True)]
            continue
        assert isinstance(value, Tensor)
        found += [(key, "dtype", value.double()), (key, "integers", value.int()), (key, "device", value.to("meta"))]
        found += [(key, "too short", value[:-1]), (key, "array", value.float().numpy()), (key, "number", 0)]
        if not kind.strided:
            found += [(key, "too long", torch.zeros(len(value) + 1, dtype=value.dtype))]
            found += [(key, "layout", torch.zeros(len(value), 2, dtype=value.dtype)[:, 0])]
        if not kind.optional:
            found += [(key, "none", None)]
    return found


WRONG = [(name, *case) for name in SIGNATURES for case in wrong(name)]


@pytest.mark.parametrize(("name", "key", "how", "value"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_each_wrong_argument_is_refused(name: str, key: str, how: str, value: Any) -> None:
    if how == "too short" and SIGNATURES[name][key].strided:  # type: ignore[union-attr]
        value = value.clone()
    arguments = [*(right(name) | {key: value}).values()]
    with pytest.raises((TypeError, ValueError), match=f"{name}: {key} must"):
        checked(name, arguments, items_of(name))


@pytest.mark.parametrize("name", SIGNATURES)
def test_right_arguments_are_passed(name: str) -> None:
    for half in {0, int("half" in SIGNATURES[name])}:
        given = right(name, half)
        passed = checked(name, [*given.values()], items_of(name))
        expected = [value.data_ptr() if isinstance(value, Tensor) else value for value in given.values()]
        assert passed == expected
    optional = [key for key, kind in SIGNATURES[name].items() if isinstance(kind, Array) and kind.optional]
    without = checked(name, [*(given | dict.fromkeys(optional)).values()], items_of(name))
    assert without.count(None) == len(optional)


@pytest.mark.parametrize("name", SIGNATURES)
def test_too_few_arguments_and_negative_sizes_are_refused(name: str) -> None:
    given = right(name)
    with pytest.raises(TypeError, match=f"{name}: takes {len(given)} arguments, not {len(given) - 1}"):
        checked(name, [*given.values()][:-1], items_of(name))
    (number, *_) = (key for key, kind in SIGNATURES[name].items() if kind is int)
    with pytest.raises(ValueError, match=f"{name}: a size is negative"):
        checked(name, [*(given | {number: -1}).values()], items_of(name))


@pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")
@pytest.mark.parametrize("name", SIGNATURES)
def test_ctypes_knows_every_function_as_it_is_declared(name: str) -> None:
    found = native.library()
    assert found is not None
    if name in ("fdikp_winograd", "fdikp_winograd_wide") and not hasattr(found, name):
        pytest.skip("not compiled for this family of processors")
    assert len(getattr(found, name).argtypes or ()) == len(SIGNATURES[name]) + 2


@pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")
def test_a_call_checks_first() -> None:
    given = right("fdikp_detail")
    given["scale"] = 1
    with pytest.raises(TypeError, match="fdikp_detail: scale must be of type float, not int"):
        call("fdikp_detail", *given.values(), items=4, pixels=6)


def test_every_function_of_the_sources_has_a_signature() -> None:
    import re
    from pathlib import Path

    sources = Path(native.__file__).parent.glob("*.c")
    defined = {name for file in sources for name in re.findall(r"void (fdikp_\w+)\(", file.read_text())}
    assert defined == set(SIGNATURES)
