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

from fdikp import models
from fdikp.data import PairSet, find_images, find_pairs, read_images
from fdikp.data.readers import needs_libvips, reads_16_bits
from fdikp.errors import DataError, TrainingError
from fdikp.inference.devices import choose_device
from fdikp.metrics.lpips import LPIPS
from fdikp.metrics.lpips_weights import VARIABLE, find_lpips
from fdikp.network import FDIKP
from fdikp.training.ahead import Ahead
from fdikp.training.average import Averages
from fdikp.training.checkpoint import has_checkpoint, load_checkpoint
from fdikp.training.data import PairedStream, RenderedStream, Stream
from fdikp.training.growth import grow
from fdikp.training.held_out import held_out_names, held_out_pairs, set_aside
from fdikp.training.losses import BlurSupervision
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Objective
from fdikp.training.optimizers import Optimizers, build_optimizer
from fdikp.training.recipe import Recipe
from fdikp.training.schedule import WorkClock
from fdikp.training.validate import HELD_OUT, WATCHED, ValidationSet, crops_of, load_pairs, load_set, parse_set

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FAR = 2**40
"""Numbers of pairs from here on are never trained on: they are watched and measured."""

CHECKPOINTS = 3
"""Checkpoints in a folder while a new one is written."""


COUNTERS = ("step", "seen", "phase", "skipped", "bad", "pixels")
"""Fields of a run that a checkpoint holds as they are."""


@dataclass
class Run:
    """The parts of a run that change while it goes on."""

    name: str
    """The model's."""
    network: FDIKP
    supervision: BlurSupervision | None
    averages: Averages
    optimizer: Optimizers
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
    pixels: int = 0
    """Pixels of the pairs trained on."""

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly; the data stream needs only what was seen."""
        return {
            "config": self.network.config.to_dict(),
            "network": self.network.state_dict(),
            "supervision": self.supervision.state_dict() if self.supervision else {},
            "averages": self.averages.state_dict(),
            "averaging": self.averages.kind,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "recent": list(self.clock.recent),
            **{name: getattr(self, name) for name in COUNTERS},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            TrainingError: it is of another network, or of a run with other terms, optimisers or averages.
        """
        if self.network.config.to_dict() != state["config"] or bool(self.supervision) != bool(state["supervision"]):
            raise TrainingError("the checkpoint is of another network or loss; give the options it was begun with")
        if set(COUNTERS) - set(state) or "averages" not in state:
            raise TrainingError("the checkpoint is of another version of fdikp; start again with another --out")
        self.network.load_state_dict(state["network"])
        if self.supervision:
            self.supervision.load_state_dict(state["supervision"])
        try:
            self.averages.load_state_dict(state["averages"], state["averaging"])
        except KeyError as decays:
            raise TrainingError(
                f"the checkpoint has averages of other decays; give --ema-decay {decays.args[0]}"
            ) from None
        try:
            self.optimizer.load_state_dict(state["optimizer"])
        except KeyError as parts:
            raise TrainingError(
                f"the checkpoint is of another optimizer ({parts.args[0]}); give the --optimizer it was begun with"
            ) from None
        self.clock = WorkClock(state["seconds"], deque(state["recent"]))
        for name in COUNTERS:
            setattr(self, name, state[name])


@dataclass(frozen=True)
class Prepared:
    """What every process of a run reads from disk."""

    stream: Stream
    validation: list[ValidationSet]
    """Sets to validate on; none: crops of the stream are watched."""
    crop: int
    lpips: Path | None
    notes: list[str]
    """What the user should know."""

    def validation_on(self, device: torch.device) -> list[ValidationSet]:
        """The sets to validate on."""
        if self.validation:
            return self.validation
        crops = crops_of(self.stream.batch(FAR, WATCHED, self.crop, device))
        return [ValidationSet("training", crops, f"{WATCHED} crops of the training data")]


def prepare(recipe: Recipe) -> Prepared:
    """Read and check the data, and find what else is asked for.

    Raises:
        FdikpError: something is missing, damaged or does not fit.
    """
    if has_checkpoint(recipe.out) and not recipe.resume:
        raise TrainingError(f"{recipe.out}: has a run in it: go on with --resume, or give another --out")
    notes = []
    lpips = find_lpips(recipe.lpips)
    if recipe.beta and lpips is None:
        notes.append(f"the LPIPS term is off: no weights; give --lpips FILE, --lpips download, or set {VARIABLE}")
    if recipe.hint and not recipe.has_budget:
        notes.append("--hint counts for nothing: it is for the first tenth of a budget, and there is none")
    pairs = _real_pairs(recipe)
    held: list[Path] = []
    if pairs is None:
        files = [file for folder in recipe.data for file in find_images(folder)]
        files, held = set_aside(files, held_out_names(recipe.held_out))
        stream: Stream = RenderedStream(read_images(files), recipe.margin, recipe.seed, recipe.rendering)
        if held:
            notes.append(f"{len(held)} of {len(files) + len(held)} photographs are held out and not trained on")
    else:
        stream = PairedStream(pairs, recipe.seed, max(recipe.crop), recipe.memory)
        if not reads_16_bits() and any(needs_libvips(pair.source) for pair in pairs.pairs):
            notes.append("16-bit pictures are read as 8 bit: pyvips is not installed")
    validation = _validation_sets(recipe, pairs, held)
    if not validation:
        notes.append(f"no pairs to validate on (--validate): {WATCHED} crops of the training data are watched")
    return Prepared(stream, validation, recipe.crop[0], lpips, notes)


