"""Everything a run needs before its first step, and all that can be wrong found by then."""

import logging
import os
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fdikp import weights
from fdikp.data import PairSet, find_pairs, load_pictures
from fdikp.data.pictures import is_deep, reads_16_bits
from fdikp.devices import choose_device
from fdikp.errors import DataError, TrainingError
from fdikp.evaluation.lpips import LPIPS
from fdikp.evaluation.lpips_weights import VARIABLE, find_lpips
from fdikp.network import FDIKP
from fdikp.training.ahead import Ahead
from fdikp.training.average import Average
from fdikp.training.checkpoint import has_checkpoint, load_checkpoint
from fdikp.training.data import PairedStream, RenderedStream, Stream
from fdikp.training.growth import grow
from fdikp.training.losses import BlurSupervision
from fdikp.training.objective import Objective, layout
from fdikp.training.recipe import Recipe
from fdikp.training.schedule import WorkClock
from fdikp.training.validate import WATCHED, Watched, load_watched, validation_pairs, watched_batch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FAR = 2**40
"""Numbers of pairs from here on are never trained on: they are watched and measured."""

ROOM = 48
"""Bytes of disk for each parameter: three checkpoints of weights, their average and Adam's two moments."""


@dataclass
class Run:
    """The parts of a run that change while it goes on."""

    name: str
    """The model's."""
    network: FDIKP
    supervision: BlurSupervision | None
    average: Average
    optimizer: torch.optim.Adam
    clock: WorkClock
    step: int = 0
    seen: int = 0
    """Pairs trained on."""
    phase: int = -1
    """Index of the recipe's phase; -1 before the first."""
    skipped: int = 0
    """Steps whose loss or gradient was not finite; they changed nothing."""
    bad: int = 0
    """How many of those came last, in a row."""

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly; the data stream needs only what was seen."""
        return {
            "config": self.network.config.to_dict(),
            "network": self.network.state_dict(),
            "supervision": self.supervision.state_dict() if self.supervision else {},
            "average": self.average.state_dict(),
            "averaging": self.average.kind,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "recent": list(self.clock.recent),
            **{name: getattr(self, name) for name in ("step", "seen", "phase", "skipped", "bad")},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            TrainingError: it is of another network, or of a run with other terms.
        """
        if self.network.config.to_dict() != state["config"] or bool(self.supervision) != bool(state["supervision"]):
            raise TrainingError("the checkpoint is of another network or loss; give the options it was begun with")
        self.network.load_state_dict(state["network"])
        if self.supervision:
            self.supervision.load_state_dict(state["supervision"])
        self.average.load_state_dict(state["average"])
        self.average.kind = state["averaging"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.clock = WorkClock(state["seconds"], deque(state["recent"]))
        for name in ("step", "seen", "phase", "skipped", "bad"):
            setattr(self, name, state[name])


@dataclass(frozen=True)
class Prepared:
    """What every process of a run reads from disk."""

    stream: Stream
    watched: list[Watched]
    """Pairs to validate on; none: crops of the stream are watched."""
    validated_on: str
    """What these are."""
    crop: int
    lpips: Path | None
    notes: list[str]
    """What the user should know."""

    def watched_on(self, device: torch.device) -> list[Watched]:
        """The pairs to validate on."""
        return self.watched or watched_batch(self.stream.batch(FAR, WATCHED, self.crop, device))


def prepare(recipe: Recipe) -> Prepared:
    """Read and check the data, and find what else is asked for.

    Raises:
        FdikpError: something is missing, damaged or does not fit.
    """
    if has_checkpoint(recipe.out) and not recipe.resume:
        raise TrainingError(f"{recipe.out}: has a run in it: go on with --resume, or give another --out")
    notes = []
    lpips = find_lpips(recipe.lpips) if recipe.beta else None
    if recipe.beta and lpips is None:
        notes.append(f"the LPIPS term is off: no weights; give --lpips FILE, --lpips download, or set {VARIABLE}")
    if recipe.lpips and not recipe.beta:
        notes.append("--lpips counts for nothing: the recipe's weight of it is 0; give --beta 0.2")
    pairs = _real_pairs(recipe)
    if pairs is None:
        stream: Stream = RenderedStream(load_pictures(recipe.data), recipe.margin, recipe.seed, recipe.rendering)
    else:
        stream = PairedStream(pairs, recipe.seed, max(recipe.crop), recipe.memory)
        if not reads_16_bits() and any(is_deep(pair.source) for pair in pairs.pairs):
            notes.append("16-bit pictures are read as 8 bit: pyvips is not installed")
    validation = validation_pairs(recipe.validate) if recipe.validate else pairs and find_pairs(recipe.data[0], "val")
    watched, validated_on = [], f"{WATCHED} crops of the training data"
    if validation:
        watched = load_watched(validation, recipe.validate_crop)
        validated_on = f"{len(watched)} pairs of {recipe.validate or recipe.data[0]}"
    else:
        notes.append(f"no pairs to validate on (--validate): {validated_on} are watched")
    return Prepared(stream, watched, validated_on, recipe.crop[0], lpips, notes)


def _real_pairs(recipe: Recipe) -> PairSet | None:
    """The real pairs to train on, or None where sharp pictures are to be rendered."""
    if recipe.pairs == "rendered":
        return None
    found = find_pairs(recipe.data[0], "train") or find_pairs(recipe.data[0])
    if found is None and recipe.pairs == "real":
        missing = "no such folder" if not recipe.data[0].is_dir() else "no pairs in a layout that is known"
        raise DataError(f"{recipe.data[0]}: {missing}; give a data set (DPDD, LFDOF), or source/ and target/")
    if found is not None and len(recipe.data) > 1:
        raise DataError(f"{recipe.data[1]}: real pairs come from one folder; give only {recipe.data[0]}")
    return found


def fabric_of(recipe: Recipe) -> "Fabric":
    """Lightning Fabric for the recipe's devices. It moves and shares work; precision stays with the objective.

    Raises:
        FdikpError: Fabric is not installed, or there are no such devices.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError:
        raise TrainingError("training needs lightning-fabric, not installed here; pip install 'fdikp[train]'") from None
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # it greets, and advertises
    name = recipe.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = choose_device(name)
    if device.type == "cuda" and recipe.devices > torch.cuda.device_count():
        raise TrainingError(f"--devices {recipe.devices}: there are {torch.cuda.device_count()} GPUs here")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    return Fabric(
        accelerator=device.type,
        devices=recipe.devices if device.index is None else [device.index],
        num_nodes=recipe.nodes,
        strategy="ddp" if recipe.devices * recipe.nodes > 1 else "auto",
    )


def ahead(stream: Stream, recipe: Recipe, fabric: "Fabric") -> Stream:
    """The stream, its batches rendered by processes of their own where the recipe or the device asks for it."""
    workers = recipe.workers
    if workers < 0:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = (cores - 1) // recipe.devices if fabric.device.type == "cuda" else 0
    if workers < 1 or not isinstance(stream, RenderedStream):  # real pairs are decoded ahead by threads
        return stream
    return Ahead(stream, workers, fabric.world_size)


def ready(recipe: Recipe, prepared: Prepared, fabric: "Fabric") -> tuple[Run, Objective, list[str]]:
    """The run, where it begins or goes on, what it minimises, and what the user should know.

    Raises:
        FdikpError: weights or checkpoints cannot be used, or the disk has no room for the run.
    """
    notes = list(prepared.notes)
    name = recipe.config if recipe.narrow == 1 else f"{recipe.config} / {recipe.narrow}"
    if recipe.start:
        network, about = weights.load(recipe.start)
        if recipe.grow:
            network = _grown(network, recipe)
        name = name if network.config == recipe.network else about.name
    else:
        network = FDIKP(recipe.network)
    network = network.requires_grad_(True).train()
    if recipe.freeze_norm:
        network.dsrm.apu.norm.eval()
    network = network.to(device=fabric.device, memory_format=layout(recipe))  # type: ignore[call-overload]
    average = Average(network, recipe.average)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # on CPU the first process' statistics hold
    rendered = isinstance(prepared.stream, RenderedStream)
    # After the average, which would copy its hook
    supervision = BlurSupervision(network).to(fabric.device) if rendered and (recipe.blur or recipe.hint) else None
    perceptual = LPIPS(prepared.lpips) if prepared.lpips else None
    teacher = weights.load(recipe.teacher)[0] if recipe.teacher else None
    optimizer = torch.optim.Adam(_groups(network, supervision, recipe), lr=recipe.lr, betas=(0.9, 0.999))
    run = Run(name, network, supervision, average, optimizer, WorkClock())
    _make_room(recipe.out, sum(p.numel() for p in network.parameters()))
    state = load_checkpoint(recipe.out, notes.append) if recipe.resume else None
    if state is not None:
        run.restore(state)
        notes.append(f"{recipe.out}: going on from step {run.step}")
    if recipe.compile:
        for part in (network.dsrm.encoder, network.dsrm.decoder):  # the rest has transforms, which do not compile
            part.forward = torch.compile(part.forward)
    return run, Objective(network, recipe, supervision, perceptual, teacher), notes


def _grown(network: FDIKP, recipe: Recipe) -> FDIKP:
    """The recipe's network, beginning where the given one ended."""
    try:
        return grow(network, recipe.network)
    except ValueError as error:
        raise TrainingError(f"--grow: {recipe.start} cannot become {recipe.config}: {error}") from None


def _groups(network: FDIKP, supervision: BlurSupervision | None, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by the share of the learning rate that is theirs.

    Layers that work on pixels start where they are nearly right, and Adam moves every number by the rate itself: what
    is nothing to a feature is a visible shift to a picture. Their biases, which could do nothing else, stay at zero.
    A recipe with one rate for all, such as the paper's, trains them too.
    """
    layers = ("output.", "fikp.refine.") if recipe.pixel_rate < 1 else ()
    pixels = [p for name, p in network.named_parameters() if name.startswith(layers) and name.endswith("weight")]
    others = [p for name, p in network.named_parameters() if not name.startswith(layers)]
    others += supervision.parameters() if supervision else []
    groups = [{"params": others, "share": 1.0}, {"params": pixels, "share": recipe.pixel_rate}]
    return [group for group in groups if group["params"]]


def _make_room(folder: Path, parameters: int) -> None:
    """Make the folder, clear what a killed run left half written, and refuse a disk that the run would fill."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(".fdikp-*.part"):
            unfinished.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be used: {error.strerror or error}; give another --out") from error
    need = ROOM * parameters + 2**24
    if free < need:
        raise TrainingError(
            f"{folder}: the disk has {free >> 20} MiB free, a run needs {(need >> 20) + 1}; "
            "free some or give another --out"
        )
