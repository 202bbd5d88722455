"""The figures that pictures and trained models suffice for, by the names that `fdikp reproduce` takes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdikp.errors import DataError
from fdikp.paper.figures import dilation_map, failures, inverse_kernels, spectra, strips
from fdikp.paper.figures.strips import Case
from fdikp.plots.canvas import in_8_bits

if TYPE_CHECKING:
    from fdikp.inference.deblurrer import Deblurrer

RADIUS = 3.0
"""Of the blur that Fig. 6 is rendered with, pixels."""


def figure(name: str, models: "Mapping[str, Deblurrer]", cases: Sequence[Case], named: bool = False) -> np.ndarray:
    """One figure, [h, 900, 3] uint8.

    Args:
        name: `fig1`, `fig4`, `fig5`, `fig6` or `fig13`.
        models: by what to call them.
        cases: pictures: the first is shown, in Fig. 4 all, in Fig. 13 those with the least gain.
        named: the pictures were chosen already, and all are shown.

    Raises:
        FdikpError: the figure needs a target that its pictures do not have, or the model predicts no kernels.
    """
    first, model = cases[0], next(iter(models.values()))
    if name != "fig4" and name != "fig5" and (missing := [case.name for case in cases if case.target is None]):
        raise DataError(f"{missing[0]}: has no target, which {name} needs; give a set with ground truth")
    if name == "fig1":
        assert first.target is not None
        return spectra.draw(first.target, first.source, first.name)
    if name == "fig4":
        return strips.of_models(models, cases, "what models make of it")
    if name == "fig5":
        return dilation_map.of_model(model, first.source, first.name)
    if name == "fig6":
        from fdikp.synthesis.aperture import Aperture

        assert first.target is not None
        networks = {each: model.network for each, model in models.items()}
        sharp = in_8_bits(first.target, max(first.target.shape))
        return inverse_kernels.of_models(networks, sharp, RADIUS, Aperture(), f"{first.name}, a disc of {RADIUS:g} px")
    return failures.of_model(model, cases, f"where {model.name} gains least", max(len(cases), 1) if named else 4)
