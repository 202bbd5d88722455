"""The figures that need only images and trained models, by name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdikp.errors import DataError
from fdikp.paper.figures import dilation_map, failures, inverse_kernels, spectra, strips
from fdikp.paper.figures.strips import FigureImage
from fdikp.plots.canvas import to_uint8

if TYPE_CHECKING:
    from fdikp.inference.deblurrer import Deblurrer

FIGURES = ("fig1", "fig4", "fig5", "fig6", "fig13")

WITHOUT_TARGET = ("fig4", "fig5")
"""Figures that do not need a target."""

RADIUS = 3.0
"""Blur radius of Fig. 6, pixels."""


def figure(
    name: str, models: "Mapping[str, Deblurrer]", images: Sequence[FigureImage], show_all: bool = False
) -> np.ndarray:
    """One figure, [h, 900, 3] uint8.

    Args:
        name: one of `FIGURES`.
        models: models by title.
        images: Fig. 4 shows all of them, Fig. 13 those with the least gain, the other figures the first.
        show_all: Fig. 13 shows all images too.

    Raises:
        FdikpError: the figure needs a target that an image does not have, or the model predicts no kernels.
    """
    first, model = images[0], next(iter(models.values()))
    if name not in WITHOUT_TARGET and (missing := [image.name for image in images if image.target is None]):
        raise DataError(f"{missing[0]}: has no target, which {name} needs; choose a set with ground truth")
    if name == "fig1":
        assert first.target is not None
        return spectra.draw(first.target, first.source, first.name)
    if name == "fig4":
        return strips.from_models(models, images, "restored by models")
    if name == "fig5":
        return dilation_map.from_model(model, first.source, first.name)
    if name == "fig6":
        from fdikp.synthesis.aperture import Aperture

        assert first.target is not None
        networks = {title: each.network for title, each in models.items()}
        sharp = to_uint8(first.target, max(first.target.shape))
        title = f"{first.name}, a disc of {RADIUS:g} px"
        return inverse_kernels.from_models(networks, sharp, RADIUS, Aperture(), title)
    count = max(len(images), 1) if show_all else failures.COUNT
    return failures.from_model(model, images, f"where {model.name} gains least", count)
