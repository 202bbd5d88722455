"""The training loop."""

import json
import signal
import types
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fdikp import weights
from fdikp.evaluation.lpips import LPIPS
from fdikp.network import FDIKP, PRESETS
from fdikp.synthesis import RenderSettings
from fdikp.training.checkpoint import load_checkpoint, save_checkpoint
from fdikp.training.data import PairStream, load_pictures
from fdikp.training.losses import BlurSupervision, restoration_loss
from fdikp.training.recipe import Recipe
from fdikp.training.schedule import WorkClock, learning_rate, progress
from fdikp.training.validate import RealPair, load_real_pairs, validate


@dataclass
class Run:
    """The parts of a run that change while it goes on."""

    network: FDIKP
    supervision: BlurSupervision
    average: AveragedModel
    optimizer: torch.optim.Adam
    clock: WorkClock
    step: int = 0
    skipped: int = 0
    """Steps whose loss or gradient was not finite; they changed nothing."""

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly; the data stream needs only the step."""
        return {
            "network": self.network.state_dict(),
            "supervision": self.supervision.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.clock.seconds,
            "recent": list(self.clock.recent),
            "step": self.step,
            "skipped": self.skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.supervision.load_state_dict(state["supervision"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.clock = WorkClock(state["seconds"], state["recent"])
        self.step, self.skipped = state["step"], state["skipped"]


def train(recipe: Recipe) -> Path:
    """Train to the end of the budget, or until SIGINT or SIGTERM; returns the file of the averaged weights.

    `out` receives checkpoint.pt (to resume), weights.safetensors (the average), recipe.json and log.jsonl.
    """
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)  # Adam's second moments become denormal, and arithmetic on those is very slow
    torch.manual_seed(recipe.seed)
    device = _device(recipe)
    run = _start(recipe, device)
    stream = PairStream(
        load_pictures(recipe.data),
        recipe.crop,
        recipe.margin,
        recipe.seed,
        RenderSettings(max_radius=recipe.max_radius),
    )
    perceptual = LPIPS(recipe.lpips).to(device) if recipe.lpips else None
    pairs = load_real_pairs(recipe.validate, recipe.validate_crop) if recipe.validate else None
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")
    log = _Log(recipe.out / "log.jsonl", append=recipe.resume)
    saved = validated = run.clock.seconds
    run.clock.side_work(most=0.0)  # the budget begins here, not with reading the pictures

    with _Stop() as stop:
        done = progress(recipe, run.step, run.clock.seconds)
        while done < 1.0 and not stop.asked:
            lr = learning_rate(recipe, run.step, done)
            facts = _step(run, recipe, stream, perceptual, lr, device)
            counted = run.clock.step()
            done = progress(recipe, run.step, run.clock.seconds)
            if run.step % recipe.log_every == 0 or run.step == 1 or done >= 1.0:
                log.write(
                    step=run.step, seconds=run.clock.seconds, per_step=counted, lr=lr, **facts, skipped=run.skipped
                )
            if pairs and run.clock.seconds - validated >= 60.0 * recipe.validate_every and done < 1.0:
                _validate(run, recipe, pairs, device, log)
                run.clock.side_work()
                validated = run.clock.seconds
            if run.clock.seconds - saved >= 60.0 * recipe.save_every:
                _save(run, recipe)
                run.clock.side_work()
                saved = run.clock.seconds
    file = _save(run, recipe)
    if pairs:
        _validate(run, recipe, pairs, device, log)
    return file


def _groups(network: FDIKP, supervision: BlurSupervision, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by the share of the learning rate that is theirs.

    Layers that work on pixels start where they are nearly right, and Adam moves every number by the rate itself: what
    is nothing to a feature is a visible shift to a picture. Their biases, which could do nothing else, stay at zero.
    """
    layers = ("output.", "fikp.refine.")
    pixels = [p for name, p in network.named_parameters() if name.startswith(layers) and name.endswith("weight")]
    others = [p for name, p in network.named_parameters() if not name.startswith(layers)]
    others += supervision.parameters()
    return [{"params": others, "share": 1.0}, {"params": pixels, "share": recipe.pixel_rate}]


def _device(recipe: Recipe) -> torch.device:
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(recipe.device)


