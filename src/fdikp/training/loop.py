"""The training loop."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fdikp import models
from fdikp.errors import TrainingError
from fdikp.files import cannot_be_written
from fdikp.metrics.psnr import psnr
from fdikp.training.average import measured_statistics
from fdikp.training.checkpoint import save_checkpoint
from fdikp.training.data import Batch, Stream
from fdikp.training.inputs import VALIDATION_OFFSET, RunInputs, prefetched, read_inputs
from fdikp.training.lock import RunLock
from fdikp.training.log import Log
from fdikp.training.numerics import Numerics
from fdikp.training.objective import LossOutput
from fdikp.training.recipe import HINT_FRACTION, Recipe
from fdikp.training.recipe_file import write_recipe
from fdikp.training.schedule import learning_rate, progress
from fdikp.training.session import Session, build_session, make_fabric
from fdikp.training.state import TrainingState
from fdikp.training.stop import Stop
from fdikp.training.summary import write_summary
from fdikp.training.validate import ValidationSet, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATISTICS_BATCHES = 32
"""Batches over which the BatchNorm statistics of a plain mean of weights are measured."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    weights: Path
    """The averaged weights."""
    step: int
    done: float
    """Fraction of the budget that is used: 1, or less if the run was stopped; 0 for a run without a budget."""
    signal: int | None
    """The signal that stopped the run."""
    summary: str
    """One line; empty in all but the first of several processes."""


def train(recipe: Recipe, *, printed: bool = True) -> Outcome:
    """Train to the end of the budget, or until SIGINT or SIGTERM.

    The output folder receives checkpoints (`resume` continues from them), weights.safetensors (the first average;
    others are weights-ema-DECAY.safetensors), recipe.json, log.jsonl, a TensorBoard log, and at the end summary.json,
    summary.md and curve.png. Progress is printed, unless `printed` is False.

    Raises:
        FdikpError: the recipe is invalid, data are missing or damaged, the disk is full, or the loss was not finite
            for too many steps in a row. All but the last are found before the first step, as far as possible.
    """
    recipe.check()
    with _process_settings(recipe):
        fabric = make_fabric(recipe)
        inputs = read_inputs(recipe)  # before other processes start, so that an error is reported once
        fabric.launch()
        with RunLock(recipe.runtime.output) if fabric.is_global_zero else nullcontext():
            return _train(recipe, inputs, fabric, printed)


