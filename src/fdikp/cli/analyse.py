"""`fdikp analyse`: restore one photo, and show what the network predicted for it, as images and numbers."""

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
from fdikp.imaging.limits import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np

    from fdikp.imaging import Photo
    from fdikp.inference.deblurrer import Deblurrer
    from fdikp.inference.results import Analysis

FILES = (
    "overview.png",
    "blur_map.png",
    "dilation_map.png",
    "kernels.png",
    "coefficients.png",
    "analysis.npz",
    "analysis.json",
)
"""The files written beside the result; `blur_map.png` only if the model has a blur calibration."""

CONFIDENT = 0.5
"""Confidence from which on a blur radius counts for the printed range."""

UNITS = {
    "blur_map": "radius of the circle of confusion in pixels",
    "confidence_map": "confidence in the blur radius, 0 to 1",
    "dilation_map": "dilation of the inverse kernels' taps in pixels",
}

SOURCES = ("blurry", "previous stage")
"""The meaning of the second axis of one tile's kernels, in the order of `Analysis.kernels`."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Restore one photo, and show what the network predicted for it.

    Writes these files into a folder:
      result.EXT         the restored photo, in its own format
      overview.png       before, after, blur map and kernels on one page
      blur_map.png       blur radius in pixels, hatched where it is uncertain
      dilation_map.png   distance of the inverse kernels' taps, which the blur radius is computed from
      kernels.png        the predicted inverse kernels
      coefficients.png   the weights that blend the deconvolved images
      analysis.json      model, sizes, and statistics of the kernels and maps
      analysis.npz       arrays: kernels of every tile, maps at full size

    Examples:
      fdikp analyse photo.jpg -o analysis/
      fdikp analyse photo.jpg -o analysis/ --tile 0 --overwrite
    """

    # The photo to analyse.
    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO")]

    # Folder for the results; it is created if it does not exist.
    output: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="DIR")]

    # Replace the files of an earlier analysis.
    overwrite: Flag = False

    # Refuse a photo with more pixels than this before decoding it.
    max_pixels: int = MAX_PIXELS

    # Print errors only.
    quiet: Flag = False

    # The model, and where and how it runs.
    compute: ModelOptions = field(default_factory=ModelOptions)


def run(options: Options) -> int:
    """Run the subcommand and return its exit code."""
    from fdikp.imaging import output_format, read_photo, write_photo

    options.compute.check()
    if not (options.image and options.output):
        raise UsageError("the photo or --output is empty; give a path (. is the current folder)")
    if options.max_pixels < 1:
        raise UsageError(f"--max-pixels {options.max_pixels}: must be at least 1")
    photo = read_photo(options.image, max_pixels=options.max_pixels)
    folder = Path(options.output)
    result = folder / f"result{output_format(photo)[1]}"
    existing = [path for path in (result, *(folder / name for name in FILES)) if path.exists()]
    if existing and not options.overwrite:
        raise PhotoError(
            f"{options.image}: {existing[0]} exists; give --overwrite or another --output", code="output_exists"
        )
    model = options.compute.load()
    with Bars(1, shown=not options.quiet) as bars:
        bars.begin(Path(options.image).name)
        analysis = model.analyse(photo, progress=bars.tile)
    folder.mkdir(parents=True, exist_ok=True)
    write_photo(analysis.image, result)
    _write_images(photo.pixels, analysis, folder, Path(options.image).name)
    _write_arrays(analysis, folder)
    report = {"input": options.image, **_report(analysis, model)}
    with _written(folder / "analysis.json") as file:  # last, so that the analysis is complete where it exists
        file.write(json.dumps(report, indent=2).encode())
    if not options.quiet:
        console.result("; ".join((f"{options.image} -> {folder}", _blur_summary(analysis), *report["notes"])))
    return 0


def _write_images(before: "np.ndarray", analysis: "Analysis[Photo]", folder: Path, name: str) -> None:
    from fdikp.imaging import Photo, write_photo
    from fdikp.plots import analysis as figures

    tiles = len(analysis.kernels)
    central = _central(analysis)
    position = f" (tile {central + 1} of {tiles}, the most central)" if tiles > 1 else ""
    radius, confidence = analysis.blur_map, analysis.confidence_map
    images = {
        "overview": figures.overview(
            before,
            analysis.image.pixels,
            analysis.dilation_map,
            analysis.kernels[central, -1, 0],
            name,
            radius,
            confidence,
        ),
        "dilation_map": figures.dilation_map(analysis.dilation_map, f"Dilation map of {name}"),
        "kernels": figures.kernels(analysis.kernels[central], f"Inverse kernels predicted for {name}{position}"),
        "coefficients": figures.coefficients(
            analysis.coefficients, analysis.coefficient_names, f"Coefficient maps of {name}, finest stage"
        ),
    }
    if radius is not None:
        images["blur_map"] = figures.blur_map(radius, f"Blur map of {name}", confidence)
    for stem, image in images.items():
        write_photo(Photo(image), folder / f"{stem}.png")


