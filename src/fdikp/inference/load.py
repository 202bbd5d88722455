"""Load a model as a `Deblurrer`."""

import os

from fdikp import models
from fdikp.inference.deblurrer import Deblurrer
from fdikp.inference.devices import choose_device, choose_precision


def load_model(
    name_or_path: str | os.PathLike[str] = models.DEFAULT,
    device: str = "auto",
    precision: str = "auto",
    *,
    tile: int | None = None,
    ensemble: bool = False,
) -> Deblurrer:
    """Load a model that restores out-of-focus images.

    >>> from fdikp import load_model
    >>> model = load_model("fdikp-lite", device="cpu")
    >>> model
    Deblurrer('fdikp-lite', device='cpu', precision=..., tile=512)
    >>> model("blurred.jpg").save("sharp.jpg")      # doctest: +SKIP

    Args:
        name_or_path: a shipped model (`fdikp.models.available()`), or the path of a `.safetensors` file.
        device: `auto`, or a torch device such as `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: of the convolutions: `auto`, `float32`, `bfloat16` or `float16`. Fourier transforms and sampling use
            float32 in any case.
        tile: side of the tiles that an image is cut into, in pixels: a multiple of 16, at least 64; 0 for no tiles.
            By default 512, which the model's descriptor advises. Memory grows with it.
        ensemble: restore each tile in eight orientations and average the results: slightly better, and eight times as
            slow.

    Raises:
        WeightsError: the model is unknown, or its weights are damaged or do not fit their network.
        ArgumentError: the device cannot be used here, or the precision or the tile is none of the above. It is a
            `ValueError` too.
    """
    chosen = choose_device(device)
    network, descriptor = models.load(name_or_path)
    return Deblurrer(
        network, descriptor, device=chosen, precision=choose_precision(precision, chosen), tile=tile, ensemble=ensemble
    )
