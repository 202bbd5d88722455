"""Builds a run that can take its first step: network, optimiser, objective, and the checkpoint to continue from."""

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from fdikp import models
from fdikp.errors import TrainingError
from fdikp.extras import install_hint
from fdikp.inference.devices import choose_device
from fdikp.metrics.lpips import LPIPS
from fdikp.network import FDIKP
from fdikp.training.average import Averages
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.data import RenderedStream
from fdikp.training.inputs import RunInputs
from fdikp.training.losses import BlurSupervision
from fdikp.training.net2net import expand
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Objective
from fdikp.training.optimizers import build_optimizer
from fdikp.training.recipe import Recipe
from fdikp.training.schedule import WorkClock
from fdikp.training.state import TrainingState

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECKPOINTS = 3
"""Checkpoints in a folder while a new one is written."""


@dataclass(frozen=True)
class Session:
    """A run that can take its next step."""

    state: TrainingState
    objective: Objective
    numerics: Numerics
    lpips: LPIPS | None
    """For validation; the objective may use it too."""
    notes: list[str]
    """What the user should know."""


def make_fabric(recipe: Recipe) -> "Fabric":
    """Lightning Fabric for the recipe's devices. It moves and distributes work; `Numerics` decides the precision.

    Raises:
        FdikpError: Fabric is not installed, or the devices do not exist.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError:
        raise TrainingError("training needs lightning-fabric", hint=install_hint("train")) from None
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # it logs greetings and advertisements
    options = recipe.runtime
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = choose_device(name)
    if device.type == "cuda" and options.devices > torch.cuda.device_count():
        raise TrainingError(f"devices={options.devices}: this machine has {torch.cuda.device_count()} GPUs")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    return Fabric(
        accelerator=device.type,
        devices=options.devices if device.index is None else [device.index],
        num_nodes=options.nodes,
        strategy="ddp" if options.devices * options.nodes > 1 else "auto",
    )


def build_session(recipe: Recipe, inputs: RunInputs, fabric: "Fabric") -> Session:
    """The run at its first step or at its checkpoint, and what it minimises.

    Raises:
        FdikpError: weights or checkpoints cannot be used, or the disk has no room for the run.
    """
    options, loss = recipe.runtime, recipe.loss
    notes = list(inputs.notes)
    network, name = _initial_network(recipe)
    numerics = Numerics.of(options, fabric.device)
    network = network.to(device=fabric.device, memory_format=numerics.memory_format)  # type: ignore[call-overload]
    averages = Averages(network, recipe.optim.ema_decay)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # on CPU the first process' statistics count
    rendered = isinstance(inputs.stream, RenderedStream)
    # After the averages, which would copy its hook
    supervision = BlurSupervision(network).to(fabric.device) if rendered and (loss.blur or loss.radius_hint) else None
    lpips = LPIPS(inputs.lpips).to(fabric.device) if inputs.lpips else None
    teacher = models.load(loss.teacher)[0] if loss.teacher else None
    optimizer = build_optimizer(network, supervision, recipe.optim)
    state = TrainingState(name, network, supervision, averages, optimizer, WorkClock())
    _prepare_output(recipe, sum(p.numel() for p in network.parameters()))
    checkpoint = load_checkpoint(options.output, notes.append) if options.resume else None
    if checkpoint is not None:
        state.restore(checkpoint)
        notes.append(f"{options.output}: continuing from step {state.step}")
    if options.compile:
        for part in (network.dsrm.encoder, network.dsrm.decoder):  # the rest has FFTs, which do not compile
            part.forward = torch.compile(part.forward)
    objective = Objective(network, loss, numerics, supervision, lpips if loss.beta else None, teacher)
    return Session(state, objective, numerics, lpips, notes)


def _initial_network(recipe: Recipe) -> tuple[FDIKP, str]:
    """The network before the first step, in training mode, and the model's name."""
    options = recipe.network
    name = options.config if options.width_divisor == 1 else f"{options.config} / {options.width_divisor}"
    if options.start:
        network, about = models.load(options.start)
        if options.expand:
            try:
                network = expand(network, options.architecture)
            except ValueError as error:
                raise TrainingError(
                    f"expand=: {options.start} cannot be expanded to {options.config}: {error}"
                ) from None
        name = name if network.config == options.architecture else about.name
    else:
        network = FDIKP(options.architecture)
    network = network.requires_grad_(True).train()
    if options.freeze_bn:
        network.dsrm.apu.norm.eval()
    return network, name


def _prepare_output(recipe: Recipe, parameters: int) -> None:
    """Make the output folder and remove incomplete files of a killed run; refuse a disk that the run would fill."""
    folder = recipe.runtime.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for incomplete in folder.glob(".fdikp-*.part"):
            incomplete.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be used: {error.strerror or error}; give another output=") from error
    # Weights, averages and optimiser state: two moments per weight; SOAP also has bases and covariances, which for
    # 3x3 convolutions are twenty times the weights
    per_parameter = 1 + len(recipe.optim.ema_decay) + (22 if recipe.optim.optimizer == "soap" else 2)
    needed = CHECKPOINTS * 4 * per_parameter * parameters + 2**24
    if free < needed:
        raise TrainingError(
            f"{folder}: the disk has {free >> 20} MiB free and the run needs {(needed >> 20) + 1}; "
            "free some space or give another output="
        )
