"""`fdikp analyse`: one photograph, and everything the network saw and did in it, as pictures and numbers."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag, ModelOptions
from fdikp.cli.progress import Bars
from fdikp.errors import PhotoError
from fdikp.files import atomic_write, cannot_be_written

if TYPE_CHECKING:
    import numpy as np

    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.inference.results import Analysis

NAMES = ("overview.png", "blur_map.png", "kernels.png", "coefficients.png", "analysis.npz", "analysis.json")
"""What is written beside the result."""

IMAGES = ("blurry", "previous stage")
"""What the axes of the kernels stand for, in the order of `Analysis.kernels`."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show what the network saw and did in one photograph.

    Writes into a folder:
    result.EXT         the photograph brought back into focus, in its own format
    overview.png       all of it at a glance: before, after, blur map, kernels
    blur_map.png       dilation D(p): where it was found out of focus, how far
    kernels.png        the inverse kernels that were predicted
    coefficients.png   how the deconvolved images were blended
    analysis.json      numbers: model, sizes, statistics of all of these
    analysis.npz       the arrays: kernels of every tile, maps at full size

    Examples:
    fdikp analyse photo.jpg -o analysis/
    fdikp analyse photo.jpg -o analysis/ --tile 0 --overwrite
    """

    # The photograph.
    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]

    # Folder for the results, made if need be.
    output: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="DIR")]

    # Replace an earlier analysis.
    overwrite: Flag = False

    # Refuse a photograph with more pixels than this, before decoding it.
    max_pixels: int = 200_000_000

    # Print errors only.
    quiet: Flag = False

    # Which network computes, where, and how.
    compute: ModelOptions = field(default_factory=ModelOptions)


def run(options: Options) -> int:
    """Do what the command line asks; returns the exit code."""
    from fdikp.imaging import output_format, read_photo, write_photo

    options.compute.check()
    if not (options.image and options.output):
        raise UsageError("the photograph or --output is empty; give a path (. is the current folder)")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")
    photo = read_photo(options.image, max_pixels=options.max_pixels)
    folder = Path(options.output)
    result = folder / f"result{output_format(photo)[1]}"
    existing = [path for path in (result, *(folder / name for name in NAMES)) if path.exists()]
    if existing and not options.overwrite:
        raise PhotoError(f"{options.image}: {existing[0]} exists; give --overwrite or another --output")
    model = options.compute.load()
    with Bars(1, shown=not options.quiet) as bars:
        bars.begin(Path(options.image).name)
        analysis = model.analyse(photo, progress=bars.tile)
    folder.mkdir(parents=True, exist_ok=True)
    write_photo(analysis.image, result)
    _write_pictures(photo.pixels, analysis, folder, Path(options.image).name)
    _write_arrays(analysis, folder)
    numbers = {"input": options.image, **_numbers(analysis, model)}
    with whole(folder / "analysis.json") as file:  # last: where it is, all is
        file.write(json.dumps(numbers, indent=2).encode())
    if not options.quiet:
        console.result("; ".join((f"{options.image} -> {folder}", *analysis.image.notes, *analysis.notes)))
    return 0


def _write_pictures(before: "np.ndarray", analysis: "Analysis", folder: Path, name: str) -> None:
    from fdikp.imaging import Photo, write_photo
    from fdikp.plots import analysis as figures

    tiles = len(analysis.kernels)
    central = _central(analysis)
    which = f" (tile {central + 1} of {tiles}, the most central)" if tiles > 1 else ""
    pictures = {
        "overview": figures.overview(
            before, analysis.image.pixels, analysis.blur_map, analysis.kernels[central, -1, 0], name
        ),
        "blur_map": figures.blur_map(analysis.blur_map, f"Blur map of {name}"),
        "kernels": figures.kernels(analysis.kernels[central], f"Inverse kernels predicted for {name}{which}"),
        "coefficients": figures.coefficients(
            analysis.coefficients, analysis.coefficient_names, f"Coefficient maps of {name}, finest stage"
        ),
    }
    for stem, picture in pictures.items():
        write_photo(Photo(picture), folder / f"{stem}.png")


def _write_arrays(analysis: "Analysis", folder: Path) -> None:
    import numpy as np

    with whole(folder / "analysis.npz") as file:
        np.savez_compressed(
            file,
            kernels=analysis.kernels,
            tile_origins=analysis.tile_origins,
            coefficients=analysis.coefficients.astype(np.float16),
            coefficient_names=np.array(analysis.coefficient_names),
            blur_map=analysis.blur_map,
        )


def _central(analysis: "Analysis") -> int:
    """The tile whose middle is nearest to the photograph's."""
    origins = analysis.tile_origins
    middles = origins[:, :2] + origins[:, 2:] / 2
    target = [side / 2 for side in analysis.blur_map.shape]
    return int(((middles - target) ** 2).sum(axis=1).argmin())


def _numbers(analysis: "Analysis", model: "Deblurrer") -> dict[str, Any]:
    """What `analysis.json` says."""
    import platform

    import numpy as np
    import torch

    import fdikp

    height, width = analysis.blur_map.shape
    percentiles = (1, 5, 25, 50, 75, 95, 99)
    return {
        "width": width,
        "height": height,
        "model": {
            "name": model.name,
            "weights_sha256": model.descriptor.sha256,
            "parameters": model.descriptor.parameters,
            "device": str(model.device),
            "precision": str(model.precision).removeprefix("torch."),
            "tile": model.tile,
        },
        "versions": {
            "fdikp": fdikp.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "notes": [*analysis.image.notes, *analysis.notes],
        "blur_map": {
            "unit": "dilation of the inverse kernels' taps in pixels",
            "mean": float(analysis.blur_map.mean(dtype=np.float64)),
            "percentiles": dict(
                zip(map(str, percentiles), np.percentile(analysis.blur_map, percentiles).tolist(), strict=True)
            ),
        },
        "coefficients": {
            name: float(coefficient.mean(dtype=np.float64))
            for name, coefficient in zip(analysis.coefficient_names, analysis.coefficients, strict=True)
        },
        "tiles": [
            {"origin": origin.tolist(), "kernels": [*_kernel_numbers(kernels)]}
            for origin, kernels in zip(analysis.tile_origins, analysis.kernels, strict=True)
        ],
    }


def _kernel_numbers(kernels: "np.ndarray") -> Iterator[dict[str, Any]]:
    """For each kernel of a tile [stages, 2, N, K, K]: its sum, middle tap and energy (the sum of squares)."""
    from fdikp.plots.canvas import STAGES

    middle = kernels.shape[-1] // 2
    for stage, of_stage in zip(STAGES, kernels, strict=True):
        for image, of_image in zip(IMAGES, of_stage, strict=True):
            for n, kernel in enumerate(of_image.astype(float), 1):
                yield {
                    "stage": stage,
                    "image": image,
                    "kernel": n,
                    "sum": kernel.sum(),
                    "centre": kernel[middle, middle],
                    "energy": (kernel**2).sum(),
                }


@contextlib.contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when it is whole, or never."""
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        raise PhotoError(cannot_be_written(path, error)) from error
