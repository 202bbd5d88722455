"""What a benchmark says of its times."""

import json
from pathlib import Path
from statistics import median

import pytest
import torch

from fdikp import load_model
from fdikp.bench import suite
from fdikp.bench.report import markdown
from fdikp.evaluation.cost import gflop


def test_rates_and_shares_follow_from_the_times(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def work(device: torch.device, dtype: torch.dtype):
        return lambda: ran.append(torch.randn(200, 200) @ torch.randn(200, 200)), 5.0

    monkeypatch.setattr(suite, "matrix_product", work)
    monkeypatch.setattr(suite, "convolution", work)
    model = load_model(tiny_weights, "cpu", "float32")
    cpu = torch.device("cpu")
    found = suite.measure(lambda precision: [suite.own_model(model)], [(96, 64)], ["float32"], cpu, runs=3)
    (line,), (rate,) = found.lines, found.rates
    assert len(ran) == 2 * (3 + 1)
    assert line.gflop == pytest.approx(gflop(model.config, 64, 96))
    assert line.relative_rate == pytest.approx(line.gflop / median(line.seconds.seconds) / rate.convolution)
    assert line.relative_time is None
    assert json.loads(found.to_json())["lines"][0]["seconds"]["seconds"] == list(line.seconds.seconds)
    text = markdown(found)
    assert "96×64" in text and f"{line.relative_rate:.0%}" in text and "torch" in text
