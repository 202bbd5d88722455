"""The numbers of the FDIKP paper (arXiv 2508.12736), to print beside ours: Tables 1, 2, 3, 5 and 6, and Fig. 12.

The tables stand here as they are printed, and are read when the module is. What the paper heads "# Params (MB)" are
millions of parameters. Of Fig. 12 only the one point that the text states is known. The paper reports no parts of a set
(DPDD's indoor and outdoor).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

INPUT = "input"
"""The method that does nothing: the paper's rows "Blurry Input"."""

FDIKP = "fdikp-base"
"""The method that the paper calls "Ours". Its ablations have the names of our networks and recipes."""

Table = Literal["Table 1", "Table 2", "Table 3", "Table 5", "Table 6", "Fig. 12"]


@dataclass(frozen=True)
class PaperRow:
    """What one row of a table says of one data set."""

    table: Table
    row: str
    """The method as the paper names it; where it has check marks instead, what they stand for."""
    method: str
    """`INPUT`, one of our networks or recipes, or another paper's method without its year."""
    data: str
    trained_on: str
    """The set whose training part the model saw; "" for the input."""
    scores: dict[str, float]
    """By names of `METRICS`."""
    parameters: float | None
    """Millions."""
    seconds: float | None
    """For a picture of DPDD's test set, mean, on an RTX 3090; warm-up and synchronisation are not stated."""
    note: str
    """What makes the row hard to compare with others, or not what it seems; "" where nothing is known to."""


@dataclass(frozen=True)
class _PaperSet:
    images: int
    size: tuple[int, int]
    """As scored, pixels."""
    about: bool
    """Whether the sizes of its pictures vary."""


_SETS = {
    "DPDD": _PaperSet(76, (1680, 1120), about=False),
    "LFDOF": _PaperSet(725, (1008, 688), about=False),
    "RealDOF": _PaperSet(50, (2320, 1536), about=True),
    "RTF": _PaperSet(22, (352, 352), about=False),
}

_AS_DEFOCUS = ("defocus", "ifan", "drbnet", "p2ikt-half")
"""Protocols whose numbers are computed alike and which differ in size alone."""

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

# On DPDD: PSNR, SSIM, MAE, LPIPS; millions of parameters. Which parts a row has is read from the text and the counts
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
"""By table, method and set ("" for all of them)."""


def _wide(table: Table, text: str, sets: tuple[str, ...], trained_on: str) -> Iterator[PaperRow]:
    """The rows of a table that has three sets side by side."""
    for line in text.strip().splitlines():
        row, *cells = line.rsplit(maxsplit=11)
        method = {"Blurry Input": INPUT, "Ours": FDIKP}.get(row, row.partition(" (")[0])
        for n, data in enumerate(sets):
            scores = dict(zip(("psnr", "ssim", "lpips"), map(float, cells[3 * n : 3 * n + 3]), strict=True))
            note = _NOTES.get((table, method, data)) or _NOTES.get((table, method, ""), "")
            trained = "" if method == INPUT else trained_on
            yield PaperRow(table, row, method, data, trained, scores, _number(cells[9]), _number(cells[10]), note)


def _ablation(table: Table, text: str) -> Iterator[PaperRow]:
    """The rows of a table of variants, trained and tested on DPDD."""
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
    # The paper heads its first three columns DPDD; its caption and text say LFDOF, and so do the input's numbers
    *_wide("Table 5", _TABLE_5, ("LFDOF", "RealDOF", "RTF"), "LFDOF"),
    *_ablation("Table 6", _TABLE_6),
    *_ablation("Fig. 12", _FIG_12),
)
"""Every number, in the paper's order."""


def paper_row(method: str, data: str, group: str | None = None) -> PaperRow | None:
    """What the paper says of a method on a set, or None where it says nothing.

    Args:
        method: as in `PaperRow.method`; capitals do not matter. `fdikp-lite` and the kernel size 5 of Fig. 12 are
            held against the paper's full model.
        data: the set's name; capitals do not matter.
        group: a part of the set; the paper reports none.

    Returns:
        The first row; with the numbers that only a later table has of the same model, such as its MAE. Of sets that
        the paper tests twice it is that of the model trained on DPDD.
    """
    name = {"fdikp-lite": FDIKP, "kernel-5": FDIKP}.get(method.lower(), method.lower())
    found = [r for r in PAPER if r.method.lower() == name and r.data.lower() == data.lower() and group is None]
    if not found:
        return None
    same = [row for row in found if row.trained_on == found[0].trained_on]
    return replace(found[0], scores={name: s for row in reversed(same) for name, s in row.scores.items()})


def why_not_comparable(row: PaperRow, protocol: str, images: int, sizes: str) -> list[str]:
    """Reasons not to hold our numbers against a row's; none where sizes and protocol agree as far as is known.

    Args:
        row: what the paper says.
        protocol: a name that `find_protocol` takes.
        images: how many pictures ours are the mean of.
        sizes: what was scored, such as `1680×1120` or `2220×1536 to 2320×1536`.
    """
    expected = _SETS[row.data]
    reasons = [] if protocol in _AS_DEFOCUS else [f"protocol {protocol}, where the paper's is taken to be defocus"]
    if images != expected.images:
        reasons.append(f"{images} images, where the paper has {expected.images}")
    scored = [sorted((int(w), int(h)), reverse=True) for w, h in re.findall(r"(\d+)×(\d+)", sizes)]
    apart = 0.15 if expected.about else 0.0
    wanted = expected.size
    if any(abs(side / want - 1) > apart for size in scored for side, want in zip(size, wanted, strict=True)):
        about = "about " if expected.about else ""
        reasons.append(f"scored {sizes}, where the paper has {about}{wanted[0]}×{wanted[1]}")
    return reasons
