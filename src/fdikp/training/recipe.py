"""What one training run is made of. Any field can be set on the command line: `--lr 4e-4`, `--minutes 60`."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fdikp.errors import TrainingError
from fdikp.network.config import PRESETS, NetworkConfig
from fdikp.synthesis.settings import RenderSettings

Averaging = Literal["ema", "swa", "none"]
Schedule = Literal["cosine", "steps", "linear", "constant"]
Precision = Literal["auto", "bf16", "fp32"]
MemoryFormat = Literal["auto", "channels-last", "contiguous"]


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Phase:
    """A stretch of a run with crops and batches of one size."""

    share: float
    """Of the run's budget; the shares of all phases stand in proportion."""
    crop: int
    batch: int
    averaging: Averaging


HINTED = 0.1
"""Share of the budget over which features are taught the blur radius (`hint`)."""

PER_PHASE = tuple(field.name for field in dataclasses.fields(Phase))
"""Fields of a recipe that hold one value for each phase, or one for all."""


@dataclass(frozen=True)
class Recipe:
    """A run. Two runs on CPU with equal recipes of a step budget end in the same weights."""

    config: str = _option("fdikp-lite", "network, a name in fdikp.network.PRESETS")
    narrow: int = _option(1, "divide the network's channels by this, for comparisons that must be quick")
    data: tuple[Path, ...] = _option((), "a data set of real pairs, or folders of sharp photographs, searched deeply")
    pairs: Literal["auto", "real", "rendered"] = _option("auto", "what the data are; auto knows them by their layout")
    out: Path = _option(Path("runs/run"), "folder for checkpoints, weights, log and summary")
    resume: bool = _option(False, "go on from the checkpoint in `out`, if there is one")
    start: str | None = _option(None, "weights to start from, a shipped model or a file (also --from)")

    grow: bool = _option(
        False, "take the weights of --from into the wider and deeper network of --config, which then begins from there"
    )

    steps: int = _option(0, "stop after so many steps (0: no limit)")
    minutes: float = _option(
        0.0, "stop after so many minutes of work; pauses of the process do not count (0: no limit)"
    )
    epochs: float = _option(0.0, "stop after so many times through the data (0: no limit)")

    share: tuple[float, ...] = _option((1.0,), "each phase's share of the budget")
    crop: tuple[int, ...] = _option(
        (128,), "side of the training pictures, a multiple of 16, at least 64; one for all phases or one each"
    )
    batch: tuple[int, ...] = _option((8,), "pictures per step, on all devices together; for all phases or each")
    averaging: tuple[Averaging, ...] = _option(
        ("ema",), "weights that are validated and shipped: running average, mean over the phase (swa), or the last"
    )
    margin: int = _option(16, "pixels rendered around each and cut off, so that blur comes in from outside")

    optimizer: Literal["adam", "muon", "soap"] = _option(
        "adam",
        "muon and soap train the weights of convolutions and linear layers as matrices, and the rest with Adam",
    )
    lr: float = _option(8e-4, "peak learning rate")
    adam_lr_scale: float = _option(0.5, "muon, soap: learning rate of Adam's part, as a fraction of --lr")
    pixel_rate: float = _option(
        0.05, "share of the rate for layers that work on pixels; below 1 their biases stay at zero"
    )
    warmup: int = _option(100, "steps of linear warm-up")
    schedule: Schedule = _option(
        "cosine",
        "how the rate falls after the warm-up: along a cosine, in steps, linearly to zero, or not at all; "
        "constant needs no budget",
    )
    decay_start: int = _option(0, "linear: the step at which the rate begins to fall")
    floor: float = _option(0.01, "cosine: the rate at the end, as a share of the peak")
    milestones: tuple[float, ...] = _option((), "steps: shares of the budget after which the rate falls by `decay`")
    decay: float = _option(0.5, "steps: factor on the rate at each milestone")
    clip: float = _option(1.0, "largest gradient norm")
    ema_decay: tuple[float, ...] = _option(
        (0.999,),
        "decays of running averages of the weights; the first makes weights.safetensors, another D "
        "weights-ema-D.safetensors",
    )
    freeze_norm: bool = _option(
        False, "keep the statistics of the batch normalisation that the weights came with, which --from gives"
    )
    patience: int = _option(20, "stop after so many steps in a row whose loss is not finite")

    scales: tuple[float, float, float] = _option((1.0, 0.2, 0.1), "weights of full, half and quarter size (eq. 4)")
    alpha: float = _option(1.0, "weight of the mean squared error (eq. 5)")
    beta: float = _option(0.2, "weight of LPIPS (eq. 5); counts only where its weights are found")
    gamma: float = _option(0.2, "weight of the frequency loss (eq. 5)")
    delta: float = _option(0.0, "weight of the root of squared errors; not in the paper")
    blur: float = _option(0.0, "weight of the dilated maps' distance from the blur that was rendered; not in the paper")
    hint: float = _option(
        0.0, "weight of the blur radius that features learn to tell in the first tenth of the budget; not in the paper"
    )
    lpips: str | None = _option(
        None, "LPIPS weights: a safetensors file, or `download`; else the file that FDIKP_LPIPS names"
    )
    teacher: str | None = _option(None, "a shipped model or weights file whose results are to be imitated")
    distil: float = _option(0.5, "weight of the L1 distance to the teacher's results, scale by scale")

    render: tuple[str, ...] = _option(
        (), "settings of the renderer to change, such as max_radius=12 p_jpeg=0.5; fdikp render --help has them all"
    )
    seed: int = _option(0, "seed of everything random")
    device: str = _option("auto", "cuda, cpu, or auto")
    devices: int = _option(1, "devices to train on, each taking its share of every batch")
    nodes: int = _option(1, "machines with so many devices each, started alike")
    precision: Precision = _option(
        "auto", "of the network's convolutions: bf16, fp32, or auto: bf16 where the device multiplies it, else fp32"
    )
    memory_format: MemoryFormat = _option(
        "auto", "of feature maps; auto is contiguous for fp32 on CPUs without AVX-512, else channels-last, as is faster"
    )
    compile: bool = _option(False, "compile encoder and decoder; takes minutes at the start, and a C++ compiler")
    workers: int = _option(
        -1,
        "processes that render ahead (-1: on a GPU all cores but one, shared by the devices; on CPU none)",
    )
    threads: int = _option(0, "CPU threads (0: torch's choice)")
    memory: float = _option(4.0, "GiB of decoded pictures of pairs to keep in memory, in each process")

    held_out: Path | None = _option(
        None, "file of photographs to set aside, one name a line (default: fdikp's own list)"
    )
    validate: tuple[str, ...] = _option(
        (),
        "sets to validate on, each NAME=PATH or PATH: pairs, a data set, or the Kodak photographs, which are rendered; "
        "or `held-out`: pairs rendered from the photographs that are set aside",
    )
    validate_every: float = _option(10.0, "minutes of work between validations")
    validate_crop: int = _option(256, "side of the centre crop that is validated")
    save_every: float = _option(3.0, "minutes of work between checkpoints")
    log_every: int = _option(20, "steps between lines of the log")
    half: bool = _option(False, "store weights.safetensors in 16 bit")

    @property
    def has_budget(self) -> bool:
        """Whether the run ends by itself."""
        return max(self.steps, self.minutes, self.epochs) > 0

    @property
    def rendering(self) -> RenderSettings:
        """The renderer's settings.

        Raises:
            ValueError: `render` names none, or one has no such value.
        """
        return RenderSettings().changed(self.render)

    @property
    def network(self) -> NetworkConfig:
        """The shape of the network that is trained, where no weights are given to start from."""
        return PRESETS[self.config].narrowed(self.narrow)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases in their order; a field with one value has it in all.

        >>> [(p.crop, p.batch) for p in Recipe(crop=(384, 512), batch=(4,)).phases]
        [(384, 4), (512, 4)]
        """
        count = max(len(getattr(self, name)) for name in PER_PHASE)
        values = [getattr(self, name) * (count if len(getattr(self, name)) == 1 else 1) for name in PER_PHASE]
        return tuple(Phase(*of_phase) for of_phase in zip(*values, strict=True))

    def phase(self, done: float) -> int:
        """The index of the phase in which `done`, 0..1, of the budget is used.

        >>> recipe = Recipe(share=(14, 1), crop=(384, 512))
        >>> recipe.phase(0.0), recipe.phase(0.93), recipe.phase(0.94), recipe.phase(1.0)
        (0, 0, 1, 1)
        """
        shares = [phase.share for phase in self.phases]
        ends = [sum(shares[: n + 1]) / sum(shares) for n in range(len(shares) - 1)]
        return sum(done >= end for end in ends)

    def check(self) -> None:
        """Refuse what no run can be made of.

        Raises:
            TrainingError: with the option's name, in one line.
        """
        lengths = {len(getattr(self, name)) for name in PER_PHASE}
        processes = self.devices * self.nodes
        positive = ("lr", "adam_lr_scale", "clip", "patience", "devices", "nodes", "log_every", "validate_crop")
        problems = [
            (
                not self.has_budget and self.schedule != "constant",
                "a run needs an end: give --steps, --minutes or --epochs, or --schedule constant",
            ),
            (
                not self.has_budget and len(self.phases if lengths else ()) > 1,
                f"{_flags(PER_PHASE)}: phases are parts of a budget; give --steps, --minutes or --epochs",
            ),
            (
                self.decay_start < 0 or (self.decay_start > 0 and (self.schedule != "linear" or self.steps <= 0)),
                f"--decay-start {self.decay_start}: is a step of --schedule linear with a budget in --steps",
            ),
            (
                0 < self.steps <= self.decay_start,
                f"--decay-start {self.decay_start}: must be below --steps {self.steps}",
            ),
            (
                not self.ema_decay or not all(0.0 <= decay < 1.0 for decay in self.ema_decay),
                f"--ema-decay {_listed(self.ema_decay)}: must be at least 0 and below 1",
            ),
            (
                len(set(self.ema_decay)) < len(self.ema_decay),
                f"--ema-decay {_listed(self.ema_decay)}: has a value twice",
            ),
            (not self.data, "nothing to train on: give --data"),
            (self.config not in PRESETS, f"--config {self.config}: no such network; there are {', '.join(PRESETS)}"),
            (self._too_narrow(), f"--narrow {self.narrow}: the channels of {self.config} cannot be divided so"),
            (len(lengths - {1}) > 1 or 0 in lengths, f"{_flags(PER_PHASE)} need one value, or one for each phase"),
            (
                any(crop < 64 or crop % 16 for crop in self.crop),
                f"--crop {_listed(self.crop)}: must be a multiple of 16 and at least 64",
            ),
            (min(self.batch, default=1) < 1, f"--batch {_listed(self.batch)}: must be at least 1"),
            (min(self.share, default=1) <= 0, f"--share {_listed(self.share)}: must be above 0"),
            *(
                (getattr(self, name) <= 0, f"{_flags([name])} {getattr(self, name)}: must be above 0")
                for name in positive
            ),
            (self.grow and self.start is None, "--grow: nothing to grow from; give --from"),
            (
                self.freeze_norm and self.start is None,
                "--freeze-norm: weights of chance have no statistics to keep; give --from",
            ),
            (
                processes > 0 and any(batch % processes for batch in self.batch),
                f"--batch {_listed(self.batch)}: cannot be shared by {processes} devices; give a multiple of that",
            ),
        ]
        for found, problem in problems:
            if found:
                raise TrainingError(problem)
        try:
            self.rendering  # noqa: B018 (what it raises is the answer)
        except ValueError as error:
            raise TrainingError(f"--render: {error}") from None

    def _too_narrow(self) -> bool:
        """Whether no network is left; of a name that is not known that is not said."""
        try:
            self.network  # noqa: B018 (what it raises is the answer)
        except ValueError:
            return True
        except KeyError:
            return False
        return False

    def to_dict(self) -> dict[str, Any]:
        """The fields as values that JSON knows."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(v) for v in value]
            return str(value) if isinstance(value, Path) else value

        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` made these values of.

        Raises:
            ValueError: there are other fields than a recipe has; it was written by another version.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        if set(values) != fields:
            raise ValueError(", ".join(sorted(set(values) ^ fields)))
        given: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        given["data"] = tuple(map(Path, given["data"]))
        given |= {name: Path(given[name]) for name in ("out", "held_out") if given[name] is not None}
        return cls(**given)


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _listed(values: tuple[Any, ...]) -> str:
    return " ".join(map(str, values))
