"""The one path from image to image, which the library, the command line and everything else call."""

import copy
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdikp import models
from fdikp.errors import FdikpError
from fdikp.imaging import Photo
from fdikp.inference.devices import choose_device, choose_precision
from fdikp.inference.image_types import map_image, pixels_of
from fdikp.inference.tiled import SMALLEST_TILE, Engine, Progress, TiledInference, rgb, white
from fdikp.network import FDIKP, SIZE_MULTIPLE, NetworkConfig, Stage

TILE = 512
"""Side of a tile, pixels. The pooled predictors and Fourier blocks see a whole tile, so it stays near what training
saw."""


@dataclass(frozen=True)
class Restoration:
    """A photograph brought back into focus, and what was noticed on the way."""

    photo: Photo
    blur_map: np.ndarray | None
    """[H, W] float32: the dilation D of eq. 9, in pixels; None unless asked for."""
    notes: tuple[str, ...]
    """One sentence for each thing that did not go the usual way, such as a halved tile."""
    tiles: int
    """How many tiles the picture was cut into."""


@dataclass(frozen=True)
class Analysis:
    """A restored picture with everything it was made from (Figs. 3, 5, 6)."""

    image: Any
    """The restored picture, of the kind that was given."""
    blur_map: np.ndarray
    """[H, W] float32: the dilation D of eq. 9 at the finest stage, in pixels."""
    kernels: np.ndarray
    """[tiles, stages, 2, N, K, K] float32: inverse kernels, stages coarse to fine, for the stage's blurry input and
    for the result of the stage before."""
    tile_origins: np.ndarray
    """[tiles, 4] int: y, x, height and width of each tile."""
    coefficients: np.ndarray
    """[2(N + 1), H, W] float32 in -1..1: the weight of each candidate at the finest stage."""
    coefficient_names: tuple[str, ...]
    """What each coefficient map weighs."""
    notes: tuple[str, ...]


def load_model(
    name_or_path: str | os.PathLike[str] = models.DEFAULT,
    device: str = "auto",
    precision: str = "auto",
    *,
    tile: int = TILE,
    ensemble: bool = False,
) -> "Deblurrer":
    """Load a model that brings photographs back into focus.

    Args:
        name_or_path: a model that ships (`fdikp.models.available()`), or a `.safetensors` file.
        device: `auto`, or a torch device such as `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `auto`, `float32`, `bfloat16` or `float16`. Fourier transforms and sampling are float32 in each.
        tile: side of the tiles a large picture is cut into, a multiple of 16 and at least 64; 0 for no tiles.
        ensemble: restore each tile in eight positions, turned and mirrored, and take the mean: a little better, and
            eight times the work.

    Raises:
        WeightsError: no such model, or its weights are damaged or of another shape.
        FdikpError: the device is not usable, or the precision or tile is not one of those above.
    """
    if tile and (tile % SIZE_MULTIPLE or tile < SMALLEST_TILE):
        raise FdikpError(
            f"tile {tile}: not a multiple of {SIZE_MULTIPLE} of at least {SMALLEST_TILE}; use 512, or 0 for no tiles"
        )
    chosen = choose_device(device)
    network, about = models.load(name_or_path)
    exact = choose_precision(precision, chosen)
    return Deblurrer(network, about, device=chosen, precision=exact, tile=tile, ensemble=ensemble)


