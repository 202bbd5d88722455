"""`fdikp reproduce`: the paper's tables, with its data sets or as a proxy without them."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.data_options import DataOptions
from fdikp.evaluation.ablations import ABLATIONS, Budget, proxy_run, real_run
from fdikp.files import cannot_be_written, replacing

if TYPE_CHECKING:
    from fdikp.evaluation.reproduce import Job


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reproduce an ablation of the paper.

    table2    the parts: backbone, inverse kernels, position adaptive convolution
    table3    the dual-domain module
    table6    the terms of the loss
    fig6      kernels predicted from the image or from its spectrum
    fig12     sides and numbers of kernels

    Each variant is trained and scored alike. With --data dpdd=PATH alone this
    is the real thing, the paper's recipe on DPDD: days on a GPU. With --sharp
    it is a proxy: the same variants with fewer channels, trained for a small
    equal budget on rendered pairs, and labelled so everywhere. A proxy says
    which variant is ahead of which, as far as its seeds agree, and no more.

    The same command goes on after a stop. Tables 1 and 5 are one call each of
    "fdikp evaluate", with the sets as the paper has them.

    Examples:
    fdikp reproduce table2 --data dpdd=DPDD/ --out table2/
    fdikp reproduce table2 table3 --sharp photos/ --data lytro=lytro/ --out proxy/
    """

    # What to reproduce.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TABLE ...", help_behavior_hint="")
    ] = ()

    # Folder for the runs, and for a .md and a .csv file of each table. Variants that tables share are trained once.
    out: Path = Path("reproduced")

    # Folders of sharp photographs: train the proxy.
    sharp: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()

    # Runs of each variant; seeds are 0, 1, ...
    seeds: int = 1

    # What each variant of a proxy gets.
    budget: Budget = field(default_factory=Budget)

    # Where to compute; auto takes a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # What to score on.
    measuring: DataOptions = field(default_factory=DataOptions)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    _check(options)
    from fdikp.evaluation.evaluate import Evaluator
    from fdikp.evaluation.protocols import DEFAULT, PROTOCOLS
    from fdikp.evaluation.reproduce import rows, table
    from fdikp.evaluation.reproduce import run as train_and_score

    sets = options.measuring.open()
    evaluator = Evaluator(PROTOCOLS[DEFAULT], options.measuring.perceptual())
    kind = f"proxy: {options.budget.describe()}" if options.sharp else "the paper's training on DPDD"
    about = {"command": shlex.join(["fdikp", *sys.argv[1:]]), "kind": kind, "protocol": evaluator.protocol.describe()}
    for name in dict.fromkeys(options.inputs):
        scores = list(
            train_and_score(
                _jobs(options, name),
                sets,
                evaluator,
                device=options.device,
                limit=options.measuring.limit,
                say=console.problem,
            )
        )
        text = table(name, scores, kind, about | evaluator.about([]))
        for suffix, content in ((".md", text), (".csv", rows(name, scores, kind))):
            file = options.out / (name + suffix)
            try:
                with replacing(file) as written:
                    written.write(content.encode())
            except OSError as error:
                console.problem(cannot_be_written(file, error))
                return 1
        for line in text.rstrip("\n").split("\n"):
            console.result(line)
    return 0


def _jobs(options: Options, name: str) -> "list[Job]":
    """The runs of a table, all variants with the first seed before any with the second."""
    from fdikp.evaluation.reproduce import Job

    dpdd = [Path(given.partition("=")[2]) for given in options.measuring.data if given.lower().startswith("dpdd=")]
    jobs = []
    for seed in range(options.seeds):
        for variant in ABLATIONS[name]:
            folder = options.out / "runs" / f"{variant.recipe.replace('/', '-')}-seed-{seed}"
            if options.sharp:
                recipe = proxy_run(variant, options.sharp, folder, seed, options.budget)
            else:
                recipe = real_run(variant, dpdd[0], folder, seed)
            jobs.append(Job(variant, seed, recipe))
    return jobs


def _check(options: Options) -> None:
    """Refuse what cannot be meant."""
    if not options.inputs:
        raise UsageError(f"say what to reproduce: {', '.join(ABLATIONS)} (fdikp reproduce --help)")
    for name in options.inputs:
        if name not in ABLATIONS:
            raise UsageError(f"{name}: cannot be reproduced so; there are {', '.join(ABLATIONS)}")
    options.measuring.check()
    if options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: must be at least 1")
    named = {given.partition("=")[0].lower() for given in options.measuring.data}
    if not options.sharp and "dpdd" not in named:
        raise UsageError("give --data dpdd=PATH for the paper's training, or --sharp DIR for the proxy")
