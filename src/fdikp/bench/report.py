"""A benchmark as a table and as plots."""

from typing import TYPE_CHECKING

import numpy as np

from fdikp.bench.suite import Benchmark, Line
from fdikp.bench.timing import Times
from fdikp.evaluation.tables import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD = (
    "model",
    "precision",
    "size",
    "seconds",
    "quartiles",
    "megapixels/s",
    "GFLOP",
    "GFLOP/s",
    "share of the convolution's rate",
    "peak MiB",
    "time against the first",
)


def markdown(found: Benchmark) -> str:
    """The table, what the machine reached, and what the figures depend on."""
    parts = [grid(HEAD, [_row(line) for line in found.lines])]
    rates = [(rate.precision, f"{rate.matrix_product:.0f}", f"{rate.convolution:.0f}") for rate in found.rates]
    parts.append(grid(("precision", "matrix product, GFLOP/s", "64-channel 3×3 convolution, GFLOP/s"), rates))
    parts.append("\n".join(f"- {name}: {value}" for name, value in found.about.items()))
    return "\n\n".join(parts) + "\n"


def _row(line: Line) -> tuple[str, ...]:
    seconds = line.seconds.median
    low, high = line.seconds.spread
    return (
        line.model,
        line.precision,
        f"{line.width}×{line.height}",
        f"{seconds:.3g}",
        f"{low:.3g} to {high:.3g}",
        f"{line.width * line.height / 1e6 / seconds:.3g}",
        "" if line.gflop is None else f"{line.gflop:.0f}",
        "" if line.gflop is None else f"{line.gflop / seconds:.0f}",
        "" if line.share is None else f"{line.share:.0%}",
        "" if line.peak_mib is None else f"{line.peak_mib:.0f}",
        "" if line.against is None else _times(line.against),
    )


def _times(ratio: Times) -> str:
    low, high = ratio.spread
    return f"×{ratio.median:.2f} ({low:.2f} to {high:.2f})"


def plots(found: Benchmark) -> np.ndarray:
    """Seconds and peak memory against pixels, for each model and precision: [H, W, 3] uint8."""
    from fdikp.plots.canvas import drawn

    return drawn(compose(found))


def compose(found: Benchmark) -> "Figure":
    """The figure that `plots` draws."""
    from fdikp.plots.canvas import grid_figure

    figure, axes = grid_figure(1, 2, 4.2)
    curves = dict.fromkeys((line.model, line.precision) for line in found.lines)
    for number, (model, precision) in enumerate(curves):
        lines = [line for line in found.lines if (line.model, line.precision) == (model, precision)]
        lines.sort(key=lambda line: line.width * line.height)
        pixels = [line.width * line.height / 1e6 for line in lines]
        style = {"color": f"C{number}", "marker": "osv^Dxp*"[number % 8], "label": f"{model}, {precision}"}
        median = np.array([line.seconds.median for line in lines])
        spread = np.abs(np.array([line.seconds.spread for line in lines]).T - median)
        axes.flat[0].errorbar(pixels, median, yerr=spread, capsize=3, **style)
        known = [(p, line.peak_mib) for p, line in zip(pixels, lines, strict=True) if line.peak_mib is not None]
        if known:
            axes.flat[1].plot(*zip(*known, strict=True), **style)
    for axis, title in zip(axes.flat, ("seconds", "peak memory, MiB"), strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("megapixels")
        axis.set_title(title)
        axis.grid(True, which="both", alpha=0.3)
    axes.flat[0].legend()
    return figure
