"""Builds the native kernels: a C library that ctypes loads, so that one wheel serves every version of Python.

Everything else about the package is in pyproject.toml. Without a compiler the package builds and works without kernels,
unless the environment variable FDIKP_KERNELS is `required`, as for wheels that are published.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("src/fdikp/network/ops/native")

FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math"]

# Some builds of Python compile with -fwrapv, which keeps loops over int from becoming vectors, and with -g
UNIX_FLAGS = [*FLAGS, "-fno-wrapv", "-g0"]

# MSVC has no vector types, clang-cl has; it passes GCC's options on
WINDOWS_COMPILER = "clang-cl"
WINDOWS_FLAGS = [f"/clang:{flag}" for flag in FLAGS]

# A file for each instruction set, which includes all of kernels/
KERNELS = Extension(
    "fdikp.network.ops.native._native",
    sources=sorted(map(str, FOLDER.glob("*.c"))),
    depends=sorted(map(str, FOLDER.rglob("*.h"))),
    extra_compile_args=WINDOWS_FLAGS if os.name == "nt" else UNIX_FLAGS,
    optional=os.environ.get("FDIKP_KERNELS") != "required",
)


class BuildKernels(build_ext):
    """Compiles a library that is not a module of Python."""

    def get_ext_filename(self, name: str) -> str:
        """The same on every system."""
        return str(Path(*name.split(".")).with_suffix(".so"))

    def get_export_symbols(self, extension: Extension) -> list[str]:
        """None, not even a PyInit function: export.h marks what is exported."""
        return []

    def build_extension(self, extension: Extension) -> None:
        """With clang-cl in place of MSVC's own compiler."""
        if self.compiler.compiler_type == "msvc":
            if not self.compiler.initialized:
                self.compiler.initialize()
            self.compiler.cc = WINDOWS_COMPILER
        super().build_extension(extension)


class Wheel(bdist_wheel):
    """A wheel for any Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """This platform with the kernels, any platform without them."""
        built = Path(self.get_finalized_command("build_ext").get_ext_fullpath(KERNELS.name)).is_file()
        self.root_is_pure = not built
        return "py3", "none", super().get_tag()[2] if built else "any"


setup(ext_modules=[KERNELS], cmdclass={"build_ext": BuildKernels, "bdist_wheel": Wheel})
