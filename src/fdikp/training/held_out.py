"""Photographs that are set aside by source, and the fixed pairs rendered from them that runs are compared on."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from fdikp.errors import TrainingError
from fdikp.metrics.psnr import psnr
from fdikp.synthesis import RenderSettings
from fdikp.training.data import Batch, RenderedStream

LIST = Path(__file__).with_name("held_out.txt")
"""fdikp's own list."""

PAIRS = 128
SIDE = 128
"""Pixels."""

SEED = 2025
MARGIN = 16
AT_ONCE = 16
"""Pairs rendered together; the result does not depend on it."""

MOST_PSNR = 45.0
"""Pairs with more dB between source and target are left out: they show no blur, and would rule the mean."""

TRIES = 8
"""How many times `PAIRS` are rendered at most to find enough."""

SETTINGS = RenderSettings(
    max_radius=9.5,
    min_radius=0.6,
    radius_exponent=1.0,
    levels=7,
    p_sharp=0.0,
    p_uniform=0.33,
    p_single=0.33,
    p_foreign=0.6,
    linear=True,
    layered=True,
    p_shaped_aperture=1.0,
    p_highlight_boost=0.1,
    max_highlight_boost=6.0,
    max_spot_boost=30.0,
    p_cats_eye=0.4,
    frame=1680,
    p_tone_curve=0.6,
    p_noise=0.8,
    p_mosaic=0.2,
    p_luminance_noise=0.6,
    p_sharpened=0.1,
    p_oversharpened=0.02,
    p_jpeg=0.8,
    min_quality=50,
    keep_grain=True,
    rounded=True,
)
"""Frozen, so that figures of different runs and versions are comparable. Without pairs in focus everywhere."""


def held_out_names(file: Path | None = None) -> frozenset[str]:
    """The file names of a list, one a line; `#` begins a comment. None: fdikp's own list.

    Raises:
        TrainingError: the list cannot be read, or is empty.
    """
    try:
        lines = (file or LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise TrainingError(f"--held-out {file}: cannot be read: {reason}; give a file with one name a line") from error
    names = frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not names:
        raise TrainingError(f"--held-out {file}: has no names; give a file with one name a line")
    return names


def set_aside(files: Sequence[Path], names: Collection[str]) -> tuple[list[Path], list[Path]]:
    """The files to train on, and those whose names are on the list.

    Raises:
        TrainingError: all are on the list.
    """
    held = [file for file in files if file.name in names]
    rest = [file for file in files if file.name not in names]
    if files and not rest:
        raise TrainingError("--data: every photograph is on the held-out list; give others, or another --held-out")
    return rest, held


def held_out_pairs(photographs: Sequence[np.ndarray]) -> Batch:
    """The fixed pairs: `PAIRS` of `SIDE` x `SIDE` pixels, a function of the photographs and their order.

    photographs: uint8 [H, W, 3], at least one.

    Raises:
        TrainingError: nearly every rendered pair is in focus already; the photographs are flat.
    """
    stream = RenderedStream(photographs, MARGIN, SEED, SETTINGS)
    sources, targets = [], []
    for first in range(0, TRIES * PAIRS, AT_ONCE):
        batch = stream.batch(first, AT_ONCE, SIDE, torch.device("cpu"))
        blurred = psnr(batch.blurred, batch.target) <= MOST_PSNR
        sources += list(batch.blurred[blurred])
        targets += list(batch.target[blurred])
        if len(sources) >= PAIRS:
            return Batch(torch.stack(sources[:PAIRS]), torch.stack(targets[:PAIRS]), None)
    raise TrainingError("--held-out: the photographs on the list are too flat to show blur; give others")
