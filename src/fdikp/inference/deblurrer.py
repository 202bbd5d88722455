"""`Deblurrer`: the one path from image to image, which the library and the command line call."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import ArgumentError
from fdikp.imaging import Photo
from fdikp.inference.arguments import check_strength
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.inference.image_types import Encoded, Readable, SameKind, Scalar, is_image, map_image, pixels_of
from fdikp.inference.pixels import apply_change
from fdikp.inference.restoring import dilation, dilation_and_coefficients, restore, restored_bands
from fdikp.inference.results import Analysis, Restoration, RestoredBands
from fdikp.inference.tiled import Runtime, TiledInference
from fdikp.models import ModelDescriptor
from fdikp.network import FDIKP, NetworkConfig

if TYPE_CHECKING:
    from PIL import Image


class Deblurrer:
    """Restores out-of-focus images. It has no state that changes: several threads may call one at the same time.

    Make one with `load_model`.

    Args:
        network: in float32, in evaluation mode.
        descriptor: the model, with the limits of its tiles.
        device: where it runs.
        precision: the type in which its convolutions compute.
        tile: side of the tiles in pixels, 0 for no tiles; by default that of the descriptor.
        ensemble: restore each tile in eight orientations and average the results.

    Raises:
        ArgumentError: the descriptor does not allow such tiles.
    """

    def __init__(
        self,
        network: FDIKP,
        descriptor: ModelDescriptor,
        *,
        device: torch.device,
        precision: torch.dtype,
        tile: int | None = None,
        ensemble: bool = False,
    ) -> None:
        tile = descriptor.default_tile if tile is None else tile
        if not isinstance(tile, int):
            raise ArgumentError("must be an integer", argument="tile", value=tile)
        if not descriptor.allows_tile(tile):
            limits = f"a multiple of {descriptor.size_multiple} and at least {descriptor.min_tile}"
            raise ArgumentError(f"must be {limits}, or 0 for no tiles", argument="tile", value=tile)
        self.descriptor = descriptor
        float32 = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        working = float32 if precision == torch.float32 else copy.deepcopy(float32).to(precision)
        self.runtime = Runtime(descriptor, working, float32, device, precision, tile, ensemble)

    def __repr__(self) -> str:
        precision = str(self.precision).removeprefix("torch.")
        settings = f"device={str(self.device)!r}, precision={precision!r}, tile={self.tile}"
        return f"Deblurrer({self.name!r}, {settings}{', ensemble=True' if self.ensemble else ''})"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.descriptor.name

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.runtime.device

    @property
    def precision(self) -> torch.dtype:
        """The type in which its convolutions compute."""
        return self.runtime.precision

    @property
    def tile(self) -> int:
        """Side of the tiles in pixels; 0 for no tiles."""
        return self.runtime.tile

    @property
    def ensemble(self) -> bool:
        """Whether each tile is restored in eight orientations."""
        return self.runtime.ensemble

    @property
    def network(self) -> FDIKP:
        """The network in float32; do not change it."""
        return self.runtime.network_float32

    @property
    def config(self) -> NetworkConfig:
        """The configuration of its network."""
        return self.network.config

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too
        self, image: Readable, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> Photo: ...

    @overload
    def __call__(
        self, image: Encoded, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> bytes: ...

    @overload
    def __call__(
        self,
        image: np.ndarray[Any, np.dtype[Scalar]],
        *,
        strength: float = ...,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> np.ndarray[Any, np.dtype[Scalar]]: ...

    @overload
    def __call__(
        self, image: Tensor, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> Tensor: ...

    @overload
    def __call__(
        self,
        image: "Image.Image",
        *,
        strength: float = ...,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> "Image.Image": ...

    # Not Iterable, which an ndarray of unknown type would match too: its result would then be Any
    @overload
    def __call__(
        self,
        image: Sequence[Readable] | Iterator[Readable],
        *,
        strength: float = ...,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> Iterator[Photo]: ...

    @overload
    def __call__(
        self,
        image: Sequence[SameKind] | Iterator[SameKind],
        *,
        strength: float = ...,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> Iterator[SameKind]: ...

    def __call__(
        self, image: Any, *, strength: float = 1.0, progress: Progress | None = None, cancel: Cancel | None = None
    ) -> Any:
        """Restore an image, or each image of a sequence or an iterator.

        >>> import numpy as np
        >>> from fdikp import load_model
        >>> model = load_model(device="cpu")
        >>> model(np.full((40, 60, 3), 128, np.uint8)).shape
        (40, 60, 3)
        >>> for photo in model(["a.jpg", "b.jpg"]):     # doctest: +SKIP
        ...     photo.save("restored.png")

        Args:
            image: path, binary file, bytes of an encoded photo, `Photo`, PIL image, ndarray [H, W], [H, W, C] or
                [B, H, W, C], or tensor [C, H, W] or [B, C, H, W]; 8 or 16 bits, or floats in 0..1. Any size from 1×1.
                Or a sequence or an iterator of these, such as a list or a generator.
            strength: the fraction of the predicted change to apply, 0..2: 0 for none, 1 for what the network predicts.
            progress: called after each tile of an image.
            cancel: asked before each tile whether to stop.

        Returns:
            The same kind, size and type: bytes for bytes, in the same format where fdikp writes it; a `Photo` for a
            path and for a file. For a sequence or an iterator, an iterator that restores an image when it is asked for
            the next one.

        Raises:
            PhotoError: the photo cannot be read. For a missing file it is a `FileNotFoundError` too.
            TypeError: not a kind of image.
            ArgumentError: the array or tensor has another shape, type or range, or the strength is out of range. It is
                a `ValueError` too.
            Cancelled: `cancel` returned true.
        """
        check_strength(strength)

        def restore_pixels(pixels: Tensor) -> Tensor:
            return restore(TiledInference(self.runtime, progress, cancel), pixels, strength)[0]

        if is_image(image) or not isinstance(image, Iterable):
            return map_image(image, restore_pixels)
        return (map_image(item, restore_pixels) for item in image)

    def restore(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        blur_map: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Restoration:
        """Restore a photo, and report how it went.

        Args:
            photo: as `read_photo` returns it.
            strength: the fraction of the predicted change to apply, 0..2.
            blur_map: also return the blur map.
            progress: called after each tile.
            cancel: asked before each tile whether to stop.

        Raises:
            TypeError: not a `Photo`.
            ArgumentError: the strength is out of range.
            Cancelled: `cancel` returned true.
        """
        _check_photo(photo)
        check_strength(strength)
        run = TiledInference(self.runtime, progress, cancel)
        pixels, maps = restore(run, pixels_of(photo), strength, dilation if blur_map else None)
        return Restoration(
            photo.with_pixels(pixels.numpy()), maps[0] if blur_map else None, tuple(run.notes), run.tiles
        )

    def restore_bands(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> RestoredBands:
        """Restore a photo in bands of rows, top to bottom, for a caller that does not want to hold the whole result.

        >>> for y, rows in model.restore_bands(photo):      # doctest: +SKIP
        ...     out[y : y + len(rows)] = rows

        The bands together are what `restore` returns. Only where memory runs out on the way do they differ: rows that
        were yielded stay as they are, and the rows below are computed in smaller tiles.

        Args:
            photo: as `read_photo` returns it.
            strength: the fraction of the predicted change to apply, 0..2.
            progress: called after each tile.
            cancel: asked before each tile whether to stop.

        Returns:
            An iterator of the index of a band's first row and the band [h, W, C] in the photo's type.

        Raises:
            TypeError: not a `Photo`.
            ArgumentError: the strength is out of range.
            Cancelled: `cancel` returned true; it is raised while iterating.
        """
        _check_photo(photo)
        check_strength(strength)
        run = TiledInference(self.runtime, progress, cancel)

        def bands() -> Iterator[tuple[int, np.ndarray]]:
            next_row = 0
            for y, rows, _ in restored_bands(run, pixels_of(photo), strength):
                if y + len(rows) > next_row:  # else these rows were yielded before memory ran out
                    yield next_row, rows[next_row - y :].numpy()
                    next_row = y + len(rows)

        return RestoredBands(bands(), run.notes)

    def predict(
        self, x: Tensor, *, strength: float = 1.0, progress: Progress | None = None, cancel: Cancel | None = None
    ) -> Tensor:
        """Restore a tensor without clamping or rounding, as measurements need it.

        Args:
            x: [3, H, W], floats in 0..1.
            strength: the fraction of the predicted change to apply, 0..2.
            progress: called after each tile.
            cancel: asked before each tile whether to stop.

        Returns:
            [3, H, W] float32 on the CPU.

        Raises:
            TypeError: not a tensor.
            ArgumentError: the tensor has another shape or type, or the strength is out of range.
            Cancelled: `cancel` returned true.
        """
        _check_tensor(x)
        check_strength(strength)
        x = x.detach().float().cpu()
        restored = torch.empty_like(x, memory_format=torch.contiguous_format)
        run = TiledInference(self.runtime, progress, cancel)
        for y, band in run.bands(x.permute(1, 2, 0), lambda stage: stage.image[0].float()):
            rows = slice(y, y + band.shape[1])
            restored[:, rows] = apply_change(x[:, rows], torch.from_numpy(band), strength)
        return restored

    @overload
    def analyse(
        self, image: Readable, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> Analysis[Photo]: ...

    @overload
    def analyse(
        self, image: Encoded, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> Analysis[bytes]: ...

    @overload
    def analyse(
        self, image: SameKind, *, strength: float = ..., progress: Progress | None = ..., cancel: Cancel | None = ...
    ) -> Analysis[SameKind]: ...

    def analyse(
        self, image: Any, *, strength: float = 1.0, progress: Progress | None = None, cancel: Cancel | None = None
    ) -> Analysis[Any]:
        """Restore an image, and keep the kernels, the blur map and the coefficient maps that the network predicted.

        >>> analysis = model.analyse("blurred.jpg")     # doctest: +SKIP
        >>> analysis.blur_map.shape                     # doctest: +SKIP
        (1080, 1920)

        The maps take 4 · (2(N + 1) + 1) bytes for each pixel.

        Args:
            image: as for a call, but a single image.
            strength: the fraction of the predicted change to apply, 0..2.
            progress: called after each tile.
            cancel: asked before each tile whether to stop.

        Raises:
            PhotoError: the photo cannot be read.
            TypeError: not a kind of image.
            ArgumentError: the array or tensor is a batch, or has another shape, type or range; or the strength is out
                of range.
            Cancelled: `cancel` returned true.
        """
        check_strength(strength)
        if isinstance(image, np.ndarray | Tensor) and image.ndim == 4:
            raise ArgumentError(
                "a batch cannot be analysed; give one image", argument="image", value=tuple(image.shape)
            )
        run = TiledInference(self.runtime, progress, cancel, keep_kernels=True)
        maps = np.empty(0, np.float32)

        def restore_pixels(pixels: Tensor) -> Tensor:
            nonlocal maps
            restored, maps = restore(run, pixels, strength, dilation_and_coefficients)
            return restored

        restored = map_image(image, restore_pixels)
        return Analysis(
            image=restored,
            blur_map=maps[0],
            kernels=np.stack(run.kernels),
            tile_boxes=np.array(run.boxes),
            coefficients=maps[1:],
            coefficient_names=tuple(
                f"{source}, {candidate}"
                for source in ("blurry", "previous stage")
                for candidate in (*(f"kernel {n + 1}" for n in range(self.config.kernels)), "as it is")
            ),
            notes=tuple(run.notes),
        )


def _check_photo(photo: object) -> None:
    if not isinstance(photo, Photo):
        raise TypeError(f"{type(photo).__name__} is not a Photo; read one with read_photo, or call the model itself")


def _check_tensor(x: object) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{type(x).__name__} is not a tensor; call the model itself")
    if x.ndim != 3 or x.shape[0] != 3 or 0 in x.shape:
        raise ArgumentError("must be an image [3, H, W]", argument="x", value=tuple(x.shape))
    if not x.is_floating_point():
        dtype = str(x.dtype).removeprefix("torch.")
        raise ArgumentError("must be floats in 0..1", argument="x", value=dtype, hint="convert it first")
