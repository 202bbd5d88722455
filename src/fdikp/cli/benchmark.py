"""`fdikp benchmark`: how fast models are here, beside what this machine can do and beside others' networks."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.allocator import configure_malloc
from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.errors import FdikpError
from fdikp.files import atomic_write, cannot_be_written
from fdikp.weights import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from fdikp.bench.suite import Benchmark, Subject


@dataclass(frozen=True, kw_only=True)
class Options:
    """Time models: sizes, precisions, and networks of others in turn with ours.

    In each round every model restores one picture, and a large matrix product
    and a convolution run beside them: so drift of the machine meets all alike,
    and a share of what the machine can do is of the same minutes. Medians and
    quartiles are over rounds; ratios are taken round by round.

    --against times any torch network that can be imported: a function without
    arguments that gives an nn.Module, which takes [1, 3, H, W] in 0..1.

    Examples:
    fdikp benchmark
    fdikp benchmark --sizes 256 512 1680x1120 --precisions float32 bfloat16
    fdikp benchmark fdikp-lite my.safetensors --sizes 512 --runs 9
    fdikp benchmark --sizes 256 --against my_package.models:build
    """

    # Shipped models or .safetensors files; the first is what others are compared with.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...", help_behavior_hint="")
    ] = ()

    # Pictures to restore: WIDTHxHEIGHT, or the side of a square.
    sizes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SIZE ...")] = ("256", "512")

    # Arithmetic of the convolutions.
    precisions: tuple[Literal["auto", "float32", "bfloat16", "float16"], ...] = ("auto",)

    # Rounds that count.
    runs: int = 5

    # Side of the tiles of our models, a multiple of 16 and at least 64; 0 is whole pictures.
    tile: int = 512

    # Networks of others.
    against: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PACKAGE.MODULE:FACTORY ...", help_behavior_hint="")] = ()

    # Where to compute; auto takes a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Folder for benchmark.json, benchmark.md and benchmark.png.
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None

    # Print errors only, beside the table.
    quiet: Flag = False


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    sizes = _check(options)
    configure_malloc()
    from fdikp.bench.report import markdown
    from fdikp.bench.suite import measure
    from fdikp.inference.devices import choose_device, choose_precision

    device = choose_device(options.device)
    precisions = [str(choose_precision(p, device)).removeprefix("torch.") for p in options.precisions]
    found = measure(
        lambda precision: _subjects(options, precision, device),
        sizes,
        list(dict.fromkeys(precisions)),
        device,
        options.runs,
        say=(lambda line: None) if options.quiet else console.problem,
    )
    found = replace(found, about=found.about | {"tile": str(options.tile or "none")})
    text = markdown(found)
    if options.out:
        _keep(options.out, found, text)
    for line in text.rstrip("\n").split("\n"):
        console.result(line)
    return 0


def _subjects(options: Options, precision: str, device: "torch.device") -> "Sequence[Subject]":
    from fdikp import load_model
    from fdikp.bench.suite import ours, peer
    from fdikp.inference.devices import PRECISIONS

    wanted = dict.fromkeys(options.inputs) or {DEFAULT: None}
    models = [ours(load_model(name, str(device), precision, tile=options.tile)) for name in wanted]
    names = [model.name for model in models]
    models = [
        replace(model, name=given) if names.count(model.name) > 1 else model
        for model, given in zip(models, wanted, strict=True)
    ]
    return [*models, *(peer(text, device, PRECISIONS[precision]) for text in dict.fromkeys(options.against))]


def _keep(folder: Path, found: "Benchmark", text: str) -> None:
    from fdikp.bench.report import plots
    from fdikp.imaging import Photo, write_photo

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("benchmark.json", found.to_json()), ("benchmark.md", text)):
            with atomic_write(folder / name) as file:
                file.write(content.encode())
    except OSError as error:
        raise FdikpError(cannot_be_written(folder, error)) from error
    write_photo(Photo(plots(found)), folder / "benchmark.png")


def _check(options: Options) -> list[tuple[int, int]]:
    """The sizes (width, height), or a refusal of what cannot be meant."""
    sizes = []
    for given in options.sizes:
        found = re.fullmatch(r"([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?", given)
        if not found:
            raise UsageError(f"--sizes {given}: must be WIDTHxHEIGHT, such as 1680x1120, or the side of a square")
        sizes.append((int(found[1]), int(found[2] or found[1])))
    if options.runs < 1:
        raise UsageError(f"--runs {options.runs}: must be at least 1")
    if options.tile and (options.tile < 64 or options.tile % 16):
        raise UsageError(f"--tile {options.tile}: must be a multiple of 16 and at least 64, or 0")
    return list(dict.fromkeys(sizes))
