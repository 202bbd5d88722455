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
from fdikp.training.average import measured_statistics
from fdikp.training.checkpoint import save_checkpoint
from fdikp.training.data import Batch, Stream
from fdikp.training.lock import RunLock
from fdikp.training.log import Log
from fdikp.training.numerics import Numerics
from fdikp.training.objective import Judged
from fdikp.training.recipe import HINTED, Recipe
from fdikp.training.recipe_file import write_recipe
from fdikp.training.schedule import learning_rate, progress
from fdikp.training.setup import FAR, Prepared, Ready, Run, ahead, fabric_of, prepare, ready
from fdikp.training.stop import Stop
from fdikp.training.summary import write_summary
from fdikp.training.validate import ValidationSet, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SETTLING = 32
"""Batches that the BatchNorm statistics of a plain mean of weights are measured on."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    weights: Path
    """The averaged weights."""
    step: int
    done: float
    """The share of the budget that is used: 1, or less if it was stopped; 0 for a run without a budget."""
    signal: int | None
    """The signal that stopped it."""
    summary: str
    """One line."""


def train(recipe: Recipe, *, printed: bool = True) -> Outcome:
    """Train to the end of the budget, or until SIGINT or SIGTERM.

    `recipe.out` receives checkpoints (to go on from with `resume`), weights.safetensors (the first average; others are
    weights-ema-DECAY.safetensors), recipe.json, log.jsonl, TensorBoard's log, and at the end summary.json, summary.md
    and curve.png. Progress is printed, unless `printed` is False.

    Raises:
        FdikpError: the recipe cannot be meant, data are missing or damaged, the disk is full, or the loss was not
            finite for too many steps in a row. All but the last are found before the first step, as far as they can.
    """
    recipe.check()
    with _arithmetic(recipe):
        return _train(recipe, printed)


@contextmanager
def _arithmetic(recipe: Recipe) -> Iterator[None]:
    """The process as training wants it, and afterwards as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads or threads)
    torch.set_flush_denormal(True)  # Adam's second moments become denormal, and arithmetic on those is very slow
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _train(recipe: Recipe, printed: bool) -> Outcome:
    fabric = fabric_of(recipe)
    prepared = prepare(recipe)  # before other processes are started: what is wrong is then said once
    fabric.launch()
    with RunLock(recipe.out) if fabric.is_global_zero else nullcontext():
        return _train_locked(recipe, prepared, fabric, printed)


def _train_locked(recipe: Recipe, prepared: Prepared, fabric: "Fabric", printed: bool) -> Outcome:
    torch.manual_seed(recipe.seed)
    made = ready(recipe, prepared, fabric)
    run, objective = made.run, made.objective
    module = fabric.setup_module(objective)
    sets = prepared.validation_on(fabric.device)
    with (
        Log(recipe.out, run.step, fabric.is_global_zero, printed, recipe.has_budget) as log,
        Stop() as stop,
    ):
        for note in [*made.notes, made.numerics.describe()]:
            log.say(note)
        if fabric.is_global_zero:
            write_recipe(recipe)
        try:
            done = _fit(made, recipe, fabric, module, ahead(prepared.stream, recipe, fabric), sets, log, stop)
        except torch.OutOfMemoryError:
            raise TrainingError("not enough memory on the device; give a smaller --batch or --crop") from None
        if not fabric.is_global_zero:
            return Outcome(recipe.out / "weights.safetensors", run.step, done, stop.signal, "")
        if run.averages.kind == "swa" and done >= 1.0:
            _settle(run, recipe, made.numerics, prepared.stream)
        _validate(made, sets, log)
        file = _save(run, recipe)
        where = {
            "device": str(fabric.device),
            "numerics": made.numerics.describe(),
            "processes": fabric.world_size,
            "validated_on": ", ".join(data.about for data in sets),
        }
        line = write_summary(recipe, run, done, where, log.say)
    return Outcome(file, run.step, done, stop.signal, line)


def _fit(
    made: Ready,
    recipe: Recipe,
    fabric: "Fabric",
    module: nn.Module,
    stream: Stream,
    sets: list[ValidationSet],
    log: Log,
    stop: Stop,
) -> float:
    """Steps until the budget is used or a stop is asked for; returns the share of the budget that is used."""
    run, objective = made.run, made.objective
    if recipe.start and recipe.validate and run.step == 0 and fabric.is_global_zero:
        _validate(made, sets, log)  # the weights it starts from
    saved = validated = run.clock.seconds
    logged = (run.seen, run.clock.seconds)
    told = ""
    run.clock.side_work(most=0.0)  # the budget begins here, not with reading the pictures
    while True:
        asked, seconds = _largest(fabric, float(stop.signal is not None), run.clock.seconds)
        done = progress(recipe, run.step, seconds, run.seen / len(stream))
        log.advance(done, f"step {run.step}{told}")
        if done >= 1.0 or asked:
            return done
        if run.phase != (now := recipe.phase(done)):
            run.phase = now
            run.averages.begin(recipe.phases[now].averaging)
        phase = recipe.phases[run.phase]
        objective.step = run.step
        objective.hinting = recipe.hint > 0 and recipe.has_budget and done < HINTED
        lr = learning_rate(recipe, run.step, done)
        share = phase.batch // fabric.world_size
        batch = stream.batch(run.seen + fabric.global_rank * share, share, phase.crop, fabric.device)
        run.seen += phase.batch
        run.pixels += phase.batch * phase.crop**2
        judged, norm = _step(run, recipe, fabric, module, batch, lr)
        counted = run.clock.step()
        if run.bad >= recipe.patience:
            _give_up(run, recipe, fabric)
        if not fabric.is_global_zero:
            continue
        last = progress(recipe, run.step, run.clock.seconds, run.seen / len(stream)) >= 1.0
        if run.step % recipe.log_every == 0 or run.step == 1 or last:
            since = run.clock.seconds - logged[1]
            told = f", loss {float(judged.loss.detach()):.4f}"
            log.write(
                run.step,
                seconds=run.clock.seconds,
                per_step=counted,
                crops=run.seen,
                crops_128=run.pixels / 128**2,
                images_per_second=(run.seen - logged[0]) / since if since else 0.0,
                epoch=run.seen / len(stream),
                lr=lr,
                loss=float(judged.loss.detach()),
                terms=objective.terms(judged, batch),
                norm=float(norm),
                psnr_in=_mean_psnr(batch.blurred, batch.target),
                psnr_out=_mean_psnr(judged.images[-1].detach().float(), batch.target),
                skipped=run.skipped,
            )
            logged = (run.seen, run.clock.seconds)
        if run.clock.seconds - validated >= 60.0 * recipe.validate_every and not last:
            _validate(made, sets, log)
            run.clock.side_work()
            validated = run.clock.seconds
        if run.clock.seconds - saved >= 60.0 * recipe.save_every and not last:
            try:
                _save(run, recipe)
            except TrainingError as error:  # there may be room again when it matters
                log.say(f"{error}; training goes on, the checkpoint before is whole")
            run.clock.side_work()
            saved = run.clock.seconds


