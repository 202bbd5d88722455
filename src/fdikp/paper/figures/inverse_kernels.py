"""Fig. 6: inverse kernels by stage of the frequency and the spatial predictor, beside the rendered blur.

Curves below show the combined frequency response |K*|·|K|, which is 1 where the inverse kernel undoes the blur.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.paper.figures.spectra import radial_mean
from fdikp.plots.canvas import (
    FRAMES,
    SIGNED,
    STAGE_TITLES,
    UNSIGNED,
    WIDTH,
    new_figure,
    render,
    root_scale,
    root_ticks,
    show_map,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdikp.network import FDIKP
    from fdikp.synthesis import Aperture

MAX_RESPONSE = 2.2
"""Upper end of the axis of |K*|·|K|; the ideal is 1."""

TORUS = 129
"""Side of the Fourier transforms behind the curves, at least four times that of the transformed kernels."""


@dataclass(frozen=True)
class PredictedKernels:
    """The kernels of one predictor for an image with one blur radius everywhere."""

    name: str
    """Name of the predictor, such as `frequency`."""
    kernels: np.ndarray
    """[3, N, K, K], stages coarse to fine, predicted for the blurred image."""
    dilations: Sequence[float]
    """Mean distance of the taps at each stage, in pixels of the stage."""


def draw(predicted: Sequence[PredictedKernels], blurs: Sequence[np.ndarray], title: str) -> np.ndarray:
    """PredictedKernels inverse kernels beside the blur kernel and its regularised inverse, and the responses of all.

    Args:
        predicted: kernels of one or more predictors.
        blurs: the blur kernel in pixels of each stage, coarse to fine, [R, R] each, R odd.
        title: heading.

    Returns:
        [h, 900, 3] uint8.
    """
    return render(compose(predicted, blurs, title))


def compose(predicted: Sequence[PredictedKernels], blurs: Sequence[np.ndarray], title: str) -> "Figure":
    """The figure that `draw` draws; its first subfigure has the kernels, its second the responses."""
    rows, columns = 3 * len(predicted), 2 + max(one.kernels.shape[1] for one in predicted)
    heights = [rows * (WIDTH - 1.4) / columns + 1.1, 2.9]
    figure = new_figure(sum(heights) + 0.3)
    parts = figure.add_gridspec(2, 1, height_ratios=heights)
    above, below = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    grid = above.subplots(rows, columns, squeeze=False)
    inverses = [inverse_of(blur) for blur in blurs]
    _show_kernels(above, grid, predicted, blurs, inverses)
    for stage, axes in enumerate(below.subplots(1, 3, sharey=True, squeeze=False)[0]):
        _show_responses(axes, [(one.name, responses(one, blurs[stage], stage)) for one in predicted], blurs[stage])
        axes.set_title(STAGE_TITLES[stage], fontsize=10)
        if stage == 0:
            axes.set_ylabel("|K*|·|K|")
    handles, labels = below.axes[0].get_legend_handles_labels()
    below.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9, frameon=False)
    figure.suptitle(title)
    return figure


def _show_kernels(
    figure: Any,
    grid: np.ndarray,
    predicted: Sequence[PredictedKernels],
    blurs: Sequence[np.ndarray],
    inverses: Sequence[np.ndarray],
) -> None:
    signed = [one.kernels for one in predicted] + list(inverses)
    limit = round_up(max(float(np.abs(values).max()) for values in signed))
    for place, (one, stage) in enumerate((one, stage) for one in predicted for stage in range(3)):
        row = grid[place]
        show_map(row[0], trimmed(blurs[stage]), cmap=UNSIGNED, vmin=0)
        image = show_map(row[1], inverses[stage], cmap=SIGNED, norm=root_scale(limit))
        for axes, kernel in zip(row[2:], one.kernels[stage], strict=False):
            show_map(axes, kernel, cmap=SIGNED, norm=root_scale(limit))
        for axes in row[2 + len(one.kernels[stage]) :]:
            axes.set_axis_off()
        label = f"{one.name}\n{STAGE_TITLES[stage]}\ntaps {one.dilations[stage]:.2f} px apart"
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    titles = ["true blur k", "its inverse", *(f"k* {n + 1}" for n in range(grid.shape[1] - 2))]
    for axes, name in zip(grid[0], titles, strict=True):
        axes.set_title(name, fontsize=10)
    scale = "weight in k* and in the regularised inverse of k (white is 0; colours on a square-root scale)"
    bar = figure.colorbar(image, ax=list(grid.ravel()), label=scale, location="bottom", aspect=50, shrink=0.8)
    bar.set_ticks(root_ticks(limit), labels=[f"{tick:.2g}" for tick in root_ticks(limit)])


def _show_responses(axes: Any, found: Sequence[tuple[str, np.ndarray]], blur: np.ndarray) -> None:
    axes.axhline(1.0, color="0.75", linewidth=1)
    frequency, alone = response(blur)
    axes.plot(frequency, alone, color="0.2", linestyle="--", label="blur alone")
    from fdikp.paper.kernel_path.response import REGULARISATION

    axes.plot(frequency, regularised(blur, REGULARISATION), color="0.2", label="with the regularised inverse")
    for (name, curves), colour in zip(found, FRAMES, strict=False):
        for n, curve in enumerate(curves):
            axes.plot(frequency, curve, color=colour, linewidth=1, alpha=0.8, label=f"k*, {name}" if n == 0 else None)
    axes.set_xlim(0, 0.5)
    axes.set_ylim(0, MAX_RESPONSE)
    axes.set_xlabel("cycles per pixel of the stage", fontsize=9)


def round_up(number: float) -> float:
    """Round up to one significant digit.

    >>> round_up(1.91), round_up(0.013)
    (2.0, 0.02)
    """
    unit: float = 10.0 ** np.floor(np.log10(number))
    return float(np.ceil(number / unit) * unit)


def trimmed(blur: np.ndarray) -> np.ndarray:
    """A blur kernel cropped to its support and a rim of two pixels."""
    middle = len(blur) // 2
    rows, columns = np.nonzero(blur > 1e-3 * blur.max())
    reach = min(middle, int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max())) + 2)
    return blur[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def inverse_of(blur: np.ndarray) -> np.ndarray:
    """The regularised inverse of a blur kernel, of the size of the trimmed kernel."""
    import torch

    from fdikp.paper.kernel_path.response import regularised_inverse

    small = trimmed(blur)
    return regularised_inverse(torch.from_numpy(small), len(small)).numpy()


def response(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radial mean of the spectrum magnitude of a point response [S, S], S odd, with its frequencies."""
    around = (TORUS - len(image)) // 2
    whole = np.fft.fft2(np.fft.ifftshift(np.pad(image, around)))
    return radial_mean(np.fft.fftshift(np.abs(whole)))


