"""`fdikp benchmark`: time models beside reference rates of the machine and networks of others."""

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
from fdikp.models import DEFAULT
from fdikp.models.descriptor import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from fdikp.bench.suite import Benchmark, Subject


@dataclass(frozen=True, kw_only=True)
class Options:
    """Time models at several sizes and precisions, in turn with other networks.

    In each round every model restores one image, and a large matrix product and
    a convolution run too. So drift of the machine affects all of them equally,
    and rates are relative to what the machine reached in the same minutes.
    Medians and quartiles are over rounds; ratios are taken round by round.

    --against times any importable torch network: a function without arguments
    that returns an nn.Module, which takes [1, 3, H, W] in 0..1.

    Examples:
      fdikp benchmark
      fdikp benchmark --sizes 256 512 1680x1120 --precisions float32 bfloat16
      fdikp benchmark fdikp-lite my.safetensors --sizes 512 --runs 9
      fdikp benchmark --sizes 256 --against my_package.models:build
    """

    # Shipped models or .safetensors files; the others are compared with the first.
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...", help_behavior_hint="")
    ] = ()

    # Image sizes: WIDTHxHEIGHT, or the side of a square.
    sizes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SIZE ...")] = ("256", "512")

    # Data types of the convolutions.
    precisions: tuple[Literal["auto", Precision], ...] = ("auto",)

    # Number of timed rounds.
    runs: int = 5

    # Side of the tiles of our models, a multiple of 16 and at least 64; 0 computes whole images.
    tile: int = 512

    # Networks of others to time too.
    against: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PACKAGE.MODULE:FACTORY ...", help_behavior_hint="")] = ()

    # Where to compute; auto uses a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Folder for benchmark.json, benchmark.md and benchmark.png.
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")] = None

    # Print the table and errors only.
    quiet: Flag = False


def run(options: Options) -> int:
    """Run the subcommand; returns the exit code."""
    sizes = _check(options)
    configure_malloc()
    from fdikp.bench.report import markdown
    from fdikp.bench.suite import measure
    from fdikp.inference.devices import choose_device, choose_precision

    device = choose_device(options.device)
    precisions = [str(choose_precision(p, device)).removeprefix("torch.") for p in options.precisions]
    benchmark = measure(
        lambda precision: _subjects(options, precision, device),
        sizes,
        list(dict.fromkeys(precisions)),
        device,
        options.runs,
        progress=(lambda line: None) if options.quiet else console.problem,
    )
    benchmark = replace(benchmark, about=benchmark.about | {"tile": str(options.tile or "none")})
    text = markdown(benchmark)
    if options.output:
        _save(options.output, benchmark, text)
    console.document(text)
    return 0


def _subjects(options: Options, precision: str, device: "torch.device") -> "Sequence[Subject]":
    from fdikp.bench.suite import foreign_network, own_model
    from fdikp.inference.devices import DTYPES
    from fdikp.inference.load import load_model

    given = dict.fromkeys(options.inputs) or {DEFAULT: None}
    models = [own_model(load_model(name, str(device), precision, tile=options.tile)) for name in given]
    names = [model.name for model in models]
    models = [
        replace(model, name=name) if names.count(model.name) > 1 else model
        for model, name in zip(models, given, strict=True)
    ]
    try:
        return [
            *models,
            *(foreign_network(text, device, DTYPES[precision]) for text in dict.fromkeys(options.against)),
        ]
    except FdikpError as error:
        raise FdikpError(f"--against {error}") from error


def _save(folder: Path, benchmark: "Benchmark", text: str) -> None:
    from fdikp.bench.report import plots
    from fdikp.imaging import Photo, write_photo

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("benchmark.json", benchmark.to_json()), ("benchmark.md", text)):
            with atomic_write(folder / name) as file:
                file.write(content.encode())
    except OSError as error:
        raise FdikpError(cannot_be_written(folder, error)) from error
    write_photo(Photo(plots(benchmark)), folder / "benchmark.png")


def _check(options: Options) -> list[tuple[int, int]]:
    """Validate the options; returns the sizes (width, height).

    Raises:
        UsageError: an option is malformed or out of range.
    """
    sizes = []
    for given in options.sizes:
        size = re.fullmatch(r"([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?", given)
        if not size:
            raise UsageError(f"--sizes {given}: must be WIDTHxHEIGHT, such as 1680x1120, or the side of a square")
        sizes.append((int(size[1]), int(size[2] or size[1])))
    if options.runs < 1:
        raise UsageError(f"--runs {options.runs}: must be at least 1")
    if options.tile and (options.tile < 64 or options.tile % 16):
        raise UsageError(f"--tile {options.tile}: must be a multiple of 16 and at least 64, or 0")
    return list(dict.fromkeys(sizes))
