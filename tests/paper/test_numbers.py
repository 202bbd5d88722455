"""The transcription against what the paper's text says of its own tables."""

from collections import Counter

import pytest
import torch

from fdikp import network
from fdikp.metrics.registry import METRICS
from fdikp.network.config import PRESETS
from fdikp.paper.numbers import FDIKP, INPUT, PAPER, paper_row, why_not_comparable
from fdikp.training.recipes import RECIPES


def score(table: str, method: str, data: str, metric: str) -> float:
    (row,) = (r for r in PAPER if (r.table, r.method, r.data) == (table, method, data))
    return row.scores[metric]


def better(table: str, metric: str, data: str, method: str, than: str) -> float:
    """By how much, in the metric's own direction."""
    sign = 1 if METRICS[metric].better == "higher" else -1
    return sign * (score(table, method, data, metric) - score(table, than, data, metric))


@pytest.mark.parametrize(
    ("table", "metric", "data", "method", "than", "by"),
    [
        # "P2IKT improves PSNR over the input by 2.35 dB, while our method further increases it by 0.18 dB"
        ("Table 1", "psnr", "DPDD", "P2IKT", INPUT, 2.35),
        ("Table 1", "psnr", "DPDD", FDIKP, "P2IKT", 0.18),
        ("Table 1", "psnr", "DPDD", FDIKP, INPUT, 2.53),
        ("Table 1", "ssim", "DPDD", "SFHformer", INPUT, 0.083),
        ("Table 1", "ssim", "DPDD", FDIKP, INPUT, 0.088),
        # "PSNR (P2IKT), SSIM (SFHformer and EAMamba), and LPIPS (PPTformer)" on RealDOF
        ("Table 1", "psnr", "RealDOF", "P2IKT", INPUT, 3.1),
        ("Table 1", "ssim", "RealDOF", "SFHformer", INPUT, 0.128),
        ("Table 1", "ssim", "RealDOF", "EAMamba", INPUT, 0.128),
        ("Table 1", "lpips", "RealDOF", "PPTformer", INPUT, 0.225),
        # RTF: "NRKNet for PSNR and PPTformer for SSIM and LPIPS"
        ("Table 1", "psnr", "RTF", "NRKNet", INPUT, 1.74),
        ("Table 1", "ssim", "RTF", "PPTformer", INPUT, 0.111),
        ("Table 1", "lpips", "RTF", "PPTformer", INPUT, 0.157),
        # "it improves 0.31dB, 0.004, and 0.003 over the second-best P2IKT"
        ("Table 5", "psnr", "LFDOF", FDIKP, "P2IKT", 0.31),
        ("Table 5", "ssim", "LFDOF", FDIKP, "P2IKT", 0.004),
        ("Table 5", "lpips", "LFDOF", FDIKP, "P2IKT", 0.003),
        ("Table 5", "psnr", "RealDOF", FDIKP, "P2IKT", 0.28),
        ("Table 5", "ssim", "RealDOF", FDIKP, "P2IKT", 0.027),
        ("Table 5", "lpips", "RealDOF", FDIKP, "IFAN", 0.015),
        ("Table 5", "psnr", "RTF", FDIKP, "NRKNet", 0.11),
        ("Table 5", "ssim", "RTF", FDIKP, "NRKNet", 0.008),
        ("Table 5", "lpips", "RTF", FDIKP, "P2IKT", 0.053),
    ],
)
def test_differences_that_the_text_states(table, metric, data, method, than, by):
    assert better(table, metric, data, method, than) == pytest.approx(by, abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "data", "second", "percent"),
    [
        ("psnr", "RealDOF", "P2IKT", 4.8),
        ("ssim", "RealDOF", "SFHformer", 7.8),
        ("lpips", "RealDOF", "PPTformer", 7.1),
        ("psnr", "RTF", "NRKNet", 34.5),
        ("ssim", "RTF", "PPTformer", 13.5),
        ("lpips", "RTF", "PPTformer", 12.1),
        ("psnr", "DPDD", "P2IKT", 7.7),
    ],
)
def test_shares_that_the_text_states(metric, data, second, percent):
    """How much of the second's gain the paper's model gains on top."""
    more = better("Table 1", metric, data, FDIKP, second) / better("Table 1", metric, data, second, INPUT)
    assert 100 * more == pytest.approx(percent, abs=0.06)