def _start(recipe: Recipe, device: torch.device) -> Run:
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network = weights.load(recipe.start)[0] if recipe.start else FDIKP(PRESETS[recipe.config])
    network = network.requires_grad_(True).train()
    network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]

    def blend(averages: Any, values: Any, count: Any) -> None:
        n = float(count)
        torch._foreach_lerp_(averages, values, 1.0 - min(recipe.average, (1.0 + n) / (10.0 + n)))

    average = AveragedModel(network, multi_avg_fn=blend)  # BatchNorm's statistics are copied, not averaged
    supervision = BlurSupervision(network).to(device)  # after the average, which would copy its hook
    run = Run(
        network,
        supervision,
        average,
        torch.optim.Adam(_groups(network, supervision, recipe), lr=recipe.lr, betas=(0.9, 0.999)),
        WorkClock(),
    )
    checkpoint = recipe.out / "checkpoint.pt"
    if recipe.resume:
        run.restore(load_checkpoint(checkpoint))
    elif checkpoint.exists():
        raise FileExistsError(f"{checkpoint} exists: go on from it with --resume, or give another --out")
    return run


def _step(
    run: Run, recipe: Recipe, stream: PairStream, perceptual: LPIPS | None, lr: float, device: torch.device
) -> dict[str, float]:
    """One step of Adam; returns what the log tells about it."""
    pair = stream.batch(run.step, recipe.batch, device)
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    blurred = pair.blurred.contiguous(memory_format=layout)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        stages = run.network.stages(blurred)
    images = [stage.image for stage in stages]
    loss = restoration_loss(
        images, pair.target, recipe.scales, recipe.alpha, recipe.beta, recipe.gamma, perceptual, recipe.delta
    )
    loss = loss + recipe.blur * run.supervision(pair.radius, stages, recipe.scales)
    run.step += 1
    run.optimizer.zero_grad(set_to_none=True)
    finite = bool(loss.isfinite())
    norm = torch.tensor(float("nan"))
    if finite:
        loss.backward()
        norm = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
        finite = bool(norm.isfinite())
    if finite:
        for group in run.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        run.optimizer.step()
        run.average.update_parameters(run.network)
    else:
        run.skipped += 1
    return {
        "loss": float(loss.detach()),
        "norm": float(norm),
        "psnr_in": _mean_psnr(pair.blurred, pair.target),
        "psnr_out": _mean_psnr(images[-1].detach().float(), pair.target),
    }


def _mean_psnr(output: Tensor, target: Tensor) -> float:
    """Mean over the batch, of pictures in 0..1; a perfect one counts 60 dB."""
    errors = (output.clamp(0.0, 1.0) - target).square().mean(dim=(1, 2, 3)).clamp_min(1e-6)
    return float(-10.0 * errors.log10().mean())


def _save(run: Run, recipe: Recipe) -> Path:
    """Write the checkpoint and the averaged weights; returns the file of the latter."""
    save_checkpoint(recipe.out / "checkpoint.pt", run.state())
    file = recipe.out / "weights.safetensors"
    average = run.average.module
    assert isinstance(average, FDIKP)
    weights.save(average, file, name=recipe.config, half=recipe.half, step=run.step, recipe=recipe.to_dict())
    return file


def _validate(run: Run, recipe: Recipe, pairs: list[RealPair], device: torch.device, log: "_Log") -> None:
    result = asdict(validate(run.average.module, pairs, device, recipe.precision == "bf16"))
    facts = {name: _short(value) for name, value in result.items() if value is not None}
    log.write(step=run.step, seconds=run.clock.seconds, validation=facts)


class _Log:
    """A line of JSON for each event, to a file and to the terminal."""

    def __init__(self, file: Path, append: bool) -> None:
        self.file = file
        if not append:
            file.write_text("")

    def write(self, **facts: Any) -> None:
        line = json.dumps({name: _short(value) for name, value in facts.items()})
        with self.file.open("a") as log:
            log.write(line + "\n")
        print(line, flush=True)


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


class _Stop(AbstractContextManager["_Stop"]):
    """Turns the first SIGINT or SIGTERM into a request to end after this step."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: types.FrameType | None) -> None:
        self.asked = True
