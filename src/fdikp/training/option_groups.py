"""The options of a training run, in groups. Each is a flag of `fdikp train`, by its name in all but few cases."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fdikp.network.config import PRESETS, NetworkConfig
from fdikp.synthesis.settings import RenderSettings

Averaging = Literal["ema", "swa", "none"]
Schedule = Literal["cosine", "steps", "linear", "constant"]
Precision = Literal["auto", "bfloat16", "float32"]
MemoryFormat = Literal["auto", "channels-last", "contiguous"]


PRECISION_ALIASES = {"bf16": "bfloat16", "fp32": "float32"}
"""Short names, which command lines and older recipes may have, and the names that are kept and printed."""


def _option(
    default: Any,
    help: str,
    metavar: str | None = None,
    flags: tuple[str, ...] = (),
    aliases: dict[str, str] | None = None,
) -> Any:
    """A field with its help.

    `flags`: its names on the command line, where they are not that of the field. `aliases`: other names of its values.
    """
    metadata = {"help": help, "metavar": metavar, "flags": flags, "aliases": aliases or {}}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NetworkGroup:
    """Network and the weights it starts from."""

    config: str = _option("fdikp-lite", "Network to train, a name in fdikp.network.PRESETS.", "NAME")
    width_divisor: int = _option(1, "Divide the network's channel counts by N, for quick comparisons.", "N")
    start: str | None = _option(
        None,
        "Start from these weights, a shipped model or a weights file, instead of a random initialisation.",
        "NAME_OR_FILE",
        ("--from",),
    )
    expand: bool = _option(
        False,
        "Expand the weights of --from to the wider and deeper network of --config, which then starts from the same "
        "function (Net2Net).",
    )
    freeze_bn: bool = _option(False, "Freeze the batch normalisation statistics of the weights given with --from.")

    @property
    def architecture(self) -> NetworkConfig:
        """The configuration of the network that is trained, unless `start` without `expand` brings its own.

        Raises:
            KeyError: there is no network of that name.
            ValueError: its channels cannot be divided so.
        """
        return PRESETS[self.config].narrowed(self.width_divisor)

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        if self.config not in PRESETS:
            yield f"config={self.config}: no such network; choose from {', '.join(PRESETS)}"
        else:
            try:
                self.architecture  # noqa: B018 (only what it raises matters)
            except ValueError:
                yield f"width_divisor={self.width_divisor}: cannot divide the channel counts of {self.config}"
        if self.start is None and self.expand:
            yield "expand=: needs weights to expand; give start="
        if self.start is None and self.freeze_bn:
            yield "freeze_bn=: a random initialisation has no statistics to keep; give start="


@dataclass(frozen=True)
class DataGroup:
    """Training and validation data."""

    paths: tuple[Path, ...] = _option(
        (), "One data set of real pairs, or folders of sharp photos (searched recursively).", "PATH", ("--data",)
    )
    pairs: Literal["auto", "real", "rendered"] = _option(
        "auto", "Train on real pairs, or on pairs rendered from sharp photos. auto decides by the folder's layout."
    )
    render: tuple[str, ...] = _option(
        (),
        "Renderer settings to change, for example max_radius=12. `fdikp render --help` lists all settings.",
        "NAME=VALUE",
    )
    margin: int = _option(
        16, "Render N more pixels on each side and crop them off, so that blur enters across the border.", "N"
    )
    memory: float = _option(4.0, "Keep up to X GiB of decoded pairs in memory, per process.", "X")
    held_out: Path | None = _option(
        None,
        "Text file with the names of photos that are never trained on, one per line. "
        "By default the list that ships with fdikp.",
        "FILE",
    )
    validate: tuple[str, ...] = _option(
        (),
        "Validation sets, each NAME=PATH or PATH: real pairs, a data set, or the Kodak photos, which are rendered. "
        "`held-out` is a set of pairs rendered from the held-out photos.",
        "SET",
    )
    validate_crop: int = _option(256, "Side of the centre crop that is validated, in pixels.", "N")

    @property
    def render_settings(self) -> RenderSettings:
        """The renderer's settings.

        Raises:
            ValueError: `render` names an unknown setting or an invalid value.
        """
        return RenderSettings().changed(self.render)

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        if not self.paths:
            yield "no training data; give paths="
        try:
            self.render_settings  # noqa: B018 (only what it raises matters)
        except ValueError as error:
            yield f"render=: {error}"
        yield from _not_positive(self, "validate_crop")


@dataclass(frozen=True)
class Phase:
    """A part of a run with one crop size, batch size and kind of averaging."""

    length: float
    """Relative to the other phases' lengths."""
    crop: int
    batch: int
    averaging: Averaging


