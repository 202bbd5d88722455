"""The builds of the native kernels that tests run: of each instruction set that this processor has, and a wide one."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdikp.network.ops import native
from fdikp.network.ops.native.signatures import declare

LIBRARY = native.library()

BUILDS = [] if LIBRARY is None else [*native.supported_isas(LIBRARY), "16 lanes"]

WIDE = """
#define ISA generic
#define LANES 16
#define TILES 12
#include "kernels/kernels.h"

_Thread_local float fdikp_workspace[WORKSPACE_SIZE];
"""
"""The kernels with the vectors of AVX-512, for the instructions that every processor has."""


@pytest.fixture(scope="session")
def wide_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None or os.name == "nt":
        pytest.skip("there is no C compiler with the options of GCC")
    folder = tmp_path_factory.mktemp("wide")
    source, library = folder / "wide.c", folder / "wide.so"
    source.write_text(WIDE)
    include = f"-I{Path(native.__file__).parent}"
    flags = ["-std=gnu11", "-O1", "-fno-math-errno", "-w", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, include, str(source), "-o", str(library), "-lm"], check=True)
    return declare(ctypes.CDLL(str(library)))


@pytest.fixture(scope="module", params=BUILDS or [pytest.param("", marks=pytest.mark.skip("kernels were not built"))])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test of a module runs with the kernels of one build after the other."""
    name: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        if name == "16 lanes":
            wide = request.getfixturevalue("wide_library")
            patch.setattr(native, "library", lambda: wide)
            name = "generic"
        patch.setattr(native, "isa", lambda: name)
        yield request.param
