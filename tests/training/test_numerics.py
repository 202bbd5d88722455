import pytest
import torch

from fdikp.training import numerics
from fdikp.training.numerics import Numerics
from fdikp.training.option_groups import RuntimeGroup

CPU = torch.device("cpu")
LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format


@pytest.mark.parametrize(
    ("vectors", "has", "precision", "memory_format", "expected"),
    [
        ("AVX512", True, "auto", "auto", (True, LAST)),
        ("AVX512", False, "auto", "auto", (False, LAST)),
        ("AVX2", False, "auto", "auto", (False, CONTIGUOUS)),
        ("DEFAULT", False, "float32", "auto", (False, CONTIGUOUS)),
        ("AVX2", False, "bfloat16", "auto", (True, LAST)),
        ("AVX512", True, "auto", "contiguous", (True, CONTIGUOUS)),
        ("AVX2", False, "auto", "channels-last", (False, LAST)),
    ],
)
def test_auto_follows_the_processor(monkeypatch, vectors, has, precision, memory_format, expected):
    monkeypatch.setattr(numerics, "has_bfloat16", lambda device: has)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    numerics_of_recipe = Numerics.of(RuntimeGroup(precision=precision, memory_format=memory_format), CPU)
    assert (numerics_of_recipe.bf16, numerics_of_recipe.memory_format) == expected
    assert numerics_of_recipe.describe() == (
        f"cpu, {'bfloat16' if expected[0] else 'float32'}, {'channels last' if expected[1] == LAST else 'contiguous'}"
    )


def test_a_gpu_prefers_channels_last(monkeypatch):
    monkeypatch.setattr(numerics, "has_bfloat16", lambda device: True)
    gpu = torch.device("cuda")
    assert Numerics.of(RuntimeGroup(precision="float32"), gpu).memory_format == LAST


def test_autocast_is_on_in_bfloat16_only():
    for bf16 in (True, False):
        with Numerics(CPU, bf16, LAST).autocast():
            assert torch.is_autocast_enabled("cpu") == bf16
