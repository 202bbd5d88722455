"""The Triton kernels without a GPU: what they compute, in the interpreter, and what becomes of them, compiled."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fdikp.network import pac_cuda

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not there")


def test_in_the_interpreter() -> None:
    checks = Path(__file__).with_name("interpreted_pac.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(checks)]
    done = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout


def built(name: str, N: int, K: int, capability: int, **constants: Any) -> Any:
    """A kernel compiled for a GPU that need not be there."""
    import triton
    from triton.backends.compiler import GPUTarget

    from fdikp.network import pac_triton

    kernel = getattr(pac_triton, name)
    numbers = dict.fromkeys(pac_triton.ANY, "i32")
    constants = {"N": N, "K": K, "COLUMNS": pac_cuda.COLUMNS, **constants}
    names = kernel.arg_names
    signature = {a: "constexpr" if a in constants else numbers.get(a, "*fp32") for a in names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, a in enumerate(names) if signature[a] == "*fp32"}
    source = triton.compiler.ASTSource(
        fn=kernel, signature=signature, constexprs={(names.index(a),): v for a, v in constants.items()}, attrs=aligned
    )
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": pac_cuda.WARPS})


@pytest.mark.skipif(bool(os.environ.get("TRITON_INTERPRET")), reason="the interpreter compiles nothing")
@pytest.mark.parametrize(("capability", "N", "K"), [(80, 3, 3), (90, 5, 5), (90, 7, 7)])
def test_compiled_it_holds_all_in_registers(
    capability: int, N: int, K: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    small = K <= pac_cuda.UNROLLED
    rows = pac_cuda.ROWS if small else pac_cuda.ROWS // 2
    forward = built("forward", N, K, capability, ROWS=rows, UNROLL=K if small else 1)
    backward = built("backward", N, K, capability, ROWS=pac_cuda.ROWS // 2, WANTS_X=True)
    for kernel in (forward, backward):
        assert kernel.asm["cubin"]
        assert "ld.local" not in kernel.asm["ptx"] and "st.local" not in kernel.asm["ptx"]
    ptx = forward.asm["ptx"]
    # Threads exchange numbers only to write them, behind the last tap, for which a store waits for others once or twice
    assert "bar.sync" not in ptx[: ptx.rindex("ld.global")]
    if small:
        # of K² taps one lies on a pixel, 2 (K - 1) between two and the others between four; then kernels and dilation
        reads = 3 * (1 + 2 * 2 * (K - 1) + 4 * (K - 1) ** 2)
        pixels = rows * pac_cuda.COLUMNS // (32 * pac_cuda.WARPS)
        assert ptx.count("fma.rn.f32") >= pixels * 3 * N * K * K
        assert ptx.count("fma.rn.f32") < 1.2 * pixels * (3 * N * K * K + reads)
