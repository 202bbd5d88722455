"""`fdikp benchmark`: tables, files, and networks of others."""

import json
from pathlib import Path

import pytest
from PIL import Image

PEER = """
from torch import nn

def build():
    return nn.Conv2d(3, 3, 3, padding=1, bias=False)

def broken():
    raise ImportError("needs a compiler\\nand more")

def number():
    return 3
"""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The machine's own rates, measured on little."""
    import torch

    from fdikp.bench import suite

    def little(device, dtype):
        return lambda: torch.ones(64, 64).square().sum(), 1e-5

    monkeypatch.setattr(suite, "matrix_product", little)
    monkeypatch.setattr(suite, "convolution", little)


@pytest.fixture
def peer(tmp_path: Path, monkeypatch):
    (tmp_path / "somebodys_network.py").write_text(PEER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "somebodys_network"


def benchmark(run, weights_file, *args):
    return run("benchmark", weights_file, "--device", "cpu", "--runs", "2", *args, model=False)


def test_models_and_networks_of_others_in_turn(run, weights_file, peer, tmp_path):
    done = benchmark(
        run,
        weights_file,
        "--sizes",
        "64",
        "96x80",
        "--precisions",
        "float32",
        "--against",
        f"{peer}:build",
        "--output",
        "b",
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "b" / "benchmark.json").read_text())
    assert [(line["model"], line["width"], line["height"]) for line in found["lines"]] == [
        ("tiny", 64, 64), (f"{peer}:build", 64, 64), ("tiny", 96, 80), (f"{peer}:build", 96, 80)
    ]  # fmt: skip
    first, other = found["lines"][2:]
    assert first["relative_time"] is None and len(other["relative_time"]["seconds"]) == 2
    assert other["gflop"] == pytest.approx(2 * 9 * 3 * 3 * 96 * 80 / 1e9)
    assert "×" in done.out and "96×80" in done.out and "GFLOP/s" in done.out
    assert (tmp_path / "b" / "benchmark.md").read_text().strip() == done.out.strip()
    assert Image.open(tmp_path / "b" / "benchmark.png").size[0] == 900


def test_a_terminal_gets_tables_with_every_value(run, weights_file, shown, tmp_path):
    text = shown(60, lambda: benchmark(run, weights_file, "--sizes", "64", "--quiet", "--output", "b"))
    assert "|" not in text and "…" not in text
    written = (tmp_path / "b" / "benchmark.md").read_text()
    (row,) = (line for line in written.splitlines() if line.startswith("| tiny |"))
    for word in row.replace("|", "").split():
        assert word in text, word


def test_precisions_are_those_asked_for(run, weights_file):
    done = benchmark(run, weights_file, "--sizes", "64", "--precisions", "float32", "bfloat16", "--quiet")
    assert done.code == 0 and done.err == ""
    assert "| float32 |" in done.out and "| bfloat16 |" in done.out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module:build", "no_such_module"),
        ("somebodys_network", "package.module:factory"),
        ("somebodys_network:none", "none"),
        ("somebodys_network:broken", "needs a compiler"),
        ("somebodys_network:number", "int"),
    ],
)
def test_what_is_no_network_is_said_in_one_line(run, weights_file, peer, name, says):
    done = benchmark(run, weights_file, "--sizes", "64", "--quiet", "--against", name)
    assert done.code == 1 and says in done.err and len(done.errors) == 1


@pytest.mark.parametrize("args", [["--sizes", "0"], ["--sizes", "axb"], ["--runs", "0"], ["--tile", "100"]])
def test_what_cannot_be_meant_is_refused(run, args):
    done = run("benchmark", *args, model=False)
    assert done.code == 2 and args[0] in done.err
