"""The published numbers of the FDIKP paper (arXiv 2508.12736): Tables 1, 2, 3, 5 and 6, and Fig. 12.

The tables are transcribed as printed, and parsed at import. The column "# Params (MB)" of the paper holds millions of
parameters. Of Fig. 12 the text states only one point. The paper reports no parts of a set (DPDD's indoor and outdoor).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

INPUT = "input"
"""The unrestored input: the paper's rows "Blurry Input"."""

FDIKP = "fdikp-base"
"""The method "Ours" of the paper. Its ablations have the names of our networks and recipes."""

COMPARISONS: "dict[str, Table]" = {"table1": "Table 1", "table5": "Table 5"}
"""The paper's comparisons of methods by the names that `fdikp reproduce` takes: trained on DPDD, and on LFDOF."""

Table = Literal["Table 1", "Table 2", "Table 3", "Table 5", "Table 6", "Fig. 12"]


@dataclass(frozen=True)
class PaperRow:
    """The scores of one table row on one data set."""

    table: Table
    row: str
    """The method's name in the paper, or the meaning of its check marks."""
    method: str
    """`INPUT`, one of our networks or recipes, or another method without its year."""
    data: str
    trained_on: str
    """The training set of the model; "" for the input."""
    scores: dict[str, float]
    """The scores by names of `METRICS`."""
    parameters: float | None
    """In millions."""
    seconds: float | None
    """Mean time of an image of DPDD's test set on an RTX 3090; the paper states neither warm-up nor synchronisation."""
    note: str
    """Why the row is hard to compare or looks wrong; "" if there is no known reason."""


@dataclass(frozen=True)
class _PaperSet:
    images: int
    size: tuple[int, int]
    """Width and height as scored, pixels."""
    sizes_vary: bool
    """Whether the sizes of its images vary around `size`."""


_SETS = {
    "DPDD": _PaperSet(76, (1680, 1120), sizes_vary=False),
    "LFDOF": _PaperSet(725, (1008, 688), sizes_vary=False),
    "RealDOF": _PaperSet(50, (2320, 1536), sizes_vary=True),
    "RTF": _PaperSet(22, (352, 352), sizes_vary=False),
}

_AS_DEFOCUS = ("defocus", "ifan", "drbnet", "p2ikt-half")
"""Protocols that score alike and differ only in the size of the scored images."""

# PSNR, SSIM, LPIPS on each of three sets; millions of parameters; seconds
_TABLE_1 = """
Blurry Input      23.89 0.725 0.349  22.33 0.633 0.524  24.18 0.739 0.339  -      -
DPDNet (2020)     23.91 0.730 0.357  22.52 0.644 0.583  22.95 0.754 0.388  35.25  0.31
IFAN (2021)       25.36 0.788 0.216  24.71 0.748 0.304  24.92 0.821 0.214  10.18  0.20
DRBNet (2022)     25.36 0.787 0.239  24.34 0.743 0.335  24.56 0.808 0.261  11.69  0.01
NRKNet (2023)     26.11 0.803 0.223  25.03 0.752 0.335  25.92 0.846 0.204  6.09   0.42
SFHformer (2024)  26.14 0.808 0.220  25.18 0.761 0.326  25.59 0.844 0.227  5.83   0.42
P2IKT (2024)      26.24 0.805 0.194  25.43 0.758 0.307  25.83 0.841 0.201  3.32   0.05
PPTformer (2025)  26.09 0.805 0.192  25.27 0.771 0.299  25.42 0.850 0.182  39.65  2.78
EAMamba (2025)    26.02 0.813 0.181  24.59 0.761 0.309  24.36 0.817 0.231  25.32  2.76
Ours              26.42 0.813 0.185  25.58 0.771 0.283  26.52 0.865 0.163  5.52   0.10
"""