def _validation_sets(recipe: Recipe, pairs: PairSet | None, held: list[Path]) -> list[ValidationSet]:
    """The sets of --validate; without that, the split `val` of real pairs, if there is one."""
    named = [parse_set(text) for text in recipe.validate]
    if len({name for name, _ in named}) < len(named):
        raise DataError(f"--validate {' '.join(recipe.validate)}: two sets have one name; give NAME=PATH")
    sets = []
    for name, path in named:
        if path != HELD_OUT:
            sets.append(load_set(name, Path(path), recipe.validate_crop))
            continue
        if pairs is not None:
            raise DataError(f"--validate {HELD_OUT}: is rendered from photographs, but --data has real pairs")
        if not held:
            raise DataError(
                f"--validate {HELD_OUT}: --data has no photograph of the held-out list; name some with --held-out FILE"
            )
        crops = crops_of(held_out_pairs(read_images(sorted(held, key=lambda file: file.name))))
        about = f"{len(crops)} pairs of {len(held)} photographs that are held out"
        sets.append(ValidationSet(name, crops, about, has_loss=True))
    if not named and pairs is not None and (found := find_pairs(recipe.data[0], "val")):
        sets.append(load_pairs("val", found, recipe.validate_crop, str(recipe.data[0])))
    return sets


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


@dataclass(frozen=True)
class Ready:
    """A run that can take its first step."""

    run: Run
    objective: Objective
    numerics: Numerics
    lpips: LPIPS | None
    """To validate with; it is the objective's own where that has one."""
    notes: list[str]
    """What the user should know."""


def ready(recipe: Recipe, prepared: Prepared, fabric: "Fabric") -> Ready:
    """The run, where it begins or goes on, and what it minimises.

    Raises:
        FdikpError: weights or checkpoints cannot be used, or the disk has no room for the run.
    """
    notes = list(prepared.notes)
    name = recipe.config if recipe.narrow == 1 else f"{recipe.config} / {recipe.narrow}"
    if recipe.start:
        network, about = models.load(recipe.start)
        if recipe.grow:
            network = _grown(network, recipe)
        name = name if network.config == recipe.network else about.name
    else:
        network = FDIKP(recipe.network)
    network = network.requires_grad_(True).train()
    if recipe.freeze_norm:
        network.dsrm.apu.norm.eval()
    numerics = Numerics.of(recipe, fabric.device)
    network = network.to(device=fabric.device, memory_format=numerics.memory_format)  # type: ignore[call-overload]
    averages = Averages(network, recipe.ema_decay)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # on CPU the first process' statistics hold
    rendered = isinstance(prepared.stream, RenderedStream)
    # After the average, which would copy its hook
    supervision = BlurSupervision(network).to(fabric.device) if rendered and (recipe.blur or recipe.hint) else None
    lpips = LPIPS(prepared.lpips).to(fabric.device) if prepared.lpips else None
    teacher = models.load(recipe.teacher)[0] if recipe.teacher else None
    optimizer = build_optimizer(network, supervision, recipe)
    run = Run(name, network, supervision, averages, optimizer, WorkClock())
    _make_room(recipe, sum(p.numel() for p in network.parameters()))
    state = load_checkpoint(recipe.out, notes.append) if recipe.resume else None
    if state is not None:
        run.restore(state)
        notes.append(f"{recipe.out}: going on from step {run.step}")
    if recipe.compile:
        for part in (network.dsrm.encoder, network.dsrm.decoder):  # the rest has transforms, which do not compile
            part.forward = torch.compile(part.forward)
    objective = Objective(network, recipe, numerics, supervision, lpips if recipe.beta else None, teacher)
    return Ready(run, objective, numerics, lpips, notes)


def _grown(network: FDIKP, recipe: Recipe) -> FDIKP:
    """The recipe's network, beginning where the given one ended."""
    try:
        return grow(network, recipe.network)
    except ValueError as error:
        raise TrainingError(f"--grow: {recipe.start} cannot become {recipe.config}: {error}") from None


def _make_room(recipe: Recipe, parameters: int) -> None:
    """Make the folder, clear what a killed run left half written, and refuse a disk that the run would fill."""
    folder = recipe.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(".fdikp-*.part"):
            unfinished.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be used: {error.strerror or error}; give another --out") from error
    # Weights, their averages, and what optimisers keep of each: two moments, and of SOAP bases and covariances, which
    # for 3×3 convolutions are twenty times the weights
    kept = 1 + len(recipe.ema_decay) + (22 if recipe.optimizer == "soap" else 2)
    need = CHECKPOINTS * 4 * kept * parameters + 2**24
    if free < need:
        raise TrainingError(
            f"{folder}: the disk has {free >> 20} MiB free, a run needs {(need >> 20) + 1}; "
            "free some or give another --out"
        )
