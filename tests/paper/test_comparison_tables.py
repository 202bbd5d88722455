"""An evaluation beside the paper's numbers."""

from dataclasses import replace
from statistics import fmean

import pytest

from fdikp.evaluation.report.html_tables import summary
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.tables import latex, markdown
from fdikp.paper.comparison_tables import beside_paper, comparison_table, published
from fdikp.paper.numbers import paper_row

LITE = ModelInfo("fdikp-lite", "41b0" * 16, 700_983, 9.87, 1010.4)
FOLDER = ModelInfo("NRKNet", None, None, None, None)


def result(model: str, name: str, gain: float, group: str | None = None) -> ImageResult:
    before = {"psnr": 23.0 + len(name) / 10, "ssim": 0.7, "lpips": 0.3}
    after = {"psnr": before["psnr"] + gain, "ssim": 0.8, "lpips": 0.2, "shift": 0.001}
    return ImageResult(model, "DPDD", name, group, 1680, 1120, before, after, 1.25)


@pytest.fixture
def dpdd() -> Evaluation:
    """Two methods on three images of DPDD in two groups, and one of them on a set that the paper does not have."""
    parts = [("1", 1.5, "indoor"), ("22", -0.25, "indoor"), ("333", 2.0, "outdoor")]
    images = [result(model, name, gain, group) for model in ("fdikp-lite", "NRKNet") for name, gain, group in parts]
    images.append(replace(result("fdikp-lite", "a", 0.5), data="my set"))
    return Evaluation("defocus", {"tile": "512"}, (LITE, FOLDER), tuple(images))


def rows(evaluation: Evaluation) -> list[dict[str, str]]:
    (table,) = beside_paper(evaluation)
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def test_each_row_stands_beside_the_papers(dpdd):
    found = rows(dpdd)
    assert [(r["set"], r["model"]) for r in found] == [("DPDD", m) for m in ("input", "fdikp-lite", "NRKNet")]
    before = fmean(r.before["psnr"] for r in dpdd.images[:3])
    after = fmean(r.after["psnr"] for r in dpdd.images[:3])
    assert found[0]["PSNR"] == f"{before:.2f} / 23.89 ({before - 23.89:+.2f})"
    assert found[1]["PSNR"] == f"{after:.2f} / 26.42 ({after - 26.42:+.2f})"
    assert found[1]["SSIM"] == "0.8000 / 0.813 (-0.0130)"
    assert found[2]["PSNR"] == f"{after:.2f} / 26.11 ({after - 26.11:+.2f})"
    assert found[0]["the paper's row"] == "Table 1, Blurry Input"
    assert found[2]["the paper's row"] == (
        "Table 1, NRKNet (2023), trained on DPDD, 6.09 M parameters, 0.42 s for DPDD on an RTX 3090"
    )
    assert "0.70 M parameters, where the paper's has 5.52 M" in found[1]["reasons not to compare"]
    assert found[2]["reasons not to compare"] == "3 images, where the paper has 76"
    assert "26.42" in markdown(dpdd, beside_paper(dpdd)) and "26.42" in latex(dpdd, beside_paper(dpdd))


def test_own_weights_are_compared_with_the_papers_model(dpdd):
    own = replace(LITE, name="run/weights.safetensors", parameters=5_520_215)
    images = tuple(replace(r, model=own.name) for r in dpdd.images if r.model == LITE.name)
    found = rows(replace(dpdd, models=(own,), images=images))
    assert found[1]["PSNR"].split(" / ")[1].startswith("26.42")
    assert "parameters" not in found[1]["reasons not to compare"]
    folder = replace(own, sha256=None)
    found = rows(replace(dpdd, models=(folder,), images=images))
    assert [r["model"] for r in found] == ["input"]  # nobody knows which network made them


def test_images_without_inputs_have_no_row_of_the_input(dpdd):
    found = rows(replace(dpdd, images=tuple(replace(r, before={}) for r in dpdd.images)))
    assert found and "input" not in [r["model"] for r in found]


def test_a_set_that_the_paper_does_not_have_gives_no_table(dpdd):
    assert beside_paper(replace(dpdd, images=dpdd.images[-1:])) == []


def test_a_report_gets_the_papers_row_with_what_makes_it_hard_to_compare(dpdd):
    named = replace(dpdd, protocol="nrknet", images=tuple(replace(r, width=64) for r in dpdd.images[:2]))
    (row,) = published(named)
    assert (row.data, row.title) == ("DPDD", "FDIKP, Table 1 of the paper")
    assert row.after["psnr"] == f"{paper_row('fdikp-base', 'DPDD').scores['psnr']:.2f}"
    for reason in ("protocol nrknet", "2 images, where the paper has 76", "scored 64×1120"):
        assert reason in row.note and reason in summary(named, [row])
    assert published(replace(dpdd, images=dpdd.images[-1:])) == []


def whole_set(data: str, images: int, width: int = 1680, height: int = 1120) -> Evaluation:
    results = [
        ImageResult("ours", data, str(n), None, width, height, {"psnr": 23.89}, {"psnr": 26.2, "ssim": 0.8}, None)
        for n in range(images)
    ]
    return Evaluation("defocus", {"tile": "512"}, (ModelInfo("ours", "ab" * 32, 700_000, 1.0, None),), tuple(results))


@pytest.mark.parametrize(("name", "data", "best"), [("table1", "DPDD", "26.42"), ("table5", "LFDOF", "31.12")])
def test_ours_stands_where_its_psnr_puts_it(name: str, data: str, best: str) -> None:
    text = comparison_table(name, whole_set(data, 76))
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    psnrs = [float(line.split("|")[3]) for line in lines]
    assert psnrs == sorted(psnrs) and f"{max(psnrs):.2f}" == best
    (ours,) = [line for line in lines if "ours" in line]
    assert "| here |" in ours and "0.70" in ours


def test_each_set_has_one_part_whatever_the_number_of_models() -> None:
    one = whole_set("DPDD", 2)
    other = tuple(replace(r, model="other") for r in one.images)
    models = (*one.models, replace(one.models[0], name="other"))
    text = comparison_table("table1", replace(one, models=models, images=one.images + other))
    assert text.count("## DPDD") == 1 and "| ours |" in text and "| other |" in text


def test_what_forbids_comparing_is_printed() -> None:
    assert "comparable, as far as the paper tells" in comparison_table("table1", whole_set("dpdd", 76))
    assert "not comparable:" in comparison_table("table1", whole_set("dpdd", 12))
    assert "proxy: Table 1 does not have this set" in comparison_table("table1", whole_set("lytro", 20, 520, 520))
