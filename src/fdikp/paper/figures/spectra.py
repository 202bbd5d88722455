"""Fig. 1: the effect of defocus on an image and on its spectrum."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.plots.canvas import (
    FRAMES,
    UNSIGNED,
    WIDTH,
    height_of,
    luminance,
    new_figure,
    render,
    show_image,
    show_map,
    to_uint8,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST_ZEROS = (0.6098, 1.1166)
"""Radius times frequency at the first and second zero of the spectrum of a disc: j₁,ₙ / 2π."""

DECADES = 5.0
"""Range of the colour scale of amplitudes, decades below the maximum."""


def draw(sharp: np.ndarray, defocused: np.ndarray, title: str, radius: float | None = None) -> np.ndarray:
    """Amplitude and phase spectra of a sharp and a defocused image, and their mean amplitudes by frequency.

    Args:
        sharp, defocused: [H, W, 3] of one size, uint8, uint16, or floats in 0..1; from 8×8.
        title: heading.
        radius: of the blur disc, pixels, if it is the same everywhere; its spectral zeros are marked.

    Returns:
        [h, 900, 3] uint8.
    """
    return render(compose(sharp, defocused, title, radius))


def compose(sharp: np.ndarray, defocused: np.ndarray, title: str, radius: float | None = None) -> "Figure":
    """The figure that `draw` draws."""
    shape = sharp.shape[:2]
    whole = height_of(shape, WIDTH / 3)
    heights = [2 * whole + 1.0, 2.7]
    figure = new_figure(sum(heights))
    rows = figure.add_gridspec(2, 1, height_ratios=heights)
    above, below = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    grid = above.subplots(2, 3, squeeze=False)
    curves = below.subplots()
    top = max(float(amplitude(image).max()) for image in (sharp, defocused))
    for row, name, image, colour in zip(
        grid, ("sharp", "out of focus"), (sharp, defocused), (FRAMES[1], FRAMES[0]), strict=True
    ):
        show_image(row[0], to_uint8(image), name)
        log = np.log10(np.maximum(amplitude(image) / top, 10**-DECADES))
        amplitudes = _show_spectrum(row[1], log, f"{name}: amplitude", cmap=UNSIGNED, vmin=-DECADES, vmax=0)
        # Phase is cyclic, so the colours at ±π must be equal
        phases = _show_spectrum(row[2], phase(image), f"{name}: phase", cmap="twilight", vmin=-np.pi, vmax=np.pi)
        frequency, mean = radial_mean(amplitude(image) / top)
        curves.semilogy(frequency[1:], mean[1:], color=colour, linewidth=2, label=name)
    bar: dict[str, Any] = {"location": "bottom", "shrink": 0.9, "aspect": 30}
    scale = above.colorbar(amplitudes, ax=grid[:, 1], label="relative to the largest amplitude", **bar)
    scale.set_ticks([-4, -2, 0], labels=["10⁻⁴", "10⁻²", "1"])
    turns = above.colorbar(phases, ax=grid[:, 2], label="phase, radians", **bar)
    turns.set_ticks([-np.pi, 0, np.pi], labels=["-π", "0", "π"])
    for zero in FIRST_ZEROS if radius else ():
        assert radius is not None
        if zero / radius < 0.5:
            what = f"zeros of a disc of radius {radius:g} px" if zero == FIRST_ZEROS[0] else None
            curves.axvline(zero / radius, color="0.4", linestyle=":", label=what)
    curves.set_xlabel("frequency, cycles per pixel")
    curves.set_ylabel("mean amplitude")
    curves.set_xlim(0, 0.5)
    curves.set_ylim(10**-DECADES, 1)
    curves.grid(alpha=0.3)
    curves.legend(frameon=False)
    figure.suptitle(title)
    return figure


def _show_spectrum(axes: Any, values: np.ndarray, title: str, **colours: Any) -> Any:
    image = show_map(axes, values, **colours)
    axes.set_title(title, fontsize=10)
    return image


def spectrum(image: np.ndarray) -> np.ndarray:
    """The spectrum of an image's luminance without its mean, [H, W] complex, with zero frequency in the middle.

    A Hann window avoids the cross that the jump between opposite borders would cause. The phase refers to the middle of
    the image, where the window has its maximum.
    """
    grey = luminance(image)
    rows, columns = (np.hanning(side + 2)[1:-1] for side in grey.shape)
    window = rows[:, None] * columns
    grey = grey - (grey * window).sum() / window.sum()
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(grey * window)))


def amplitude(image: np.ndarray) -> np.ndarray:
    """|F| of an image, [H, W], with zero frequency in the middle."""
    return np.abs(spectrum(image))


def phase(image: np.ndarray) -> np.ndarray:
    """The phase of an image's spectrum in -π..π, [H, W], with zero frequency in the middle."""
    return np.angle(spectrum(image))


def radial_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over rings of a spectrum [H, W] with its zero frequency in the middle.

    Returns the centres of the rings in cycles per pixel, from 0 to 0.5, and the mean of each ring. The width of a ring
    is the frequency resolution of the shorter side.
    """
    rows, columns = (np.fft.fftshift(np.fft.fftfreq(side)) for side in values.shape)
    count = max(1, min(values.shape) // 2)
    ring = np.rint(np.hypot(rows[:, None], columns) * 2 * count).astype(int).ravel()
    inside = ring <= count
    total = np.bincount(ring[inside], values.ravel()[inside], minlength=count + 1)
    pixels = np.bincount(ring[inside], minlength=count + 1)
    return np.arange(count + 1) / (2 * count), total / pixels


def from_image(image: np.ndarray, radius: float, title: str) -> np.ndarray:
    """The figure for a sharp image [H, W, 3] and its rendering with a blur radius of `radius` pixels."""
    import torch

    from fdikp.imaging import as_unit
    from fdikp.paper.kernel_path.known_blur import out_of_focus
    from fdikp.synthesis import Aperture

    sharp = torch.from_numpy(as_unit(image)).permute(2, 0, 1)
    blurred = out_of_focus(sharp, radius, Aperture(diffraction=0.3))
    return draw(image, blurred.permute(1, 2, 0).numpy(), title, radius)
