"""`fdikp calibrate`: fits the blur map of a model to rendered defocus, so that it shows a radius in pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.cli.progress import Bars
from fdikp.errors import DataError, WeightsError
from fdikp.files import atomic_write, cannot_be_written

if TYPE_CHECKING:
    from fdikp.evaluation.blur_errors import BlurErrors
    from fdikp.network.blur_calibration import BlurCalibration

SMALLEST_CROP, CROP_MULTIPLE = 64, 16
"""Limits of --crop, in pixels."""

SMALLEST_TEST = 64
"""Smallest side of an image to test on, in pixels."""

HELD_OUT_EVERY = 10
"""Without --test, every tenth image of --data is tested on and not fitted to."""

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Calibrate the blur map of a model: its unit becomes the radius of the
    circle of confusion in pixels, and it gets a map of its confidence.

    Pairs are rendered from sharp photos with known blur radius, and a small
    function from what the network computes anyway to that radius is fitted.
    It is stored in the header of the weights; the tensors stay as they are.
    The errors on rendered test images, which the fit has not seen, are printed.

    It takes about five minutes of one core. The result depends on the photos,
    the options and the seed alone.

    Examples:
      fdikp calibrate mine.safetensors --data sharp/
      fdikp calibrate fdikp-lite --data sharp/ --test kodak24/ -o mine.safetensors
    """

    # A weights file, or a shipped model.
    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")]

    # Folders of sharp photos to fit to; they are searched recursively.
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR", help_behavior_hint="")]

    # Folder of sharp photos of other scenes to test on, rendered whole.
    test: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: every tenth photo of --data)")
    ] = None

    # The file to write, NAME.safetensors. The default is the file of the model itself; a shipped model is replaced in a
    # source checkout only, together with its sha256.
    output: Annotated[
        Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE", help_behavior_hint="(default: the model's file)")
    ] = None

    # Number of pairs to fit to.
    pairs: int = 600

    # Side of the pairs in pixels, a multiple of 16.
    crop: int = 256

    # Number of renderings of each test image.
    renderings: int = 5

    # Seed of all random choices.
    seed: int = 0

    # A Markdown file whose block of this model gets the errors, between the lines <!-- calibration:NAME --> and
    # <!-- end of calibration:NAME -->.
    model_card: Annotated[Path | None, tyro.conf.arg(metavar="FILE.md", help_behavior_hint="")] = None

    # Replace an existing --output.
    overwrite: Flag = False

    # Print errors only.
    quiet: Flag = False


def run(options: Options) -> int:
    """Calibrate, and return the exit code."""
    _check(options)
    from fdikp import models
    from fdikp.models.checksums import read_checksums, write_checksums

    described = models.describe(options.model)
    output = _output(options, described.path)
    card = _Card(options.model_card, described.name) if options.model_card else None
    fit_files, test_files = _split(options)
    calibration, errors = _calibrate(options, fit_files, test_files)
    try:
        models.save_calibrated(options.model, output, calibration)
        digest = models.digest(output)
        if options.model in models.SHIPPED and output.samefile(described.path):
            write_checksums(output.parent, read_checksums(output.parent) | {options.model: digest})
    except OSError as error:
        raise WeightsError(cannot_be_written(error.filename or output, error)) from error
    report = _report(options, errors, len(fit_files), len(test_files))
    if card:
        card.write(report, described.sha256, digest)
    if not options.quiet:
        console.document(report)
        console.result("")
        console.result(f"{options.model} -> {output}, sha256 {digest}")
    return 0


def _check(options: Options) -> None:
    """Validate the options; raise UsageError if one is invalid."""
    for name, least in (("pairs", 1), ("renderings", 1), ("seed", 0)):
        if getattr(options, name) < least:
            raise UsageError(f"--{name} {getattr(options, name)}: must be at least {least}")
    if options.seed > LARGEST_SEED:
        raise UsageError(f"--seed {options.seed}: must be at most {LARGEST_SEED}")
    if options.crop < SMALLEST_CROP or options.crop % CROP_MULTIPLE:
        raise UsageError(f"--crop {options.crop}: must be a multiple of {CROP_MULTIPLE} and at least {SMALLEST_CROP}")
    if options.output is not None and options.output.suffix != ".safetensors":
        raise UsageError(f"--output {options.output}: must end in .safetensors")


def _output(options: Options, model_file: Path) -> Path:
    """The file to write.

    Raises:
        WeightsError: it exists, its folder cannot be made, or it is a shipped one that is not in a checkout.
    """
    from fdikp.models.descriptor import FOLDER, SHIPPED

    if options.output is not None:
        if options.output.exists() and not options.overwrite:
            raise WeightsError(f"{options.output} exists; give --overwrite or another --output")
        try:
            options.output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WeightsError(cannot_be_written(options.output, error)) from error
        return options.output
    if options.model in SHIPPED and not (FOLDER.parents[3] / "pyproject.toml").is_file():
        raise WeightsError(f"{options.model}: the shipped file is only replaced in a source checkout; give --output")
    return model_file


def _split(options: Options) -> tuple[list[Path], list[Path]]:
    """The photos to fit to, and those to test on.

    Raises:
        DataError: a folder has none, both have the same, or one to test on is too small.
    """
    from fdikp.data import find_images, image_sizes

    found = {file.resolve(): file for folder in options.data for file in find_images(folder)}  # folders may overlap
    files = list(found.values())
    if options.test is not None:
        test_files = find_images(options.test)
        if common := [file for file in test_files if file.resolve() in found]:
            raise DataError(f"{common[0]}: is in --data too; test on photos that the fit does not see")
    else:
        test_files = files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
        del files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
        if not test_files:
            raise DataError(f"{options.data[0]}: {len(files)} photos, of which none is left to test on; give --test")
    for file, (height, width) in image_sizes(test_files).items():
        if min(height, width) < SMALLEST_TEST:
            raise DataError(f"{file}: {width}×{height} is too small; test on images of at least {SMALLEST_TEST} pixels")
    return files, test_files


def _calibrate(options: Options, fit_files: list[Path], test_files: list[Path]) -> "tuple[BlurCalibration, BlurErrors]":
    """The calibration, and its errors on the test images."""
    from fdikp import models
    from fdikp.data import read_images
    from fdikp.evaluation.blur_errors import BlurErrors
    from fdikp.training import calibration as fitting

    network, _ = models.load(options.model)
    photos, test_photos = read_images(fit_files), read_images(test_files)
    with Bars(options.pairs, "pairs", shown=not options.quiet) as bars:
        samples = fitting.draw_samples(
            network, photos, pairs=options.pairs, crop=options.crop, seed=options.seed, done=bars.end
        )
    calibration = fitting.fit(samples, pairs=options.pairs, seed=options.seed)
    with Bars(len(test_photos) * options.renderings, "test images", shown=not options.quiet) as bars:
        errors = fitting.measure(
            network, calibration, test_photos, renderings=options.renderings, seed=options.seed, done=bars.end
        )
    return calibration, BlurErrors(*errors)


def _report(options: Options, errors: "BlurErrors", fit_count: int, test_count: int) -> str:
    """The tables in Markdown, and what they depend on."""
    import torch

    from fdikp.training.calibration import SETTINGS

    test = options.test.name if options.test else "of the same folders"
    about = (
        f"Fit: {options.pairs} pairs of {options.crop}×{options.crop} pixels, rendered from {fit_count} images with "
        f"seed {options.seed}. Test: {test_count} other images ({test}), {options.renderings} renderings of each, "
        f"whole. Radii are from 0 to {SETTINGS.max_radius:g} pixels. torch {torch.__version__}, on the CPU."
    )
    return "\n\n".join([about, *(table.markdown() for table in errors.tables())])


class _Card:
    """The block of one model in a model card.

    Raises:
        DataError: the file cannot be read, or has no such block.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.begin, self.end = f"<!-- calibration:{name} -->", f"<!-- end of calibration:{name} -->"
        self.name = name
        self._parts()

    def _parts(self) -> tuple[str, str]:
        """What the file has before and after the block."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise DataError(f"--model-card {self.path}: cannot be read: {reason}; give a Markdown file") from None
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            lines = f"{self.begin} and {self.end}"
            raise DataError(f"--model-card {self.path}: has no block of {self.name}; add the lines {lines}")
        return before, after

    def write(self, report: str, old_digest: str, new_digest: str) -> None:
        """Replace the block, and the beginning of the file's sha256 where the card states it."""
        before, after = self._parts()  # it may have changed since the fit began
        text = f"{before}{self.begin}\n\n{report}\n\n{self.end}{after}"
        text = text.replace(f"sha256 {old_digest[:12]}…", f"sha256 {new_digest[:12]}…")
        try:
            with atomic_write(self.path) as file:
                file.write(text.encode())
        except OSError as error:
            raise DataError(cannot_be_written(self.path, error)) from error
