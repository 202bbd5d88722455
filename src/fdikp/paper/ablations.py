"""The paper's ablations: the variants of each table, their training, and their order by PSNR.

The full reproduction trains each variant by the paper's recipe on DPDD, which takes days on a GPU. The *proxy* trains
the same variants with fewer channels for a small equal budget on rendered pairs. Its scores do not compare with the
paper's; the order of the variants does.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from fdikp.paper.numbers import FDIKP, PAPER, Table
from fdikp.training.recipe import Recipe
from fdikp.training.recipes import named


@dataclass(frozen=True)
class Variant:
    """One row of a table."""

    label: str
    """The name in the paper."""
    recipe: str
    """The training recipe, a name in `fdikp.training.recipes`."""
    psnr: float | None
    """The paper's PSNR on DPDD, dB; None if the paper plots it without a number."""


FULL = "paper-dpdd"


def _rows_of(table: Table) -> tuple[Variant, ...]:
    """The rows of one of the paper's ablation tables."""
    rows = (row for row in PAPER if row.table == table)
    return tuple(
        Variant(row.row, FULL if row.method == FDIKP else f"ablation/{row.method}", row.scores["psnr"]) for row in rows
    )


ABLATIONS: dict[str, tuple[Variant, ...]] = {
    "table2": _rows_of("Table 2"),
    "table3": _rows_of("Table 3"),
    "table6": _rows_of("Table 6"),
    "predictor": (
        Variant("spatial predictor", "ablation/spatial-predictor", None),
        Variant("frequency predictor", FULL, None),
    ),
    "fig12": tuple(
        replace(*_rows_of("Fig. 12"), label="K = N = 5")
        if k == 5
        else Variant(f"K = N = {k}", f"ablation/kernel-{k}", None)
        for k in (3, 5, 7, 9, 11, 15)
    ),
}
"""Tables 2, 3 and 6, the predictors of Fig. 6, and Fig. 12, in the paper's order."""


@dataclass(frozen=True)
class Budget:
    """The training budget of each variant of a proxy."""

    steps: int = 600
    """Training steps of each variant of a proxy."""
    crop: int = 64
    """Side of its training crops, pixels."""
    batch: int = 4
    """Crops per step."""
    lr: float = 8e-4
    """Peak learning rate."""
    width_divisor: int = 2
    """Divisor of the channels of every network."""
    perceptual: bool = False
    """Keep LPIPS in the loss. With a small budget the PSNR then falls below that of the input (table6, which always
    keeps it, shows that), and the order of the variants means little."""

    def describe(self) -> str:
        """The budget in one line, for tables."""
        return (
            f"{self.steps} steps of {self.batch} crops of {self.crop}×{self.crop}, Adam {self.lr:g}, cosine, "
            f"channels divided by {self.width_divisor}, rendered pairs, "
            f"the paper's loss{'' if self.perceptual else ' without LPIPS'}"
        )


def budget_of(table: str, budget: Budget) -> Budget:
    """The budget for the variants of a table."""
    return replace(budget, perceptual=True) if table == "table6" else budget


def real_run(variant: Variant, data: Path, out: Path, seed: int) -> Recipe:
    """The paper's training of a variant; resumes the run in `out` if there is one."""
    return named(variant.recipe).override(paths=(data,), output=out, seed=seed, resume=True)


def proxy_run(variant: Variant, sharp: Sequence[Path], out: Path, seed: int, budget: Budget) -> Recipe:
    """A small training run of a variant: its network and its loss, with all other settings equal."""
    return named(variant.recipe).override(
        width_divisor=budget.width_divisor,
        paths=tuple(sharp),
        pairs="rendered",
        output=out,
        seed=seed,
        resume=True,
        epochs=0.0,
        steps=budget.steps,
        phase_lengths=(1.0,),
        crop=(budget.crop,),
        batch=(budget.batch,),
        averaging=("ema",),
        ema_decay=(0.99,),
        lr=budget.lr,
        output_lr_scale=0.05,
        warmup=min(100, budget.steps // 6),
        schedule="cosine",
        milestones=(),
        beta=named(variant.recipe).loss.beta if budget.perceptual else 0.0,
        validate_every=1e9,
        log_every=50,
    )


@dataclass(frozen=True)
class Ordering:
    """Two variants, and the lead of the second over the first, dB."""

    first: str
    second: str
    paper: float
    ours: float
    spread: float
    """The largest difference between seeds of either variant, dB; a smaller lead is not significant."""

    @property
    def verdict(self) -> str:
        """Whether the order agrees with the paper: `yes`, `no`, or `undecided` if the lead is within the spread."""
        if abs(self.ours) <= self.spread:
            return "undecided"
        return "yes" if (self.paper > 0) == (self.ours > 0) else "no"


def orderings(variants: Sequence[Variant], scores: Mapping[str, Sequence[float]]) -> list[Ordering]:
    """Compare the order of each pair of variants that has numbers in the paper.

    Args:
        variants: of one table.
        scores: the PSNR of each seed, by label.

    >>> pair = (Variant("a", "", 25.0), Variant("b", "", 26.0))
    >>> [o.verdict for o in orderings(pair, {"a": [20.0, 20.1], "b": [20.6, 20.5]})]
    ['yes']
    """
    scored = [v for v in variants if v.psnr is not None and scores.get(v.label)]
    spread = {v.label: max(scores[v.label]) - min(scores[v.label]) for v in scored}
    return [
        Ordering(
            a.label,
            b.label,
            (b.psnr or 0.0) - (a.psnr or 0.0),
            fmean(scores[b.label]) - fmean(scores[a.label]),
            max(spread[a.label], spread[b.label]),
        )
        for a, b in itertools.combinations(scored, 2)
    ]


def ordering_rows(pairs: Sequence[Ordering]) -> list[dict[str, Any]]:
    """The orderings as table rows."""
    return [
        {
            "first": o.first,
            "second": o.second,
            "paper, dB": f"{o.paper:+.3f}",
            "proxy, dB": f"{o.ours:+.3f}",
            "between seeds, dB": f"{o.spread:.3f}",
            "agrees": o.verdict,
        }
        for o in pairs
    ]