def _write_arrays(analysis: "Analysis[Photo]", folder: Path) -> None:
    import numpy as np

    with _written(folder / "analysis.npz") as file:
        np.savez_compressed(
            file,
            kernels=analysis.kernels,
            tile_boxes=analysis.tile_boxes,
            coefficients=analysis.coefficients.astype(np.float16),
            coefficient_names=np.array(analysis.coefficient_names),
            dilation_map=analysis.dilation_map,
            **_blur_arrays(analysis),
        )


def _blur_arrays(analysis: "Analysis[Photo]") -> dict[str, Any]:
    """The blur map and its confidence, by name; empty if the model has no blur calibration."""
    maps = {"blur_map": analysis.blur_map, "confidence_map": analysis.confidence_map}
    return {name: values for name, values in maps.items() if values is not None}


def _blur_summary(analysis: "Analysis[Photo]") -> str:
    """What the blur map says, in one clause: the 5th and the 95th percentile of its confident part."""
    import numpy as np

    if analysis.blur_map is None or analysis.confidence_map is None:
        return "no blur map: these weights have no blur calibration; run fdikp calibrate"
    confident = analysis.confidence_map >= CONFIDENT
    if not confident.any():
        return "blur radius uncertain everywhere"
    low, high = np.percentile(analysis.blur_map[confident], (5, 95))
    return f"blur radius {low:.1f} to {high:.1f} px in the {confident.mean():.0%} of the photo where it is certain"


def _central(analysis: "Analysis[Photo]") -> int:
    """The index of the tile whose centre is nearest to the centre of the photo."""
    boxes = analysis.tile_boxes
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    centre = [side / 2 for side in analysis.dilation_map.shape]
    return int(((centres - centre) ** 2).sum(axis=1).argmin())


def _report(analysis: "Analysis[Photo]", model: "Deblurrer") -> dict[str, Any]:
    """The contents of `analysis.json`."""
    import platform

    import numpy as np
    import torch

    import fdikp

    maps = {**_blur_arrays(analysis), "dilation_map": analysis.dilation_map}
    height, width = analysis.dilation_map.shape
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
        **{name: {"unit": UNITS[name], **_statistics(values)} for name, values in maps.items()},
        "coefficients": {
            name: float(coefficient.mean(dtype=np.float64))
            for name, coefficient in zip(analysis.coefficient_names, analysis.coefficients, strict=True)
        },
        "tiles": [
            {"box": box.tolist(), "kernels": [*_kernel_statistics(kernels)]}
            for box, kernels in zip(analysis.tile_boxes, analysis.kernels, strict=True)
        ],
    }


def _statistics(values: "np.ndarray") -> dict[str, Any]:
    """The mean and percentiles of a map."""
    import numpy as np

    percentiles = (1, 5, 25, 50, 75, 95, 99)
    return {
        "mean": float(values.mean(dtype=np.float64)),
        "percentiles": dict(zip(map(str, percentiles), np.percentile(values, percentiles).tolist(), strict=True)),
    }


def _kernel_statistics(kernels: "np.ndarray") -> Iterator[dict[str, Any]]:
    """For each kernel of a tile [stages, 2, N, K, K]: its sum, its centre tap and its energy (the sum of squares)."""
    from fdikp.plots.canvas import STAGES

    centre = kernels.shape[-1] // 2
    for stage, stage_kernels in zip(STAGES, kernels, strict=True):
        for source, source_kernels in zip(SOURCES, stage_kernels, strict=True):
            for n, kernel in enumerate(source_kernels.astype(float), 1):
                yield {
                    "stage": stage,
                    "image": source,
                    "kernel": n,
                    "sum": kernel.sum(),
                    "centre": kernel[centre, centre],
                    "energy": (kernel**2).sum(),
                }


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is complete, or never."""
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        raise PhotoError(cannot_be_written(path, error)) from error
