"""A benchmark as a Markdown table and as plots."""

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
    "relative to the convolution",
    "peak MiB",
    "time relative to the first",
)


def markdown(benchmark: Benchmark) -> str:
    """The table of models, the reference rates, and what they depend on."""
    parts = [grid(HEAD, [_row(line) for line in benchmark.lines])]
    rates = [(rate.precision, f"{rate.matrix_product:.0f}", f"{rate.convolution:.0f}") for rate in benchmark.rates]
    parts.append(grid(("precision", "matrix product, GFLOP/s", "64-channel 3×3 convolution, GFLOP/s"), rates))
    parts.append("\n".join(f"- {name}: {value}" for name, value in benchmark.about.items()))
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
        "" if line.relative_rate is None else f"{line.relative_rate:.0%}",
        "" if line.peak_mib is None else f"{line.peak_mib:.0f}",
        "" if line.relative_time is None else _times(line.relative_time),
    )


def _times(ratio: Times) -> str:
    low, high = ratio.spread
    return f"×{ratio.median:.2f} ({low:.2f} to {high:.2f})"


def plots(benchmark: Benchmark) -> np.ndarray:
    """Seconds and peak memory over megapixels for each model and precision, [H, W, 3] uint8."""
    from fdikp.plots.canvas import render

    return render(compose(benchmark))


def compose(benchmark: Benchmark) -> "Figure":
    """The figure that `plots` draws."""
    from fdikp.plots.canvas import grid_figure

    figure, axes = grid_figure(1, 2, 4.2)
    curves = dict.fromkeys((line.model, line.precision) for line in benchmark.lines)
    for number, (model, precision) in enumerate(curves):
        lines = [line for line in benchmark.lines if (line.model, line.precision) == (model, precision)]
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
