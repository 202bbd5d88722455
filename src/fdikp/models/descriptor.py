"""The description of a model: what a program must know to run it, read from the model's file without torch.

A weights file is a safetensors file whose header has the network's configuration under `fdikp`, and the calibration of
its blur map if there is one; nothing in it can run code. Shipped files are in `files/` beside this module, named after
their models, with their sha256 in `SHA256SUMS`; each use verifies it.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from fdikp.errors import WeightsError, WeightsNotFoundError
from fdikp.models.checksums import read_checksums
from fdikp.models.infer_config import infer_config
from fdikp.network.blur_calibration import BlurCalibration
from fdikp.network.config import MIN_SIZE, SIZE_MULTIPLE, NetworkConfig
from fdikp.network.encoded_config import KEY as ENCODED_CONFIG

DEFAULT = "fdikp-lite"
"""The model that is used when none is named."""

SHIPPED_LICENCE = "Apache-2.0"

FOLDER = Path(__file__).with_name("files")
"""Where the shipped files are."""

SHIPPED: dict[str, str] = read_checksums(FOLDER)
"""The sha256 of each shipped model's file, `<name>.safetensors` in `FOLDER`."""

BLUR_CALIBRATION = "blur_calibration"
"""Name of the field of the header that holds a `BlurCalibration`."""

DEFAULT_TILE = 512
"""Default side of a tile, in pixels. It bounds the working memory. The predictors and the Fourier blocks pool over a
whole tile, so that results depend a little on its size; small tiles are less accurate."""

TILE_OVERLAP = 64
"""Least overlap of neighbouring tiles, in pixels; with tiles of less than 256 it is a quarter of the tile."""

MIN_TILE = 64
"""Smallest side of a tile, in pixels."""

RESIDENT_FACTOR = 1.96
"""Resident memory over the bytes that torch allocates for a tile. For `fdikp-lite` and `fdikp-base` and sides of 64 to
512, at most 1.9 was measured with an allocator that keeps freed memory (`fdikp.allocator`), 1.34 without."""

