"""Named recipes: ours on rendered pairs, the paper's on its data sets, and the paper's ablations."""

import difflib
from pathlib import Path

from fdikp.errors import TrainingError
from fdikp.network.config import PRESETS
from fdikp.training.recipe import Recipe

LITE = Recipe().override(
    output=Path("runs/lite"),
    optimizer="muon",
    lr=1e-3,
    beta=0.02,
    gamma=0.1,
    guard_weight=0.5,
    blur=0.02,
    radius_hint=0.01,
)
"""`fdikp-lite` on rendered pairs, sized for CPUs.

Muon is ahead of Adam at equal steps, from random initialisation and from trained weights. LPIPS has a tenth of its
weight in the paper: at the full weight real pairs come out worse, in PSNR and in LPIPS itself. See
`research/results/optimizers` and `benchmarks/results/proxy/table6.md`.
"""

BASE = LITE.override(config="fdikp-base", output=Path("runs/base"), crop=(256,), batch=(16,), warmup=500)
"""`fdikp-base` on rendered pairs, sized for one GPU."""

FINE_TUNE = LITE.override(
    output=Path("runs/fine-tune"),
    start="fdikp-lite",
    beta=0.0,
    radius_hint=0.0,
    steps=1000,
    crop=(192,),
    batch=(4,),
    lr=1.5e-4,
    warmup=50,
    ema_decay=(0.99,),
)
"""Trained weights on the user's own photos. A low learning rate keeps what was learned. No LPIPS: in few steps it costs
PSNR and hardly decreases itself."""

PAPER_DPDD = Recipe().override(
    config="fdikp-base",
    pairs="real",
    output=Path("runs/paper-dpdd"),
    epochs=1500,
    phase_lengths=(1400, 100),
    crop=(384, 512),
    batch=(4, 2),
    averaging=("none", "swa"),
    lr=1e-4,
    output_lr_scale=1.0,
    warmup=0,
    schedule="steps",
    milestones=(0.4, 0.6, 0.8),
)
"""The paper's training on DPDD (appendix A3). The paper names MultiStepLR without its milestones; these and gradient
clipping are ours."""

PAPER_LFDOF = PAPER_DPDD.override(
    output=Path("runs/paper-lfdof"), epochs=300, phase_lengths=(270, 30), crop=(256, 512), batch=(4, 2)
)
"""The paper's training on LFDOF (appendix A3)."""

LOSSES = {
    "loss-l2": PAPER_DPDD.override(beta=0.0, gamma=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-lpips": PAPER_DPDD.override(gamma=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-freq": PAPER_DPDD.override(beta=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-lpips-freq": PAPER_DPDD.override(scales=(1.0, 0.0, 0.0)),
}
"""Table 6, first to fourth row. The fifth is `paper-dpdd`."""

NETWORKS = {
    name: PAPER_DPDD.override(config=name)
    for name, network in PRESETS.items()
    if not name.startswith("fdikp-") and network != PRESETS["fdikp-base"]
}
"""Tables 2 and 3, Figs. 6 and 12: the networks of the paper's ablations, trained as `paper-dpdd`."""

RECIPES: dict[str, Recipe] = {
    "lite": LITE,
    "base": BASE,
    "fine-tune": FINE_TUNE,
    "paper-dpdd": PAPER_DPDD,
    "paper-lfdof": PAPER_LFDOF,
    **{
        f"ablation/{name}": recipe.override(output=Path("runs/ablation") / name)
        for name, recipe in (NETWORKS | LOSSES).items()
    },
}
"""Every named recipe."""


def named(name: str) -> Recipe:
    """The recipe of the given name.

    Raises:
        TrainingError: there is no recipe of that name.
    """
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.3) or ["lite"]
        raise TrainingError(f"there is no recipe '{name}'; did you mean '{close[0]}'? There are {', '.join(RECIPES)}")
    return RECIPES[name]
