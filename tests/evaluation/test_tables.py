import csv
import io
import re
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdikp.errors import DataError
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.evaluation.tables import Table, csv_rows, grid, latex, markdown

LITE = ModelInfo("fdikp-lite", "41b0" * 16, 700_983, 9.87, 1010.4)
FOLDER = ModelInfo("NRKNet", None, None, None, None)
FURTHER = Table("Ours / theirs", ["set", "PSNR"], [["DPDD", "24.00 / 26.42"], ["50 % of it", "1"]])
ABOUT = {"tile": "256", "precision": "float32", "device": "cpu, 2 threads", "versions": "fdikp 0.1.0, torch 2.13.0"}


def image(model: str, name: str, gain: float, group: str | None = None, data: str = "DPDD") -> ImageResult:
    before = {"psnr": 23.0 + len(name) / 10, "ssim": 0.7, "lpips": 0.3}
    after = {"psnr": before["psnr"] + gain, "ssim": 0.8, "lpips": 0.2, "shift": 0.001}
    return ImageResult(model, data, name, group, 1680, 1120, before, after, 1.25)


@pytest.fixture
def evaluation() -> Evaluation:
    images = [image(m, f"1P0A{n}", gain, g) for m in ("fdikp-lite", "NRKNet") for n, gain, g in SCENES]
    images.append(image("fdikp-lite", "a|b", 0.5, data="my set"))
    return Evaluation("defocus", ABOUT, (LITE, FOLDER), tuple(images))


SCENES = [("1", 1.5, "indoor"), ("22", -0.25, "indoor"), ("333", 2.0, "outdoor")]


def tables(text: str) -> list[list[dict[str, str]]]:
    """The rows of each Markdown table, by column."""
    found = []
    for block in text.split("\n\n"):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines() if line.startswith("|")]
        if lines:
            head, _, *rows = ([cell.strip() for cell in line] for line in lines)
            found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def test_rows_are_means_of_pictures(evaluation):
    (results,) = tables(markdown(evaluation))
    assert [(r["set"], r["model"], r["images"]) for r in results] == [
        ("DPDD", "fdikp-lite", "3"),
        ("DPDD, indoor", "fdikp-lite", "2"),
        ("DPDD, outdoor", "fdikp-lite", "1"),
        ("DPDD", "NRKNet", "3"),
        ("DPDD, indoor", "NRKNet", "2"),
        ("DPDD, outdoor", "NRKNet", "1"),
        ("my set", "fdikp-lite", "1"),
    ]
    psnr = [r.after["psnr"] for r in evaluation.images[:3]]
    before = [r.before["psnr"] for r in evaluation.images[:3]]
    assert results[0]["PSNR"] == f"{fmean(before):.2f} → {fmean(psnr):.2f}"
    assert results[1]["PSNR"] == f"{fmean(before[:2]):.2f} → {fmean(psnr[:2]):.2f}"
    assert results[0]["LPIPS"] == "0.3000 → 0.2000"
    assert results[0]["colour shift"] == "0.00100"  # the input has none
    assert results[0]["worst image"] == "1P0A22 (-0.25 dB)"
    assert results[0]["size scored"] == "1680×1120"
    assert [results[0][c] for c in ("parameters", "GFLOP", "s", "peak MiB")] == ["700,983", "9.9", "1.25", "1010"]
    assert [results[3][c] for c in ("parameters", "GFLOP", "s", "peak MiB")] == ["", "", "1.25", ""]
    assert "MAE" not in results[0]


def test_further_tables_stand_below(evaluation):
    _, further = tables(markdown(evaluation, [FURTHER]))
    assert further[0] == {"set": "DPDD", "PSNR": "24.00 / 26.42"}
    assert "**Ours / theirs**" in markdown(evaluation, [FURTHER])
    assert len(tables(markdown(evaluation))) == 1
    assert "26.42" not in latex(evaluation)
    assert "26.42" in latex(evaluation, [FURTHER])


