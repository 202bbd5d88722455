"""`fdikp average`: writes the mean of trained weights."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.errors import WeightsError
from fdikp.files import cannot_be_written

UNRELATED = 0.1
"""Warn above this cancellation: the weights probably do not share an initialisation."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Average the weights of networks that were trained from the same weights.

    The mean of several runs that started from the same weights is often
    better than each of them, and so is the mean of a fine-tuned network and
    the one that it started from. Measure it: fdikp evaluate MEAN --data ...

    The mean has no calibrated blur map; fdikp calibrate adds it.

    All networks must have the same shape. The weights of networks that do not
    share an initialisation cancel, and their mean is worse than each of them;
    a warning then reports how much cancels.

    Examples:
      fdikp average runs/a/weights.safetensors runs/b/weights.safetensors -o mean.safetensors
      fdikp average fdikp-lite mine.safetensors --shares 1 3 -o mean.safetensors
    """

    # Two or more shipped models or weights files.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ()

    # The file to write, NAME.safetensors; NAME becomes the model's name.
    output: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="FILE")]

    # The relative contribution of each input: one positive number per input.
    shares: Annotated[tuple[float, ...], tyro.conf.arg(help_behavior_hint="(default: all equal)")] = ()

    # Store 16-bit floats, like the shipped models: half the size.
    half: Flag = False

    # Replace an existing file.
    overwrite: Flag = False


def run(options: Options) -> int:
    """Average the weights, and return the exit code."""
    shares = options.shares or (1.0,) * len(options.inputs)
    output = Path(options.output)
    if len(options.inputs) < 2:
        raise UsageError(f"{len(options.inputs)} inputs: give two or more weights to average")
    if len(shares) != len(options.inputs):
        raise UsageError(f"--shares: {len(shares)} numbers for {len(options.inputs)} inputs; give one for each")
    if not all(math.isfinite(share) and share > 0 for share in shares):
        raise UsageError(f"--shares {' '.join(f'{share:g}' for share in shares)}: each must be a positive number")
    if output.suffix != ".safetensors":
        raise UsageError(f"--output {options.output}: must end in .safetensors")
    if output.exists() and not options.overwrite:
        raise WeightsError(f"{output} exists; give --overwrite or another --output")

    from fdikp import models

    networks, descriptors = zip(*(models.load(name) for name in options.inputs), strict=True)
    first = descriptors[0]
    for other in descriptors[1:]:
        for name, value in first.config.to_dict().items():
            if (differing := getattr(other.config, name)) != value:
                raise WeightsError(
                    f"{other.path}: a network of another shape than {first.path} ({name} {differing} and {value}); "
                    "average networks of one shape"
                )
    parts = [
        {"sha256": descriptor.sha256, "share": share / sum(shares)}
        for descriptor, share in zip(descriptors, shares, strict=True)
    ]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        models.save(models.average(networks, shares), output, name=output.stem, half=options.half, mean_of=parts)
    except OSError as error:
        raise WeightsError(cannot_be_written(output, error)) from error
    console.result(f"{' '.join(options.inputs)} -> {output}, sha256 {models.describe(output).sha256}")
    if (fraction := models.weight_cancellation(networks)) > UNRELATED:
        console.problem(
            f"{output}: {fraction:.0%} of the weights cancel in this mean, so it is probably worse than its inputs; "
            "average runs that started from the same weights"
        )
    return 0