Precision = Literal["float32", "bfloat16", "float16"]
"""Number formats that convolutions can compute in. Fourier transforms and sampling are float32 in each."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class ModelDescriptor:
    """A model: its file, its network's configuration, and how to run it."""

    name: str
    path: Path
    sha256: str
    """Of the file as it is on disk, hexadecimal."""
    parameters: int
    """The number of learned values."""
    config: NetworkConfig
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The other fields of the header, such as how the weights were trained or what they were made from."""
    licence: str | None = None
    """The SPDX identifier of the weights' licence; None where the file states none."""
    size_multiple: int = SIZE_MULTIPLE
    """Images are padded to multiples of this, in pixels."""
    min_size: int = MIN_SIZE
    """Images are padded to at least this, in pixels."""
    default_tile: int = DEFAULT_TILE
    """Side of the tiles that a large image is cut into, in pixels."""
    tile_overlap: int = TILE_OVERLAP
    """Least overlap of neighbouring tiles, in pixels; with tiles of less than 256 it is a quarter of the tile."""
    min_tile: int = MIN_TILE
    """Smallest side of a tile, in pixels."""
    precisions: tuple[Precision, ...] = PRECISIONS
    """Number formats that the convolutions can compute in."""
    blur_calibration: BlurCalibration | None = None
    """What turns the blur map into a radius in pixels; None where the weights are not calibrated."""

    def allows_tile(self, tile: int) -> bool:
        """Whether tiles can have this side, in pixels; 0 stands for no tiles."""
        return tile == 0 or (tile >= self.min_tile and tile % self.size_multiple == 0)

    def working_memory(self, tile: int, precision: str = "float32") -> int:
        """The most resident memory that inference on one tile takes on a CPU, without the weights, in bytes.

        Fitted to measurements. Bytes that torch allocates, in float32, for five configurations and sides of 128 to 384:
        30 per pixel for each full-resolution channel, 15 for each candidate and 60 more reproduce them within 13 %.
        In 16 bits, networks allocate 0.53 of it on processors that compute in them. The result is `RESIDENT_FACTOR`
        times these bytes.

        Args:
            tile: side of the tile, in pixels.
            precision: one of `precisions`.
        """
        side = max(self.min_size, -(-tile // self.size_multiple) * self.size_multiple)
        bytes_per_pixel = RESIDENT_FACTOR * (30 * self.config.widths[0] + 15 * self.config.candidates + 60)
        return round(side**2 * bytes_per_pixel * (1.0 if precision == "float32" else 0.53))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON, and `working_memory` for the default tile."""
        plain = {"path": str(self.path), "provenance": dict(self.provenance), "precisions": list(self.precisions)}
        return asdict(self) | plain | {"working_memory": self.working_memory(self.default_tile)}


def available() -> list[str]:
    """The names of the shipped models."""
    return list(SHIPPED)


def weights_path(name_or_path: str | os.PathLike[str]) -> Path:
    """The weights file of a shipped model, or of a path.

    Raises:
        WeightsNotFoundError: neither a shipped model nor a file.
    """
    if str(name_or_path) in SHIPPED:
        return FOLDER / f"{name_or_path}.safetensors"
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise WeightsNotFoundError(
        f"{name_or_path}: no model of this name and no such file; shipped models: {', '.join(SHIPPED)}"
    )


def digest(path: Path) -> str:
    """The hexadecimal sha256 of a file.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot read the weights: {error.strerror}; reinstall fdikp or check the path"
        ) from None


def describe(name_or_path: str | os.PathLike[str]) -> ModelDescriptor:
    """Read the description of a model from its file, and verify what can be verified without torch.

    Args:
        name_or_path: a shipped model, or the path of a weights file.

    Raises:
        WeightsError: the file is unknown, unreadable, damaged, or its tensors do not fit its header.
    """
    path = weights_path(name_or_path)
    sha256 = digest(path)
    shipped = str(name_or_path) in SHIPPED
    if shipped and SHIPPED[str(name_or_path)] != sha256:
        raise WeightsError(
            f"{path}: the weights are damaged (sha256 {sha256[:12]}… is not the shipped one); reinstall fdikp"
        )
    declared, shapes, encoded = _read_header(path)
    try:
        header = json.loads(declared)
        config = NetworkConfig.from_dict(header.pop("network"))
        inferred = infer_config(shapes, encoded, otherwise=config)
        for field_name, value in config.to_dict().items():
            if (actual := getattr(inferred, field_name)) != value:
                raise ValueError(f"{field_name} is {value} in the header and {actual} in the tensors")
        name = header.pop("name", path.stem)
        licence = header.pop("licence", SHIPPED_LICENCE if shipped else None)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise unfit(path, error) from None
    calibration = _blur_calibration(path, header)
    parameters = _count_parameters(shapes)
    return ModelDescriptor(name, path, sha256, parameters, config, header, licence, blur_calibration=calibration)


def _blur_calibration(path: Path, header: dict[str, Any]) -> BlurCalibration | None:
    """Take the calibration out of the fields of a header.

    Raises:
        WeightsError: it is malformed.
    """
    values = header.pop(BLUR_CALIBRATION, None)
    if values is None:
        return None
    try:
        return BlurCalibration.from_dict(values)
    except ValueError as error:
        raise WeightsError(
            f"{path}: the calibration of its blur map is malformed ({_one_line(error)}); fetch the file again"
        ) from None


def unfit(path: Path, error: Exception) -> WeightsError:
    """The error for weights that do not fit the network that their header declares."""
    return WeightsError(
        f"{path}: the weights do not fit the network they declare ({_one_line(error)}); use a file of this version"
    )


def _read_header(path: Path) -> tuple[str, dict[str, list[int]], list[int] | None]:
    """The JSON of the header, the shapes of the tensors, and the encoded configuration if there is one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            declared = (file.metadata() or {}).get("fdikp")
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (not a dict)
            encoded = file.get_tensor(ENCODED_CONFIG).tolist() if ENCODED_CONFIG in shapes else None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({_one_line(error)}); fetch it again") from None
    if declared is None:
        raise WeightsError(f"{path}: not weights of an fdikp network (its header names no network); use another file")
    return declared, shapes, encoded


def _count_parameters(shapes: Mapping[str, list[int]]) -> int:
    """The number of learned values: all but BatchNorm's statistics and the encoded configuration."""
    buffers = (ENCODED_CONFIG, ".running_mean", ".running_var", ".num_batches_tracked")
    return sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(buffers))


def _one_line(error: Exception) -> str:
    """The first two lines of a message, as one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:160]