@contextmanager
def _process_settings(recipe: Recipe) -> Iterator[None]:
    """Threads and denormal numbers as training needs them, and afterwards as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.runtime.threads or threads)
    torch.set_flush_denormal(True)  # Adam's second moments become denormal, and arithmetic on those is very slow
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _train(recipe: Recipe, inputs: RunInputs, fabric: "Fabric", printed: bool) -> Outcome:
    torch.manual_seed(recipe.runtime.seed)
    output = recipe.runtime.output
    session = build_session(recipe, inputs, fabric)
    state = session.state
    module = fabric.setup_module(session.objective)
    sets = inputs.validation_sets(fabric.device)
    with (
        Log(output, state.step, fabric.is_global_zero, printed, recipe.budget.is_limited) as log,
        Stop() as stop,
    ):
        for note in [*session.notes, session.numerics.describe()]:
            log.say(note)
        if fabric.is_global_zero:
            write_recipe(recipe)
        try:
            done = _fit(session, recipe, fabric, module, prefetched(inputs.stream, recipe, fabric), sets, log, stop)
        except torch.OutOfMemoryError:
            raise TrainingError("not enough memory on the device; give a smaller batch= or crop=") from None
        if not fabric.is_global_zero:
            return Outcome(output / "weights.safetensors", state.step, done, stop.signal, "")
        if state.averages.kind == "swa" and done >= 1.0:
            _measure_statistics(state, recipe, session.numerics, inputs.stream)
        _validate(session, sets, log)
        file = _save(state, recipe)
        environment = {
            "device": str(fabric.device),
            "numerics": session.numerics.describe(),
            "processes": fabric.world_size,
            "validated_on": ", ".join(data.about for data in sets),
        }
        line = write_summary(recipe, state, done, environment, log.say)
    return Outcome(file, state.step, done, stop.signal, line)


def _fit(
    session: Session,
    recipe: Recipe,
    fabric: "Fabric",
    module: nn.Module,
    stream: Stream,
    sets: list[ValidationSet],
    log: Log,
    stop: Stop,
) -> float:
    """Take steps until the budget is used or a stop is requested; returns the fraction of the budget that is used."""
    state, objective, options = session.state, session.objective, recipe.runtime
    if recipe.network.start and recipe.data.validate and state.step == 0 and fabric.is_global_zero:
        _validate(session, sets, log)  # the weights that the run starts from
    saved = validated = state.clock.seconds
    logged = (state.seen, state.clock.seconds)
    loss_text = ""
    state.clock.side_work(most=0.0)  # reading the data does not count towards the budget
    while True:
        stop_requested, seconds = _largest(fabric, float(stop.signal is not None), state.clock.seconds)
        done = progress(recipe.budget, state.step, seconds, state.seen / len(stream))
        log.advance(done, f"step {state.step}{loss_text}")
        if done >= 1.0 or stop_requested:
            return done
        if state.phase != (phase_index := recipe.budget.phase_at(done)):
            state.phase = phase_index
            state.averages.begin(recipe.budget.phases[phase_index].averaging)
        phase = recipe.budget.phases[state.phase]
        objective.step = state.step
        objective.hinting = recipe.loss.radius_hint > 0 and recipe.budget.is_limited and done < HINT_FRACTION
        lr = learning_rate(recipe, state.step, done)
        count = phase.batch // fabric.world_size
        batch = stream.batch(state.seen + fabric.global_rank * count, count, phase.crop, fabric.device)
        state.seen += phase.batch
        state.pixels += phase.batch * phase.crop**2
        output, norm = _step(state, recipe, fabric, module, batch, lr)
        step_seconds = state.clock.step()
        if state.bad >= options.patience:
            _give_up(state, recipe, fabric)
        if not fabric.is_global_zero:
            continue
        last = progress(recipe.budget, state.step, state.clock.seconds, state.seen / len(stream)) >= 1.0
        if state.step % options.log_every == 0 or state.step == 1 or last:
            since = state.clock.seconds - logged[1]
            loss_text = f", loss {float(output.loss.detach()):.4f}"
            log.write(
                state.step,
                seconds=state.clock.seconds,
                per_step=step_seconds,
                crops=state.seen,
                crops_128=state.pixels / 128**2,
                images_per_second=(state.seen - logged[0]) / since if since else 0.0,
                epoch=state.seen / len(stream),
                lr=lr,
                loss=float(output.loss.detach()),
                terms=objective.terms(output, batch),
                norm=float(norm),
                **_batch_psnr(batch, output.images[-1].detach().float()),
                skipped=state.skipped,
            )
            logged = (state.seen, state.clock.seconds)
        if state.clock.seconds - validated >= 60.0 * options.validate_every and not last:
            _validate(session, sets, log)
            state.clock.side_work()
            validated = state.clock.seconds
        if state.clock.seconds - saved >= 60.0 * options.save_every and not last:
            try:
                _save(state, recipe)
            except TrainingError as error:  # there may be room again by the next save
                log.say(f"{error}; training continues, and the previous checkpoint is intact")
            state.clock.side_work()
            saved = state.clock.seconds


def _step(
    state: TrainingState, recipe: Recipe, fabric: "Fabric", module: nn.Module, batch: Batch, lr: float
) -> tuple[LossOutput, Tensor]:
    """One step of the optimiser; returns its forward pass and the gradient's norm before clipping.

    A step whose loss or gradient is not finite changes nothing but the counters.
    """
    buffers = [buffer.clone() for buffer in state.network.buffers()]
    output: LossOutput = module(batch.blurred, batch.target, batch.radius)
    state.step += 1
    state.optimizer.zero_grad()
    norm = torch.tensor(float("nan"))
    (broken,) = _largest(fabric, float(not output.loss.isfinite()))
    if not broken:  # with coordinates that are not finite, the gradient of grid sampling reads out of bounds
        fabric.backward(output.loss)
        trained = [p for group in state.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, recipe.optim.grad_clip)
        broken = float(not norm.isfinite())  # the gradient, and so this, is the same in all processes
    if broken:
        state.skipped += 1
        state.bad += 1
        for buffer, before in zip(state.network.buffers(), buffers, strict=True):
            buffer.copy_(before)
        return output, norm
    state.bad = 0
    state.optimizer.step(lr)
    state.averages.update(state.network)
    return output, norm


def _largest(fabric: "Fabric", *values: float) -> list[float]:
    """The largest of each value over all processes, so that all make the same decisions."""
    if fabric.world_size == 1:
        return list(values)
    stacked = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    largest: list[float] = fabric.all_reduce(stacked, reduce_op="max").tolist()  # type: ignore[union-attr]
    return largest


def _batch_psnr(batch: Batch, output: Tensor) -> dict[str, float]:
    """Mean PSNR of a batch before and after, in dB; crops that equal their target are left out, and counted."""
    scores = torch.stack([psnr(image.clamp(0.0, 1.0), batch.target) for image in (batch.blurred, output)])
    finite = scores.isfinite().all(dim=0)
    facts: dict[str, float] = {"identical": int((scores == torch.inf).any(dim=0).sum())}
    if finite.any():
        facts["psnr_in"], facts["psnr_out"] = scores[:, finite].mean(dim=1).tolist()
    return facts


def _give_up(state: TrainingState, recipe: Recipe, fabric: "Fabric") -> None:
    if fabric.is_global_zero:
        _save(state, recipe)
    raise TrainingError(
        f"{recipe.runtime.output}: the loss was not finite for {state.bad} steps in a row, up to step {state.step}; "
        "the last good weights are saved: give a lower lr=, try precision=float32, or check the data"
    )


def _measure_statistics(state: TrainingState, recipe: Recipe, numerics: Numerics, stream: Stream) -> None:
    """Measure the BatchNorm statistics that belong to a plain mean of weights."""
    phase = recipe.budget.phases[-1]
    for average in state.averages.by_decay.values():
        with torch.no_grad(), measured_statistics(average.network):
            for n in range(STATISTICS_BATCHES):
                first = VALIDATION_OFFSET + n * phase.batch
                batch = stream.batch(first, phase.batch, phase.crop, numerics.device)
                with numerics.autocast():
                    average.network.stages(batch.blurred.contiguous(memory_format=numerics.memory_format))


def _save(state: TrainingState, recipe: Recipe) -> Path:
    """Write the checkpoint and the averaged weights; returns the file of the first average.

    Raises:
        TrainingError: they cannot be written.
    """
    folder = recipe.runtime.output
    file = folder / "weights.safetensors"
    try:
        save_checkpoint(folder, state.to_checkpoint())
        for n, (decay, average) in enumerate(state.averages.by_decay.items()):
            models.save(
                average.network,
                folder / f"weights-ema-{decay}.safetensors" if n else file,
                name=state.name,
                half=recipe.runtime.half,
                step=state.step,
                recipe=recipe.to_dict(),
            )
    except OSError as error:
        raise TrainingError(cannot_be_written(folder, error)) from error
    return file


def _validate(session: Session, sets: list[ValidationSet], log: Log) -> None:
    """Log the scores of each average on each set: `validations` has all, `validation` the first set's first."""
    scores: dict[str, dict[str, Any]] = {data.name: {} for data in sets}
    strips = []
    for data in sets:
        for decay, average in session.state.averages.by_decay.items():
            loss = session.objective.validation_loss
            scores[data.name][decay], strip = validate(average.network, data, session.numerics, session.lpips, loss)
            strips.append(strip)
    first = next(iter(scores[sets[0].name].values()))
    log.write(session.state.step, seconds=session.state.clock.seconds, validation=first, validations=scores)
    log.image(session.state.step, "blurred, restored, target", strips[0])
