"""Packages whose public names are imported when they are first used, so that importing the package is cheap."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    package: str, origins: Mapping[str, str], public: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package.

    Type checkers do not follow them: the package imports the same names under `TYPE_CHECKING`.

    Args:
        package: its `__name__`.
        origins: the module that defines each lazy name.
        public: its `__all__`.
    """

    def getattr_(name: str) -> Any:
        if name in origins:
            return getattr(import_module(origins[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        members = vars(sys.modules[package])
        # Besides the public names only submodules that are loaded, and names such as __doc__
        return sorted({*public, *(name for name in members if name[:2] == "__" or f"{package}.{name}" in sys.modules)})

    return getattr_, dir_
