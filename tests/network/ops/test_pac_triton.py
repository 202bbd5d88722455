"""The Triton kernels without a GPU: what they compute, in the interpreter, and the machine code they compile to."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fdikp.network.ops import pac_cuda

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def test_in_the_interpreter() -> None:
    checks = Path(__file__).with_name("interpreted_pac.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(checks)]
    done = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout


def compiled(name: str, N: int, K: int, capability: int, **constants: Any) -> Any:
    """A kernel compiled for a GPU that need not exist."""
    import triton
    from triton.backends.compiler import GPUTarget

    from fdikp.network.ops import pac_triton

    kernel = getattr(pac_triton, name)
    numbers = dict.fromkeys(pac_triton.ANY, "i32")
    constants = {"N": N, "K": K, "COLUMNS": pac_cuda.COLUMNS, **constants}
    names = kernel.arg_names
    signature = {a: "constexpr" if a in constants else numbers.get(a, "*fp32") for a in names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, a in enumerate(names) if signature[a] == "*fp32"}
    source = triton.compiler.ASTSource(
        fn=kernel, signature=signature, constexprs={(names.index(a),): v for a, v in constants.items()}, attrs=aligned
    )
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=pac_cuda.OPTIONS)


@pytest.mark.skipif(bool(os.environ.get("TRITON_INTERPRET")), reason="the interpreter compiles nothing")
@pytest.mark.parametrize(("capability", "N", "K"), [(80, 3, 3), (90, 3, 3), (90, 7, 7)])
def test_compiled_kernels_hold_everything_in_registers(
    capability: int, N: int, K: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    small = K <= pac_cuda.MAX_UNROLLED
    rows = pac_cuda.ROWS if small else pac_cuda.ROWS // 2
    forward = compiled("forward", N, K, capability, ROWS=rows, UNROLLED=small)
    backward = compiled("backward", N, K, capability, ROWS=pac_cuda.ROWS // 2, NEEDS_X=True)
    machine_code = forward.asm["sass"]
    for code in (machine_code, backward.asm["sass"]):
        assert "EXIT" in code and not re.search(r"\b(LDL|STL)\b", code)  # nothing is spilled to memory
    # Threads exchange values only to write them, after the last tap
    assert "BAR.SYNC" not in machine_code[: machine_code.rindex("LDG")]
    if small:
        # The fourth channel and masked kernels cost nothing. Of K² taps one is on a pixel, 2 (K - 1) are between two,
        # the others between four; the other loads are kernels and dilation
        pixels = rows * pac_cuda.COLUMNS // (32 * pac_cuda.WARPS)  # of a thread
        reads = 3 * (1 + 2 * 2 * (K - 1) + 4 * (K - 1) ** 2)
        assert len(re.findall(r"\bLDG\b", machine_code)) == pixels * (reads + 1) + N * K * K
        weighing, interpolating = 3 * N * K * K, 3 * (2 * (K - 1) + 3 * (K - 1) ** 2)
        assert len(re.findall(r"\bFFMA\b", machine_code)) < 1.3 * pixels * (weighing + interpolating)