def _step(
    run: Run, recipe: Recipe, fabric: "Fabric", module: nn.Module, batch: Batch, lr: float
) -> tuple[Judged, Tensor]:
    """One step of the optimiser; returns the pass it was made from and the gradient's norm before clipping."""
    statistics = [buffer.clone() for buffer in run.network.buffers()]
    judged: Judged = module(batch.blurred, batch.target, batch.radius)
    run.step += 1
    run.optimizer.zero_grad()
    norm = torch.tensor(float("nan"))
    (broken,) = _largest(fabric, float(not judged.loss.isfinite()))
    if not broken:  # where coordinates are not finite, the gradient of sampling reads outside of its memory
        fabric.backward(judged.loss)
        trained = [p for group in run.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, recipe.clip)
        broken = float(not norm.isfinite())  # the same in all processes, as the gradient is
    if broken:
        run.skipped += 1
        run.bad += 1
        for buffer, before in zip(run.network.buffers(), statistics, strict=True):
            buffer.copy_(before)
        return judged, norm
    run.bad = 0
    run.optimizer.step(lr)
    run.averages.update(run.network)
    return judged, norm


def _largest(fabric: "Fabric", *values: float) -> list[float]:
    """The largest of each value over all processes, so that all decide alike."""
    if fabric.world_size == 1:
        return list(values)
    together = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    agreed: list[float] = fabric.all_reduce(together, reduce_op="max").tolist()  # type: ignore[union-attr]
    return agreed


def _mean_psnr(output: Tensor, target: Tensor) -> float:
    """Mean over the batch, of pictures in 0..1; a perfect one counts 60 dB."""
    errors = (output.clamp(0.0, 1.0) - target).square().mean(dim=(1, 2, 3)).clamp_min(1e-6)
    return float(-10.0 * errors.log10().mean())


def _give_up(run: Run, recipe: Recipe, fabric: "Fabric") -> None:
    if fabric.is_global_zero:
        _save(run, recipe)
    raise TrainingError(
        f"{recipe.out}: the loss was not finite for {run.bad} steps in a row, up to step {run.step}; the weights from "
        "before are kept: lower --lr, try --precision fp32, or look at the data"
    )


def _settle(run: Run, recipe: Recipe, numerics: Numerics, stream: Stream) -> None:
    """Measure the BatchNorm statistics that belong to a plain mean of weights."""
    phase = recipe.phases[-1]
    for average in run.averages.by_decay.values():
        with torch.no_grad(), measured_statistics(average.network):
            for n in range(SETTLING):
                batch = stream.batch(FAR + n * phase.batch, phase.batch, phase.crop, numerics.device)
                with numerics.autocast():
                    average.network.stages(batch.blurred.contiguous(memory_format=numerics.memory_format))


def _save(run: Run, recipe: Recipe) -> Path:
    """Write the checkpoint and the averaged weights; returns the file of the first average.

    Raises:
        TrainingError: they cannot be written.
    """
    file = recipe.out / "weights.safetensors"
    try:
        save_checkpoint(recipe.out, run.state())
        for n, (decay, average) in enumerate(run.averages.by_decay.items()):
            models.save(
                average.network,
                recipe.out / f"weights-ema-{decay}.safetensors" if n else file,
                name=run.name,
                half=recipe.half,
                step=run.step,
                recipe=recipe.to_dict(),
            )
    except OSError as error:
        raise TrainingError(cannot_be_written(recipe.out, error)) from error
    return file


def _validate(made: Ready, sets: list[ValidationSet], log: Log) -> None:
    """Each average on each set: `validations` has all, `validation` the first average on the first set."""
    run = made.run
    found: dict[str, dict[str, Any]] = {data.name: {} for data in sets}
    strips = []
    for data in sets:
        for decay, average in run.averages.by_decay.items():
            facts, strip = validate(average.network, data, made.numerics, made.lpips, made.objective.validation_loss)
            found[data.name][decay] = facts
            strips.append(strip)
    first = next(iter(found[sets[0].name].values()))
    log.write(run.step, seconds=run.clock.seconds, validation=first, validations=found)
    log.picture(run.step, "blurred, restored, target", strips[0])