def test_cost_that_the_text_states():
    ours, mamba = paper_row(FDIKP, "RTF"), paper_row("EAMamba", "RTF")
    assert 100 * ours.parameters / mamba.parameters == pytest.approx(21.8, abs=0.05)
    assert 100 * (1 - ours.seconds / mamba.seconds) == pytest.approx(96.4, abs=0.05)


def test_the_full_model_is_one_in_all_tables():
    rows = [r for r in PAPER if r.method == FDIKP and r.data == r.trained_on == "DPDD"]
    assert [r.table for r in rows] == ["Table 1", "Table 2", "Table 3", "Table 6", "Fig. 12"]
    for metric in ("psnr", "ssim", "mae", "lpips"):
        assert len({r.scores[metric] for r in rows if metric in r.scores}) == 1
    assert {r.parameters for r in rows} == {5.52, None}


def test_what_does_not_depend_on_the_table():
    """A method's size, and the scores of the input of a set, are the same wherever they are printed."""
    for method in {r.method for r in PAPER}:
        assert len({r.parameters for r in PAPER if r.method == method and r.parameters}) <= 1, method
    for data in ("RealDOF", "RTF"):
        first, second = (r for r in PAPER if r.method == INPUT and r.data == data)
        assert first.scores == second.scores


def test_the_numbers_are_of_our_networks():
    """Parameter counts of the ablations, and their names."""
    for row in PAPER:
        if row.table in ("Table 2", "Table 3"):
            with torch.device("meta"):
                count = sum(p.numel() for p in network.FDIKP(PRESETS[row.method]).parameters())
            assert count / 1e6 == pytest.approx(row.parameters, abs=0.04), row
    losses = {r.method for r in PAPER if r.table == "Table 6"} - {FDIKP}
    assert {f"ablation/{name}" for name in losses} < set(RECIPES)
    assert len(losses) == 4


def test_every_row_of_every_table_is_there():
    tables = Counter((r.table, r.data) for r in PAPER)
    assert tables == {
        **{("Table 1", data): 10 for data in ("DPDD", "RealDOF", "RTF")},
        **{("Table 5", data): 9 for data in ("LFDOF", "RealDOF", "RTF")},
        ("Table 2", "DPDD"): 5,
        ("Table 3", "DPDD"): 4,
        ("Table 6", "DPDD"): 5,
        ("Fig. 12", "DPDD"): 1,
    }
    for row in PAPER:
        assert set(row.scores) <= set(METRICS)
        assert 20 < row.scores["psnr"] < 32
        for metric in set(row.scores) - {"psnr"}:
            assert 0 < row.scores[metric] < 1
    assert {r.trained_on for r in PAPER if r.table == "Table 5"} == {"", "LFDOF"}


def test_what_the_paper_says_of_a_method():
    assert paper_row("FDIKP-lite", "dpdd").scores == {"psnr": 26.42, "ssim": 0.813, "mae": 0.0366, "lpips": 0.185}
    assert paper_row(FDIKP, "DPDD").table == "Table 1"
    assert paper_row("p2ikt", "RealDOF").scores["psnr"] == 25.43  # not 23.93, of the model that saw LFDOF
    assert paper_row("restormer", "rtf").table == "Table 5"
    assert paper_row(INPUT, "LFDOF").scores["psnr"] == 25.87
    assert paper_row(FDIKP, "DPDD", "indoor") is None
    assert paper_row(FDIKP, "CUHK") is None
    assert paper_row("other", "DPDD") is None


@pytest.mark.parametrize(
    ("data", "protocol", "images", "sizes", "why"),
    [
        ("DPDD", "defocus", 76, "1680×1120", []),
        ("DPDD", "drbnet", 76, "1120×1680 to 1680×1120", []),
        ("DPDD", "nrknet", 76, "1680×1120", ["protocol nrknet"]),
        ("DPDD", "defocus", 75, "1680×1120", ["75 images"]),
        ("DPDD", "defocus", 76, "840×560 to 1680×1120", ["scored 840×560"]),
        ("RealDOF", "defocus", 50, "2220×1480 to 2350×1536", []),
        ("RealDOF", "p2ikt-half", 50, "1160×768", ["about 2320×1536"]),
        ("RTF", "ifan", 22, "360×360", ["where the paper has 352×352"]),
        ("RTF", "basicsr+y", 3, "99×99", ["protocol basicsr", "3 images", "scored 99×99"]),
    ],
)
def test_when_numbers_cannot_be_compared(data, protocol, images, sizes, why):
    found = why_not_comparable(paper_row(FDIKP, data), protocol, images, sizes)
    assert len(found) == len(why)
    assert all(part in reason for part, reason in zip(why, found, strict=True))