_TABLE_5 = """
Blurry Input      25.87 0.779 0.316  22.33 0.633 0.524  24.18 0.739 0.339  -      -
DPDNet (2020)     26.83 0.805 0.235  23.12 0.659 0.489  25.25 0.802 0.253  35.25  -
IFAN (2021)       29.72 0.805 0.235  23.75 0.717 0.363  26.77 0.862 0.211  10.18  -
GKMNet (2021)     29.02 0.875 0.156  23.30 0.686 0.374  26.95 0.867 0.225  1.41   -
DRBNet (2022)     30.28 0.888 0.146  22.74 0.657 0.465  26.49 0.855 0.223  11.69  -
Restormer (2022)  30.49 0.891 0.139  22.35 0.634 0.519  27.12 0.877 0.181  26.10  -
NRKNet (2023)     30.54 0.889 0.147  23.53 0.694 0.433  28.05 0.901 0.140  6.09   -
P2IKT (2024)      30.81 0.895 0.117  23.93 0.709 0.403  27.82 0.898 0.133  3.32   -
Ours              31.12 0.899 0.114  24.21 0.736 0.348  28.16 0.909 0.080  5.52   -
"""

# On DPDD: PSNR, SSIM, MAE, LPIPS; millions of parameters. Parts of a row are inferred from the text and the counts
_TABLE_2 = """
sram       SRAM               25.49 0.784 0.0409 0.216  5.51
sram-fikp  SRAM + FIKP        25.89 0.797 0.0385 0.205  5.62
dsrm       DSRM               26.11 0.803 0.0373 0.195  5.41
dsrm-dikp  DSRM + DIKP        26.28 0.809 0.0368 0.193  5.52
fdikp-base DSRM + DIKP + PAC  26.42 0.813 0.0366 0.185  5.52
"""

_TABLE_3 = """
ddm-spatial    (a) Spatial-only    26.24 0.805 - -  3.37
ddm-frequency  (b) Frequency-only  26.17 0.804 - -  3.73
ddm-parallel   (c) Dual-branch     26.25 0.802 - -  6.52
fdikp-base     (d) DDM (Ours)      26.42 0.813 - -  5.52
"""

_TABLE_6 = """
loss-l2             L2                       25.694 0.788 0.0395 0.255  -
loss-l2-lpips       L2 + LPIPS               25.692 0.782 0.0396 0.121  -
loss-l2-freq        L2 + freq                26.258 0.808 0.0375 0.217  -
loss-l2-lpips-freq  L2 + LPIPS + freq        26.329 0.811 0.0370 0.217  -
fdikp-base          L2 + LPIPS + freq + MS   26.420 0.813 0.0366 0.185  -
"""

_FIG_12 = """
fdikp-base  kernel size 5  26.420 - - -  -
"""

_RETRAINED = "retrained by the paper's authors"

_NOTES = {
    **{("Table 1", method, ""): f"{_RETRAINED} on DPDD" for method in ("DPDNet", "DRBNet", "SFHformer")},
    **{
        ("Table 5", method, ""): f"{_RETRAINED} on LFDOF"
        for method in ("DPDNet", "IFAN", "GKMNet", "DRBNet", "Restormer", "P2IKT")
    },
    ("Table 5", "IFAN", "LFDOF"): f"{_RETRAINED} on LFDOF; SSIM and LPIPS repeat those of the row above, DPDNet's",
    ("Table 6", "loss-l2-lpips-freq", "DPDD"): "LPIPS repeats that of the row above, though its loss is added",
}
"""By table, method and set ("" for all sets)."""


def _wide(table: Table, text: str, sets: tuple[str, ...], trained_on: str) -> Iterator[PaperRow]:
    """The rows of a table with three sets side by side."""
    for line in text.strip().splitlines():
        row, *cells = line.rsplit(maxsplit=11)
        method = {"Blurry Input": INPUT, "Ours": FDIKP}.get(row, row.partition(" (")[0])
        for n, data in enumerate(sets):
            scores = dict(zip(("psnr", "ssim", "lpips"), map(float, cells[3 * n : 3 * n + 3]), strict=True))
            note = _NOTES.get((table, method, data)) or _NOTES.get((table, method, ""), "")
            trained = "" if method == INPUT else trained_on
            yield PaperRow(table, row, method, data, trained, scores, _number(cells[9]), _number(cells[10]), note)


