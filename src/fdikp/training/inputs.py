"""What a run reads from disk before its first step: training data, validation sets, LPIPS weights."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fdikp.data import PairSet, find_images, find_pairs, read_images
from fdikp.data.readers import needs_libvips, reads_16_bits
from fdikp.errors import DataError, TrainingError
from fdikp.metrics.lpips_weights import VARIABLE, find_lpips
from fdikp.training.checkpoint import has_checkpoint
from fdikp.training.data import PairedStream, RenderedStream, Stream
from fdikp.training.held_out import held_out_names, held_out_pairs, set_aside
from fdikp.training.prefetch import PrefetchedStream
from fdikp.training.recipe import Recipe
from fdikp.training.validate import (
    HELD_OUT,
    STRIP_ROWS,
    ValidationSet,
    crops_of,
    load_pairs,
    load_set,
    parse_set,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION_OFFSET = 2**40
"""Pairs of a stream from this number on are never trained on: validation uses them."""


@dataclass(frozen=True)
class RunInputs:
    """What every process of a run reads from disk."""

    stream: Stream
    validation: list[ValidationSet]
    """Empty: crops of the stream are validated instead."""
    crop: int
    lpips: Path | None
    """The LPIPS weights; None without the term."""
    notes: list[str]
    """What the user should know."""

    def validation_sets(self, device: torch.device) -> list[ValidationSet]:
        """The sets to validate on; without any, a few crops of the training data."""
        if self.validation:
            return self.validation
        crops = crops_of(self.stream.batch(VALIDATION_OFFSET, STRIP_ROWS, self.crop, device))
        return [ValidationSet("training", crops, f"{STRIP_ROWS} crops of the training data")]


def read_inputs(recipe: Recipe) -> RunInputs:
    """Read and check the data, and find everything else that the recipe names.

    Raises:
        FdikpError: something is missing, damaged or does not fit.
    """
    output, data = recipe.runtime.output, recipe.data
    if has_checkpoint(output) and not recipe.runtime.resume:
        raise TrainingError(f"{output}: already has a run; continue it with resume=True, or give another output=")
    notes = []
    lpips = find_lpips(recipe.loss.lpips)
    if recipe.loss.beta and lpips is None:
        notes.append(f"the LPIPS term is off: no weights; set {VARIABLE} or the option lpips to a file or `download`")
    if recipe.loss.radius_hint and not recipe.budget.is_limited:
        notes.append("radius_hint has no effect: it acts in the first tenth of a budget, and the run has none")
    pairs = _real_pairs(recipe)
    held_out: list[Path] = []
    if pairs is None:
        files = [file for folder in data.paths for file in find_images(folder)]
        files, held_out = set_aside(files, held_out_names(data.held_out))
        images = read_images(files)
        stream: Stream = RenderedStream(images, data.margin, recipe.runtime.seed, data.render_settings)
        if held_out:
            notes.append(f"{len(held_out)} of {len(files) + len(held_out)} photos are held out and not trained on")
    else:
        stream = PairedStream(pairs, recipe.runtime.seed, max(recipe.budget.crop), data.memory)
        if not reads_16_bits() and any(needs_libvips(pair.source) for pair in pairs.pairs):
            notes.append("16-bit images are read as 8 bit: pyvips is not installed")
    validation = _validation_sets(recipe, pairs, held_out)
    notes += [note for data in validation if (note := data.identical_note)]
    if not validation:
        notes.append(f"no validation set (option validate): {STRIP_ROWS} crops of the training data are used")
    return RunInputs(stream, validation, recipe.budget.crop[0], lpips, notes)


def prefetched(stream: Stream, recipe: Recipe, fabric: "Fabric") -> Stream:
    """The stream, rendered by worker processes where the recipe or the device asks for it."""
    workers = recipe.runtime.workers
    if workers < 0:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = (cores - 1) // recipe.runtime.devices if fabric.device.type == "cuda" else 0
    if workers < 1 or not isinstance(stream, RenderedStream):  # threads decode real pairs in advance
        return stream
    return PrefetchedStream(stream, workers, fabric.world_size)


def _validation_sets(recipe: Recipe, pairs: PairSet | None, held_out: list[Path]) -> list[ValidationSet]:
    """The sets that the recipe names; if none, the split `val` of real pairs, where there is one."""
    data = recipe.data
    named = [parse_set(text) for text in data.validate]
    if len({name for name, _ in named}) < len(named):
        raise DataError("validate=: two sets have the same name; give NAME=PATH")
    sets = []
    for name, path in named:
        if path != HELD_OUT:
            sets.append(load_set(name, Path(path), data.validate_crop))
            continue
        if pairs is not None:
            raise DataError(f"validate={HELD_OUT}: renders photos, but paths= has real pairs")
        if not held_out:
            raise DataError(
                f"validate={HELD_OUT}: no photo in paths= is on the held-out list; name some with held_out="
            )
        crops = crops_of(held_out_pairs(read_images(sorted(held_out, key=lambda file: file.name))))
        about = f"{len(crops)} pairs of {len(held_out)} held-out photos"
        sets.append(ValidationSet(name, crops, about, has_loss=True))
    if not named and pairs is not None and (val := find_pairs(data.paths[0], "val")):
        sets.append(load_pairs("val", val, data.validate_crop, str(data.paths[0])))
    return sets


def _real_pairs(recipe: Recipe) -> PairSet | None:
    """The real pairs to train on; None if sharp photos are to be rendered."""
    kind, (folder, *others) = recipe.data.pairs, recipe.data.paths
    if kind == "rendered":
        return None
    pairs = find_pairs(folder, "train") or find_pairs(folder)
    if pairs is None and kind == "real":
        problem = "contains no pairs in a known layout" if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: {problem}; give a data set (DPDD, LFDOF), or source/ and target/")
    if pairs is not None and others:
        raise DataError(f"{others[0]}: real pairs come from one folder; give only {folder}")
    return pairs