class Deblurrer:
    """Brings photographs back into focus. Calls from several threads at once are safe: nothing in it changes.

    Args:
        network: in float32, in inference mode.
        about: where its weights are from.
        device: where to run it.
        precision: the type its convolutions compute in.
        tile: side of the tiles, a multiple of 16, or 0 for no tiles.
        ensemble: restore each tile in eight positions, and take the mean.
    """

    def __init__(
        self,
        network: FDIKP,
        about: models.ModelDescriptor,
        *,
        device: torch.device,
        precision: torch.dtype,
        tile: int = TILE,
        ensemble: bool = False,
    ) -> None:
        self.weights = about
        float32 = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        working = float32 if precision == torch.float32 else copy.deepcopy(float32).to(precision)
        self.engine = Engine(about.name, working, float32, device, precision, tile, ensemble)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.weights.name

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.engine.device

    @property
    def precision(self) -> torch.dtype:
        """The type its convolutions compute in."""
        return self.engine.precision

    @property
    def tile(self) -> int:
        """Side of the tiles, pixels; 0 for no tiles."""
        return self.engine.tile

    @property
    def ensemble(self) -> bool:
        """Whether each tile is restored in eight positions."""
        return self.engine.ensemble

    @property
    def network(self) -> FDIKP:
        """The network itself, in float32; to look at and not to change."""
        return self.engine.float32

    @property
    def config(self) -> NetworkConfig:
        """The shape of its network."""
        return self.network.config

    def __call__(self, image: Any, *, strength: float = 1.0) -> Any:
        """Bring a picture back into focus.

        Args:
            image: path, bytes, `Photo`, PIL image, ndarray [H, W] or [H, W, C], or tensor [C, H, W] or [B, C, H, W];
                8 or 16 bit, or floats in 0..1. Any size from 1×1.
            strength: how much of the change to apply: 0 for none, 1 for what the network predicts.

        Returns:
            The same kind, size and type (for a path, a `Photo`).

        Raises:
            PhotoError: the picture cannot be read or is none.
        """

        def restore(pixels: Tensor) -> Tensor:
            return self._restore(pixels, strength, TiledInference(self.engine))

        return map_image(image, restore)

    def restore(
        self, photo: Photo, *, strength: float = 1.0, blur_map: bool = False, progress: Progress | None = None
    ) -> Restoration:
        """Bring a photograph back into focus, and say how it went.

        Args:
            photo: as `read_photo` gives it.
            strength: how much of the change to apply.
            blur_map: also keep the dilated map.
            progress: called after each tile.
        """
        run = TiledInference(self.engine, progress)
        maps = np.empty(photo.pixels.shape[:2], np.float32) if blur_map else None
        pixels = self._restore(pixels_of(photo), strength, run, maps)
        return Restoration(photo.with_pixels(pixels.numpy()), maps, tuple(run.notes), run.tiles)

    def predict(self, x: Tensor, *, strength: float = 1.0, progress: Progress | None = None) -> Tensor:
        """What the network makes of a picture before anything is clamped or rounded, as measurements want it.

        Args:
            x: [3, H, W], floats in 0..1.
            strength: how much of the change to apply.
            progress: called after each tile.

        Returns:
            [3, H, W] float32 on the CPU.
        """
        seen = x.detach().float().cpu()
        out = torch.empty_like(seen, memory_format=torch.contiguous_format)
        pixels = seen.permute(1, 2, 0)
        for y, band in TiledInference(self.engine, progress).bands(pixels, lambda stage: stage.image[0].float()):
            rows = slice(y, y + band.shape[1])
            out[:, rows] = seen[:, rows] + strength * (band - seen[:, rows])
        return out

    def analyse(self, image: Any, *, progress: Progress | None = None) -> Analysis:
        """Restore a picture and keep the kernels, blur map and coefficient maps it was restored with.

        Memory grows with the picture here: 4 · 2(N + 1) bytes for each pixel, for the coefficient maps.

        Args:
            image: as for a call, but one picture, not a batch.
            progress: called after each tile.
        """
        run = TiledInference(self.engine, progress, keep=True)
        parts: dict[str, np.ndarray] = {}

        def restore(pixels: Tensor) -> Tensor:
            H, W, _ = pixels.shape
            parts["coefficients"] = np.empty((self.config.candidates, H, W), np.float32)
            parts["blur_map"] = np.empty((H, W), np.float32)
            return self._restore(pixels, 1.0, run, **parts)

        if isinstance(image, Tensor) and image.ndim == 4:
            raise FdikpError("analyse takes one picture, not a batch; give [C, H, W]")
        restored = map_image(image, restore)
        kernels = self.config.kernels
        return Analysis(
            image=restored,
            kernels=np.stack(run.kernels),
            tile_origins=np.array(run.origins),
            coefficient_names=tuple(
                f"{whose}, {what}"
                for whose in ("blurry", "previous stage")
                for what in (*(f"kernel {n + 1}" for n in range(kernels)), "as it is")
            ),
            notes=tuple(run.notes),
            **parts,
        )

    def _restore(
        self,
        pixels: Tensor,
        strength: float,
        run: TiledInference,
        blur_map: np.ndarray | None = None,
        coefficients: np.ndarray | None = None,
    ) -> Tensor:
        """Pixels [H, W, C] to their restoration, of the same type and on the same device; fills the maps given."""
        out = torch.empty_like(pixels, memory_format=torch.contiguous_format)
        top = white(pixels.dtype)

        def outputs(stage: Stage) -> Tensor:
            maps = [stage.image[0]]
            if blur_map is not None:
                maps.append(stage.dilation[0, :1])
            if coefficients is not None:
                maps.append(stage.coefficients[0].flatten(0, 1))
            return torch.cat([m.float() for m in maps])

        for y, band in run.bands(pixels, outputs):
            rows = slice(y, y + band.shape[1])
            before = rgb(pixels[rows]).cpu()
            after = before + strength * (band[:3].permute(1, 2, 0) - before)
            if pixels.shape[-1] == 1:
                after = after.mean(dim=-1, keepdim=True)
            after = after.clamp(0, 1) * top
            out[rows] = (after if pixels.is_floating_point() else after.round()).to(pixels.dtype).to(out.device)
            if blur_map is not None:
                blur_map[rows] = band[3]
            if coefficients is not None:
                coefficients[:, rows] = band[4:]
        return out