def _ablation(table: Table, text: str) -> Iterator[PaperRow]:
    """The rows of an ablation table, trained and tested on DPDD."""
    for line in text.strip().splitlines():
        method, rest = line.split(maxsplit=1)
        row, *cells = rest.rsplit(maxsplit=5)
        numbers = zip(("psnr", "ssim", "mae", "lpips"), map(_number, cells[:4]), strict=True)
        scores = {name: number for name, number in numbers if number is not None}
        note = _NOTES.get((table, method, "DPDD"), "")
        yield PaperRow(table, row, method, "DPDD", "DPDD", scores, _number(cells[4]), None, note)


def _number(cell: str) -> float | None:
    return None if cell == "-" else float(cell)


PAPER: tuple[PaperRow, ...] = (
    *_wide("Table 1", _TABLE_1, ("DPDD", "RealDOF", "RTF"), "DPDD"),
    *_ablation("Table 2", _TABLE_2),
    *_ablation("Table 3", _TABLE_3),
    # The paper labels its first three columns DPDD; caption, text and the scores of the input say LFDOF
    *_wide("Table 5", _TABLE_5, ("LFDOF", "RealDOF", "RTF"), "LFDOF"),
    *_ablation("Table 6", _TABLE_6),
    *_ablation("Fig. 12", _FIG_12),
)
"""All rows, in the order of the paper."""


def paper_row(method: str, data: str, group: str | None = None) -> PaperRow | None:
    """The paper's scores of a method on a set, or None if it has none.

    Args:
        method: as in `PaperRow.method`, in any case. `fdikp-lite` and the kernel size 5 of Fig. 12 map to the paper's
            full model.
        data: the name of the set, in any case.
        group: a part of the set, for which the paper reports nothing.

    Returns:
        The first row, completed by scores of the same model that only a later table has, such as its MAE. For sets that
        the paper tests twice, it is the row of the model trained on DPDD.
    """
    name = {"fdikp-lite": FDIKP, "kernel-5": FDIKP}.get(method.lower(), method.lower())
    rows = [r for r in PAPER if r.method.lower() == name and r.data.lower() == data.lower() and group is None]
    if not rows:
        return None
    same = [row for row in rows if row.trained_on == rows[0].trained_on]
    return replace(rows[0], scores={name: s for row in reversed(same) for name, s in row.scores.items()})


def why_not_comparable(row: PaperRow, protocol: str, images: int, sizes: str) -> list[str]:
    """Reasons not to compare our scores with a row; empty if protocol, number of images and sizes agree.

    Args:
        row: of the paper.
        protocol: a name that `find_protocol` accepts.
        images: the number of images behind our mean.
        sizes: the scored sizes, such as `1680×1120` or `2220×1536 to 2320×1536`.
    """
    expected = _SETS[row.data]
    reasons = [] if protocol in _AS_DEFOCUS else [f"protocol {protocol}, where the paper's is presumably defocus"]
    if images != expected.images:
        reasons.append(f"{images} images, where the paper has {expected.images}")
    scored = [sorted((int(w), int(h)), reverse=True) for w, h in re.findall(r"(\d+)×(\d+)", sizes)]
    tolerance = 0.15 if expected.sizes_vary else 0.0
    width_height = expected.size
    if any(
        abs(side / paper - 1) > tolerance for size in scored for side, paper in zip(size, width_height, strict=True)
    ):
        about = "about " if expected.sizes_vary else ""
        reasons.append(f"scored {sizes}, where the paper has {about}{width_height[0]}×{width_height[1]}")
    return reasons
