"""What one training run is made of. Any field can be set on the command line: `--lr 4e-4`, `--minutes 60`."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Recipe:
    """A run. Two runs with equal recipes of a step budget end in the same weights."""

    config: str = _option("fdikp-lite", "network, a name in fdikp.network.PRESETS")
    data: tuple[Path, ...] = _option((), "folders of sharp photographs, searched deeply")
    out: Path = _option(Path("runs/run"), "folder for the checkpoint, the weights and the log")  # noqa: RUF009
    resume: bool = _option(False, "go on from the checkpoint in `out`")
    start: Path | None = _option(None, "safetensors to start from instead of the identity")  # noqa: RUF009

    steps: int = _option(0, "stop after so many steps (0: no limit)")
    minutes: float = _option(
        0.0, "stop after so many minutes of work; pauses of the process do not count (0: no limit)"
    )
    batch: int = _option(8, "pictures per step")
    crop: int = _option(128, "side of the training pictures, a multiple of 16, at least 64")
    margin: int = _option(8, "pixels rendered around each and cut off, so that blur comes in from outside")

    lr: float = _option(8e-4, "peak learning rate of Adam")
    pixel_rate: float = _option(0.05, "share of the rate for layers that work on pixels rather than features")
    warmup: int = _option(100, "steps of linear warm-up")
    floor: float = _option(0.01, "the rate at the end of the cosine decay, as a share of the peak")
    clip: float = _option(1.0, "largest gradient norm")
    average: float = _option(0.999, "decay of the running average of the weights that is validated and shipped")

    scales: tuple[float, float, float] = _option((1.0, 0.2, 0.1), "weights of full, half and quarter size (eq. 4)")
    alpha: float = _option(1.0, "weight of the mean squared error (eq. 5)")
    beta: float = _option(0.2, "weight of LPIPS (eq. 5); counts only with --lpips")
    gamma: float = _option(0.2, "weight of the frequency loss (eq. 5)")
    delta: float = _option(0.0, "weight of the root of each picture's squared error; not in the paper")
    blur: float = _option(0.0, "weight of the blur radius, which features learn to tell; not in the paper")
    lpips: Path | None = _option(None, "LPIPS weights, safetensors; without them that term is left out")  # noqa: RUF009

    max_radius: float = _option(8.0, "largest blur radius rendered, in pixels")
    seed: int = _option(0, "seed of everything random")
    device: str = _option("auto", "cuda, cpu, or auto")
    precision: Literal["bf16", "fp32"] = _option("bf16", "precision of the network's convolutions")
    channels_last: bool = _option(True, "memory layout")
    threads: int = _option(0, "CPU threads (0: torch's choice)")

    validate: Path | None = _option(None, "folder with source/ and target/ of real pairs")  # noqa: RUF009
    validate_every: float = _option(10.0, "minutes of work between validations")
    validate_crop: int = _option(256, "side of the centre crop that is validated")
    save_every: float = _option(3.0, "minutes of work between checkpoints")
    log_every: int = _option(20, "steps between lines of the log")
    half: bool = _option(False, "store weights.safetensors in 16 bit")

    def __post_init__(self) -> None:
        if self.steps <= 0 and self.minutes <= 0:
            raise ValueError("a run needs an end: give --steps or --minutes")
        if self.crop < 64 or self.crop % 16:
            raise ValueError(f"--crop must be a multiple of 16 and at least 64, not {self.crop}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as values that JSON knows."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(v) for v in value]
            return str(value) if isinstance(value, Path) else value

        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


def parse_recipe(arguments: Sequence[str] | None = None) -> Recipe:
    """A recipe from command-line arguments (the process's own if None), with argparse: bare machines have no more.

    >>> parse_recipe(["--steps", "10", "--scales", "1", "0", "0", "--no-channels-last"]).scales
    (1.0, 0.0, 0.0)
    """
    parser = argparse.ArgumentParser(
        prog="python -m fdikp.training",
        description="Train FDIKP on defocus rendered from sharp photographs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    hints = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        flag = "--" + field.name.replace("_", "-")
        options = _parser_options(hints[field.name])
        parser.add_argument(flag, default=field.default, help=field.metadata["help"], **options)
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    try:
        return Recipe(**values)
    except ValueError as error:
        parser.error(str(error))


def _parser_options(hint: Any) -> dict[str, Any]:
    """What argparse needs to know of a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if origin is Literal:
        return {"choices": parts}
    if origin is tuple:
        return {"type": parts[0], "nargs": "+" if parts[-1] is Ellipsis else len(parts)}
    if origin is types.UnionType:
        return {"type": parts[0]}
    return {"type": hint}
