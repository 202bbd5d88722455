"""Restore a portrait and keep its bokeh: `python examples/keep_bokeh.py keep_bokeh.jpg`.

The photo is `chelsea` by Stéfan van der Walt, CC0, from scikit-image, blurred with a radius of 2 pixels, as if the
focus had missed the cat. Its background was out of focus already, by more than 7 pixels.
"""

import sys

import numpy as np
from failures import blurred, disc
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage import data

from fdikp import load_model
from fdikp.imaging import Photo

RADIUS = 2.0
"""Radius of the missed focus, in pixels."""

MAX_BLUR = 4.0
"""What is blurred more than this is kept: between the cat (2 to 3 pixels) and the background (above 7)."""

WHOLE = (slice(None), slice(None))
PARTS = {"eye": (slice(70, 160), slice(110, 245)), "background": (slice(85, 235), slice(300, 451))}
"""What is drawn enlarged: rows and columns."""


def show(axes: Axes, image: np.ndarray, title: str, part: tuple[slice, slice] = WHOLE) -> None:
    """Draw a part of an image [H, W, 3] uint8 or a blur map [H, W]."""
    axes.imshow(image[part], interpolation="lanczos", cmap="cividis", vmin=0, vmax=8)
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def main() -> None:
    """Restore all of the photo, and only what is slightly out of focus; draw both, and the blur map."""
    chelsea = data.chelsea().astype(np.float32) / 255
    photo = np.rint(blurred(chelsea, disc(RADIUS)) * 255).astype(np.uint8)
    model = load_model(device="cpu", precision="float32")
    restored = model.restore(Photo(photo), blur_map=True)
    assert restored.blur_map is not None
    columns = {
        "photo": photo,
        "everything restored": restored.photo.pixels,
        f"restored with --max-blur {MAX_BLUR:g}": model(photo, max_blur=MAX_BLUR),
        "blur map: radius in pixels": restored.blur_map,
    }
    figure = Figure(figsize=(13.2, 8.2), dpi=100, layout="constrained")
    rows = figure.subplots(1 + len(PARTS), len(columns), height_ratios=(1, 1, 1.5))
    for column, (title, image) in zip(rows.T, columns.items(), strict=True):
        show(column[0], image, title)
        for axes, (name, part) in zip(column[1:], PARTS.items(), strict=True):
            show(axes, image, name, part)
    figure.colorbar(rows[0, -1].images[0], ax=rows[:, -1], location="right", extend="max", shrink=0.8)
    FigureCanvasAgg(figure)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "keep_bokeh.jpg")


if __name__ == "__main__":
    main()
