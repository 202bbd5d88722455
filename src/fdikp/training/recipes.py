"""The recipes that have a name: ours on rendered pairs, the paper's on its data sets, and each of its ablations."""

import difflib
from dataclasses import replace
from pathlib import Path

from fdikp.errors import TrainingError
from fdikp.network.config import PRESETS
from fdikp.training.recipe import Recipe

LITE = Recipe(out=Path("runs/lite"), optimizer="muon", lr=1e-3, beta=0.02, gamma=0.1, delta=0.5, blur=0.02, hint=0.01)
"""`fdikp-lite` on rendered pairs, sized for CPUs.

Muon is ahead of Adam at equal steps, from random initialisation and from trained weights. LPIPS counts a tenth of what
it does in the paper: at its full weight real pairs come out worse, in PSNR and in LPIPS itself. Both are measured in
`benchmarks/results` (`optimizers`, `proxy/table6.md`).
"""

BASE = replace(LITE, config="fdikp-base", out=Path("runs/base"), crop=(256,), batch=(16,), warmup=500)
"""`fdikp-base` on rendered pairs, sized for one GPU."""

FINE_TUNE = replace(
    LITE,
    out=Path("runs/fine-tune"),
    start="fdikp-lite",
    beta=0.0,
    hint=0.0,
    steps=1000,
    crop=(192,),
    batch=(4,),
    lr=1.5e-4,
    warmup=50,
    ema_decay=(0.99,),
)
"""From trained weights to pictures of one's own: a slow rate, so that what was learned stays. Without LPIPS: in
few steps it costs PSNR and hardly lowers itself."""

PAPER_DPDD = Recipe(
    config="fdikp-base",
    pairs="real",
    out=Path("runs/paper-dpdd"),
    epochs=1500,
    share=(1400, 100),
    crop=(384, 512),
    batch=(4, 2),
    averaging=("none", "swa"),
    lr=1e-4,
    pixel_rate=1.0,
    warmup=0,
    schedule="steps",
    milestones=(0.4, 0.6, 0.8),
)
"""The paper's training on DPDD (its appendix A3). It names MultiStepLR but no milestones: those, and the clipping of
gradients, are ours."""

PAPER_LFDOF = replace(
    PAPER_DPDD, out=Path("runs/paper-lfdof"), epochs=300, share=(270, 30), crop=(256, 512), batch=(4, 2)
)
"""The paper's training on LFDOF (its appendix A3)."""

LOSSES = {
    "loss-l2": replace(PAPER_DPDD, beta=0.0, gamma=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-lpips": replace(PAPER_DPDD, gamma=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-freq": replace(PAPER_DPDD, beta=0.0, scales=(1.0, 0.0, 0.0)),
    "loss-l2-lpips-freq": replace(PAPER_DPDD, scales=(1.0, 0.0, 0.0)),
}
"""Table 6, from the first row to the fourth; the fifth is `paper-dpdd`."""

NETWORKS = {
    name: replace(PAPER_DPDD, config=name)
    for name, network in PRESETS.items()
    if not name.startswith("fdikp-") and network != PRESETS["fdikp-base"]
}
"""Tables 2 and 3, Figs. 6 and 12: each network of the paper's ablations, trained alike."""

RECIPES: dict[str, Recipe] = {
    "lite": LITE,
    "base": BASE,
    "fine-tune": FINE_TUNE,
    "paper-dpdd": PAPER_DPDD,
    "paper-lfdof": PAPER_LFDOF,
    **{
        f"ablation/{name}": replace(recipe, out=Path("runs/ablation") / name)
        for name, recipe in (NETWORKS | LOSSES).items()
    },
}
"""Every recipe that has a name."""


def named(name: str) -> Recipe:
    """The recipe of the given name.

    Raises:
        TrainingError: there is none.
    """
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.3) or ["lite"]
        raise TrainingError(f"there is no recipe '{name}'; did you mean '{close[0]}'? There are {', '.join(RECIPES)}")
    return RECIPES[name]
