"""Our models among the paper's methods."""

import pytest

from fdikp.evaluation.results import Evaluation, ImageResult, ModelAbout
from fdikp.evaluation.standings import standings


def evaluation(data: str, images: int, width: int, height: int) -> Evaluation:
    results = [
        ImageResult("ours", data, str(n), None, width, height, {"psnr": 23.89}, {"psnr": 26.2, "ssim": 0.8}, None)
        for n in range(images)
    ]
    return Evaluation("defocus", {"tile": "512"}, (ModelAbout("ours", "ab" * 32, 700_000, 1.0, None),), tuple(results))


@pytest.mark.parametrize(("name", "data", "best"), [("table1", "DPDD", "26.42"), ("table5", "LFDOF", "31.12")])
def test_ours_stands_where_its_psnr_puts_it(name: str, data: str, best: str) -> None:
    lines = [line for line in standings(name, evaluation(data, 76, 1680, 1120)).splitlines() if line.startswith("|")][
        2:
    ]
    psnrs = [float(line.split("|")[3]) for line in lines]
    assert psnrs == sorted(psnrs) and f"{max(psnrs):.2f}" == best
    (ours,) = [line for line in lines if "ours" in line]
    assert "| here |" in ours and "0.70" in ours


def test_what_forbids_comparing_is_said() -> None:
    assert "comparable, as far as the paper tells" in standings("table1", evaluation("dpdd", 76, 1680, 1120))
    assert "not comparable:" in standings("table1", evaluation("dpdd", 12, 1680, 1120))
    assert "proxy: Table 1 does not have this set" in standings("table1", evaluation("lytro", 20, 520, 520))
