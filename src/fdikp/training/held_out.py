"""Held-out photos, which no run trains on, and the fixed pairs rendered from them, on which runs are compared."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from fdikp.errors import TrainingError
from fdikp.metrics.psnr import psnr
from fdikp.synthesis import RenderSettings
from fdikp.training.data import Batch, RenderedStream

LIST = Path(__file__).with_name("held_out.txt")
"""The list that ships with fdikp: all images of about forty photos of the training data."""

PAIRS = 128
CROP = 128
"""Side of a pair, in pixels."""

SEED = 2025
MARGIN = 16
BATCH = 16
"""Pairs that are rendered together; the result does not depend on it."""

MAX_PSNR = 45.0
"""Pairs above this PSNR, in dB, between source and target are left out: they show no blur, and would dominate the
mean."""

TRIES = 8
"""Render at most this many times `PAIRS` to find enough."""

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
"""Frozen, so that results of different runs and versions can be compared. No pair is in focus everywhere."""


def held_out_names(file: Path | None = None) -> frozenset[str]:
    """The file names in a list, one per line; `#` starts a comment. None: the list that ships with fdikp.

    Raises:
        TrainingError: the list cannot be read, or is empty.
    """
    try:
        lines = (file or LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise TrainingError(f"held_out={file}: cannot be read: {reason}; give a file with one name per line") from error
    names = frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not names:
        raise TrainingError(f"held_out={file}: contains no names; give a file with one name per line")
    return names


def set_aside(files: Sequence[Path], names: Collection[str]) -> tuple[list[Path], list[Path]]:
    """Split files into those to train on and those whose names are on the list.

    Raises:
        TrainingError: all files are on the list.
    """
    held_out = [file for file in files if file.name in names]
    rest = [file for file in files if file.name not in names]
    if files and not rest:
        raise TrainingError("paths=: every photo is on the held-out list; add photos, or give another held_out=")
    return rest, held_out


def held_out_pairs(photos: Sequence[np.ndarray]) -> Batch:
    """The fixed pairs, `PAIRS` of `CROP` x `CROP` pixels, a function of the photos and their order.

    photos: uint8 [H, W, 3], at least one.

    Raises:
        TrainingError: nearly every rendered pair looks in focus: the photos have too little detail.
    """
    stream = RenderedStream(photos, MARGIN, SEED, SETTINGS)
    sources, targets = [], []
    for first in range(0, TRIES * PAIRS, BATCH):
        batch = stream.batch(first, BATCH, CROP, torch.device("cpu"))
        blurred = psnr(batch.blurred, batch.target) <= MAX_PSNR
        sources += list(batch.blurred[blurred])
        targets += list(batch.target[blurred])
        if len(sources) >= PAIRS:
            return Batch(torch.stack(sources[:PAIRS]), torch.stack(targets[:PAIRS]), None)
    raise TrainingError("held_out=: the photos on the list have too little detail to show blur; give others")