@dataclass(frozen=True)
class BudgetGroup:
    """Budget and phases."""

    steps: int = _option(0, "Stop after N steps. 0: no limit.", "N")
    minutes: float = _option(
        0.0, "Stop after X minutes of work; time in which the process is suspended does not count. 0: no limit.", "X"
    )
    epochs: float = _option(0.0, "Stop after X passes through the data. 0: no limit.", "X")
    phase_lengths: tuple[float, ...] = _option(
        (1.0,), "Relative lengths of the phases, into which the budget is divided.", "X"
    )
    crop: tuple[int, ...] = _option(
        (128,), "Side of the training crops, a multiple of 16 and at least 64. One value, or one per phase.", "N"
    )
    batch: tuple[int, ...] = _option(
        (8,), "Pairs per step, over all devices together. One value, or one per phase.", "N"
    )
    averaging: tuple[Averaging, ...] = _option(
        ("ema",),
        "Which weights are validated and written: an exponential moving average (ema), the mean over the phase (swa), "
        "or the last weights (none). One value, or one per phase.",
    )

    @property
    def is_limited(self) -> bool:
        """Whether the run ends by itself."""
        return max(self.steps, self.minutes, self.epochs) > 0

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases in order. A field with one value has it in all of them.

        >>> [(p.crop, p.batch) for p in BudgetGroup(crop=(384, 512), batch=(4,)).phases]
        [(384, 4), (512, 4)]
        """
        per_phase = [getattr(self, name) for name in PER_PHASE]
        count = max(map(len, per_phase))
        columns = [values * (count if len(values) == 1 else 1) for values in per_phase]
        return tuple(Phase(*values) for values in zip(*columns, strict=True))

    def phase_at(self, done: float) -> int:
        """The index of the phase in which `done`, 0..1, of the budget is used.

        >>> budget = BudgetGroup(phase_lengths=(14, 1), crop=(384, 512))
        >>> budget.phase_at(0.0), budget.phase_at(0.93), budget.phase_at(0.94), budget.phase_at(1.0)
        (0, 0, 1, 1)
        """
        lengths = [phase.length for phase in self.phases]
        ends = [sum(lengths[: n + 1]) / sum(lengths) for n in range(len(lengths) - 1)]
        return sum(done >= end for end in ends)

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        counts = {len(getattr(self, name)) for name in PER_PHASE}
        named = ", ".join(f"{name}=" for name in PER_PHASE)
        if len(counts - {1}) > 1 or 0 in counts:
            yield f"{named}: give one value, or one per phase"
        if not self.is_limited and max(counts) > 1:
            yield f"{named}: phases divide a budget; give steps=, minutes= or epochs="
        if any(crop < 64 or crop % 16 for crop in self.crop):
            yield f"crop={_listed(self.crop)}: must be a multiple of 16 and at least 64"
        if min(self.batch, default=1) < 1:
            yield f"batch={_listed(self.batch)}: must be at least 1"
        if min(self.phase_lengths, default=1) <= 0:
            yield f"phase_lengths={_listed(self.phase_lengths)}: must be above 0"


PER_PHASE = ("phase_lengths", "crop", "batch", "averaging")
"""Fields of the budget that hold one value per phase, or one for all: those of `Phase`, in its order."""


@dataclass(frozen=True)
class OptimGroup:
    """Optimiser and learning rate."""

    optimizer: Literal["adam", "muon", "soap"] = _option(
        "adam",
        "muon and soap update the weights of convolutions and linear layers as matrices, and all others with Adam.",
    )
    lr: float = _option(8e-4, "Peak learning rate.", "X")
    adam_lr_scale: float = _option(
        0.5, "muon and soap: learning rate of the parameters that Adam updates, relative to --lr.", "X"
    )
    output_lr_scale: float = _option(
        0.05,
        "Learning rate of the layers that output an image, relative to the other layers. "
        "Below 1 their biases stay at zero.",
        "X",
    )
    warmup: int = _option(100, "Steps of linear warm-up.", "N")
    schedule: Schedule = _option(
        "cosine",
        "Learning rate after the warm-up: cosine decay, steps at --milestones, linear decay to zero, or constant. "
        "constant needs no budget.",
    )
    decay_start: int = _option(0, "linear: step at which the learning rate starts to fall.", "N")
    final_lr_scale: float = _option(0.01, "cosine: learning rate at the end, relative to --lr.", "X")
    milestones: tuple[float, ...] = _option(
        (), "steps: fractions of the budget at which the learning rate is multiplied by --milestone-lr-scale.", "X"
    )
    milestone_lr_scale: float = _option(0.5, "steps: factor on the learning rate at each milestone.", "X")
    grad_clip: float = _option(1.0, "Largest norm of the gradient; larger ones are scaled down.", "X")
    ema_decay: tuple[float, ...] = _option(
        (0.999,),
        "Decays of the exponential moving averages. The first one is written to weights.safetensors, any other D to "
        "weights-ema-D.safetensors.",
        "D",
    )

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        if not self.ema_decay or not all(0.0 <= decay < 1.0 for decay in self.ema_decay):
            yield f"ema_decay={_listed(self.ema_decay)}: must be at least 0 and below 1"
        if len(set(self.ema_decay)) < len(self.ema_decay):
            yield f"ema_decay={_listed(self.ema_decay)}: contains a value twice"
        yield from _not_positive(self, "lr", "adam_lr_scale", "grad_clip")


@dataclass(frozen=True)
class LossGroup:
    """Loss."""

    scales: tuple[float, float, float] = _option(
        (1.0, 0.2, 0.1), "Weights of full, half and quarter resolution (λ in eq. 4).", "X"
    )
    alpha: float = _option(1.0, "Weight of the mean squared error (eq. 5).", "X")
    beta: float = _option(0.2, "Weight of LPIPS (eq. 5). The term needs the LPIPS weights.", "X")
    gamma: float = _option(0.2, "Weight of the frequency loss (eq. 5).", "X")
    guard_weight: float = _option(
        0.0,
        "Weight of the root mean squared error of 8x8 blocks, which protects areas in focus. Not in the paper.",
        "X",
    )
    blur: float = _option(
        0.0, "Weight of the distance between the dilation maps and the rendered blur. Not in the paper.", "X"
    )
    radius_hint: float = _option(
        0.0,
        "Weight of predicting the blur radius from the decoder's features, during the first tenth of the budget. "
        "Not in the paper.",
        "X",
    )
    lpips: str | None = _option(
        None,
        "LPIPS weights: a safetensors file, or `download`. By default the file in the variable FDIKP_LPIPS.",
        "FILE",
    )
    teacher: str | None = _option(None, "Distill from this model, a shipped model or a weights file.", "NAME_OR_FILE")
    distill: float = _option(0.5, "Weight of the L1 distance to the teacher's results at the three resolutions.", "X")

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        if min(self.scales) < 0:
            yield f"scales={_listed(self.scales)}: must be at least 0"
        for name in ("alpha", "beta", "gamma", "guard_weight", "blur", "radius_hint", "distill"):
            if getattr(self, name) < 0:
                yield f"{name}={getattr(self, name):g}: must be at least 0"


@dataclass(frozen=True)
class RuntimeGroup:
    """Output, devices and speed."""

    output: Path = _option(
        Path("runs/run"), "Folder for checkpoints, weights, log and summary.", "DIR", ("-o", "--output")
    )
    resume: bool = _option(False, "Continue from the checkpoint in the output folder, if there is one.")
    seed: int = _option(0, "Seed of everything random.", "N")
    device: str = _option("auto", "Device to train on: cuda, cpu or auto.", "NAME")
    devices: int = _option(1, "Number of devices. Each takes an equal part of every batch.", "N")
    nodes: int = _option(1, "Number of machines with this many devices each. Start the same command on each.", "N")
    precision: Precision = _option(
        "auto",
        "Precision of the network. auto is bfloat16 on devices with bfloat16 hardware, else float32.",
        aliases=PRECISION_ALIASES,
    )
    memory_format: MemoryFormat = _option(
        "auto",
        "Memory format of feature maps. auto takes the faster one: contiguous for float32 on CPUs without AVX-512, "
        "else channels-last.",
    )
    compile: bool = _option(
        False, "Compile encoder and decoder with torch.compile. Takes minutes at the start and needs a C++ compiler."
    )
    workers: int = _option(
        -1, "Processes that render batches in advance. -1: on a GPU all cores but one, on CPU none.", "N"
    )
    threads: int = _option(0, "CPU threads. 0: torch's default.", "N")
    validate_every: float = _option(10.0, "Minutes of work between validations.", "X")
    save_every: float = _option(3.0, "Minutes of work between checkpoints.", "X")
    log_every: int = _option(20, "Steps between lines of the log.", "N")
    patience: int = _option(20, "Stop after N consecutive steps whose loss is not finite.", "N")
    half: bool = _option(False, "Write weights.safetensors in float16.")

    def __post_init__(self) -> None:
        """Give values their full names."""
        object.__setattr__(self, "precision", PRECISION_ALIASES.get(self.precision, self.precision))

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        yield from _not_positive(self, "patience", "devices", "nodes", "log_every")


def _not_positive(group: Any, *names: str) -> Iterator[str]:
    return (f"{name}={getattr(group, name):g}: must be above 0" for name in names if getattr(group, name) <= 0)


def _listed(values: tuple[Any, ...]) -> str:
    return " ".join(map(str, values))