def regularised(blur: np.ndarray, noise: float) -> np.ndarray:
    """|K*|·|K| of the regularised inverse: |K|² / (|K|² + noise), radial mean."""
    around = (TORUS - len(blur)) // 2
    power = np.abs(np.fft.fft2(np.pad(blur, around))) ** 2
    return radial_mean(np.fft.fftshift(power / (power + noise)))[1]


def responses(one: PredictedKernels, blur: np.ndarray, stage: int) -> np.ndarray:
    """|K*|·|K| of each kernel of a stage at its dilation, [N, frequencies]."""
    import torch

    from fdikp.paper.kernel_path.response import point_images

    kernels = torch.from_numpy(one.kernels[stage]).double()
    images = point_images(torch.from_numpy(blur).double(), kernels, one.dilations[stage])
    return np.stack([response(image)[1] for image in images.numpy()])


def from_models(
    models: "Mapping[str, FDIKP]", image: np.ndarray, radius: float, aperture: "Aperture", title: str
) -> np.ndarray:
    """The figure for the centre of a sharp image, uint8 or uint16 [H, W, 3], rendered with one blur radius.

    Args:
        models: networks by title, such as `{"frequency": …, "spatial": …}`.
        image: the sharp image.
        radius: of the blur, pixels.
        aperture: of the rendering.
        title: heading.

    Raises:
        FdikpError: a network predicts no kernels, or the image is too small or has no texture.
    """
    from fdikp.errors import DataError
    from fdikp.network import MIN_SIZE, SCALES, SIZE_MULTIPLE
    from fdikp.paper.kernel_path.interventions import kernel_path_of
    from fdikp.paper.kernel_path.known_blur import MARGIN, crops, uniform_pair
    from fdikp.paper.kernel_path.measure import predict

    size = max(MIN_SIZE, (min(image.shape[:2]) - 2 * MARGIN) // SIZE_MULTIPLE * SIZE_MULTIPLE)
    pair = uniform_pair(crops([image], size)[0], radius, aperture)
    predicted = []
    for name, network in models.items():
        kernel_path_of(network)
        (prediction,) = predict(network, [pair])
        kernels = np.stack([stage.kernels[0, 0].numpy() for stage in prediction.stages])
        dilations = [float(dilation.mean()) for dilation, _ in prediction.dilation_and_radius()]
        if np.isnan(dilations).any():
            raise DataError("the image has no texture, so its blur cannot be measured; choose another")
        predicted.append(PredictedKernels(name, kernels, dilations))
    return draw(predicted, [pair.kernel(scale).numpy() for scale in SCALES], title)