@pytest.mark.parametrize("form", [markdown, latex])
@pytest.mark.parametrize("further", [(), (FURTHER,)])
def test_no_number_without_what_it_depends_on(evaluation, form, further):
    text = form(evaluation, further)
    for known in ("defocus (IFAN", "7×7", LITE.sha256, "1680×1120", *ABOUT, *ABOUT.values()):
        shown = known.replace("×", r"$\times$") if form is latex else known
        assert shown in text, known
    assert "NRKNet: not known" in text
    bare = form(replace(evaluation, about={}), further)
    for name in ABOUT:
        assert f"{name}: not recorded" in bare
    with pytest.raises(DataError, match="no such protocol"):
        form(replace(evaluation, protocol="mine"), further)


def test_a_set_without_ground_truth():
    scores = {"blur": 0.4}, {"blur": 0.3, "shift": 0.002}
    results = [
        ImageResult("fdikp-lite", "CUHK", name, None, 640, w, *scores, None) for name, w in (("a", 426), ("b", 480))
    ]
    text = markdown(Evaluation("defocus", ABOUT, (LITE,), tuple(results)))
    ((row,),) = tables(text)
    assert row["blur effect"] == "0.4000 → 0.3000"
    assert row["size scored"] == "640×426 to 640×480"
    assert "PSNR" not in row
    assert "worst image" not in row
    assert "s" not in row


def test_outputs_without_inputs(evaluation):
    images = tuple(replace(r, before={}) for r in evaluation.images)
    (results,) = tables(markdown(replace(evaluation, images=images)))
    assert "→" not in results[0]["PSNR"]
    assert results[0]["worst image"] == "1P0A22"


def test_a_csv_row_is_a_picture(evaluation):
    rows = csv_rows(evaluation)
    assert len(rows) == 7
    assert len({tuple(row) for row in rows}) == 1
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    read = list(csv.DictReader(io.StringIO(text.getvalue())))
    for row, result in zip(read, evaluation.images, strict=True):
        assert (row["model"], row["data"], row["image"]) == (result.model, result.data, result.image)
        assert float(row["psnr_after"]) == result.after["psnr"]
        assert float(row["lpips_before"]) == result.before["lpips"]
        assert row["group"] == (result.group or "")
        assert row["sha256"] == (LITE.sha256 if result.model == "fdikp-lite" else "")
        assert row["protocol"] == "defocus"
    assert "shift_before" not in rows[0]


@settings(max_examples=60, deadline=None)
@given(name=st.text(alphabet=r"ab\~^&%$#_{}|×→ " + "\n", min_size=1))
def test_any_name_goes_into_any_format(name):
    result = image("fdikp-lite", name or "x", 1.0)
    evaluation = Evaluation("basicsr+y", ABOUT, (LITE,), (result, replace(result, data=name)))
    for rows in tables(markdown(evaluation)):
        assert rows
    check_latex(latex(evaluation, [Table(name, [name, name], [[name, name]])]))


def check_latex(text: str) -> None:
    """No sign that LaTeX would take for more than itself, besides those that are meant."""
    plain = re.sub(r"\\[&%$#_{}]", "", text)  # escaped signs
    plain = plain.replace("{%\n", "{\n")  # the one comment
    assert not re.search(r"[%#~^]|(?<!\\)_", plain)
    assert plain.count("{") == plain.count("}")
    assert len(re.findall(r"\$\\(to|times|sigma)\$", plain)) * 2 == plain.count("$")
    assert set(re.findall(r"\\([a-zA-Z]+)", plain)) <= {
        *("begin", "end", "centering", "resizebox", "linewidth", "toprule", "midrule", "bottomrule", "par", "medskip"),
        *("smallskip", "raggedright", "footnotesize", "to", "times", "sigma"),
        *("textbackslash", "textasciitilde", "textasciicircum"),
    }
    for columns, body in re.findall(r"\\begin\{tabular\}\{(l+)\}\n(.*?)\\end\{tabular\}", plain, re.DOTALL):
        rows = [line for line in body.splitlines() if not line.endswith("rule")]
        assert len(rows) >= 2
        assert all(line.count("&") == len(columns) - 1 and line.endswith(r"\\") for line in rows)


def test_latex_of_everything(evaluation):
    text = latex(evaluation, [FURTHER])
    check_latex(text)
    assert text.count(r"\begin{tabular}") == 2
    assert "1680$\\times$1120" in text


def test_a_grid():
    assert grid(("a", "b"), [("1", "2\n3")]) == "| a | b |\n| --- | --- |\n| 1 | 2 3 |"
