"""`fdikp average`: trained weights of one lineage in, their mean out."""

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

APART = 0.1
"""The share that a mean cancels from which on weights are taken for not of one lineage, and that is said."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Average the weights of networks that were trained from one start.

    The mean of a few runs that began from the same weights often does better
    than any of them, and so does the mean of a run and what it began with:
    short training that sharpens more is then less often wrong. Measure it:
    fdikp evaluate MEAN --data ...

    Networks must be of one shape. Where they have little in common, as after
    training from chance or --grow with two seeds, weights cancel and the mean
    is worse than either; how much of them does is said.

    Examples:
    fdikp average runs/a/weights.safetensors runs/b/weights.safetensors -o mean.safetensors
    fdikp average fdikp-lite mine.safetensors --shares 1 3 -o mean.safetensors
    """

    # Models that ship, and files of weights: two or more.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ()

    # The file to write, NAME.safetensors; NAME is what the model is called.
    output: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="FILE")]

    # How much each counts, as many numbers as there are weights.
    shares: Annotated[tuple[float, ...], tyro.conf.arg(help_behavior_hint="(default: all alike)")] = ()

    # Store 16 bit numbers: half the size, as weights that ship are.
    half: Flag = False

    # Replace the file if there is one.
    overwrite: Flag = False


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    shares = options.shares or (1.0,) * len(options.inputs)
    output = Path(options.output)
    if len(options.inputs) < 2:
        raise UsageError(f"{len(options.inputs)} weights to average: give two or more")
    if len(shares) != len(options.inputs):
        raise UsageError(f"--shares: {len(shares)} numbers for {len(options.inputs)} weights; give one each")
    if not all(math.isfinite(share) and share > 0 for share in shares):
        raise UsageError(f"--shares {' '.join(f'{share:g}' for share in shares)}: each must be above 0")
    if output.suffix != ".safetensors":
        raise UsageError(f"--output {options.output}: name a .safetensors file")
    if output.exists() and not options.overwrite:
        raise WeightsError(f"{output} exists; give --overwrite or another --output")

    from fdikp import models

    networks, files = zip(*(models.load(name) for name in options.inputs), strict=True)
    for network, file in zip(networks, files, strict=True):
        ours, theirs = network.config.to_dict(), networks[0].config.to_dict()
        if differing := [name for name in ours if ours[name] != theirs[name]]:
            raise WeightsError(
                f"{file.path}: a network of another shape than {files[0].path} ({differing[0]} "
                f"{ours[differing[0]]} and {theirs[differing[0]]}); only weights of one shape have a mean"
            )
    parts = [{"sha256": file.sha256, "share": share / sum(shares)} for file, share in zip(files, shares, strict=True)]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        models.save(models.average(networks, shares), output, name=output.stem, half=options.half, mean_of=parts)
    except OSError as error:
        raise WeightsError(cannot_be_written(output, error)) from error
    console.result(f"{' '.join(options.inputs)} -> {output}, sha256 {models.sha256(output)}")
    if (lost := models.cancellation(networks)) > APART:
        console.problem(
            f"{output}: {lost:.0%} of these weights cancel in their mean, which is weak for it: average runs that "
            "began from the same weights"
        )
    return 0
