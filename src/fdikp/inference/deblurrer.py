"""`Deblurrer`: the one path from image to image, which the library and the command line call."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import ArgumentError
from fdikp.imaging import Photo, encode_photo, output_format
from fdikp.imaging.resize import check_long_side
from fdikp.imaging.selection import Selection
from fdikp.inference.arguments import Mask, Regions, RestoreOptions, make_selection
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.inference.image_types import (
    Encoded,
    Readable,
    SameKind,
    Scalar,
    image_size,
    is_image,
    map_image,
    opened,
    pixels_of,
    shrunk_image,
)
from fdikp.inference.pixels import apply_change
from fdikp.inference.restoring import restore, restored_bands
from fdikp.inference.results import Analysis, Restoration, RestoredBands
from fdikp.inference.strength import check_strength
from fdikp.inference.tiled import (
    BLUR_MAP,
    DILATION,
    IMAGE,
    Runtime,
    TiledInference,
    coefficients,
    no_calibration,
)
from fdikp.models import ModelDescriptor
from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.blur_radius import BlurRadius

if TYPE_CHECKING:
    from PIL import Image
    from typing_extensions import Unpack


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
        calibration = descriptor.blur_calibration
        blur_radius = None if calibration is None else BlurRadius(calibration).to(device)
        self.runtime = Runtime(descriptor, working, float32, device, precision, tile, ensemble, blur_radius)

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
        self, image: Readable, **options: "Unpack[RestoreOptions]"
    ) -> Photo: ...

    @overload
    def __call__(self, image: Encoded, **options: "Unpack[RestoreOptions]") -> bytes: ...

    @overload
    def __call__(
        self, image: np.ndarray[Any, np.dtype[Scalar]], **options: "Unpack[RestoreOptions]"
    ) -> np.ndarray[Any, np.dtype[Scalar]]: ...

    @overload
    def __call__(self, image: Tensor, **options: "Unpack[RestoreOptions]") -> Tensor: ...

    @overload
    def __call__(self, image: "Image.Image", **options: "Unpack[RestoreOptions]") -> "Image.Image": ...

    # Not Iterable, which an ndarray of unknown type would match too: its result would then be Any
    @overload
    def __call__(
        self, image: Sequence[Readable] | Iterator[Readable], **options: "Unpack[RestoreOptions]"
    ) -> Iterator[Photo]: ...

    @overload
    def __call__(
        self, image: Sequence[SameKind] | Iterator[SameKind], **options: "Unpack[RestoreOptions]"
    ) -> Iterator[SameKind]: ...

    def __call__(
        self,
        image: Any,
        *,
        strength: float = 1.0,
        mask: Mask | None = None,
        regions: Regions = (),
        min_blur: float | None = None,
        max_blur: float | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Any:
        """Restore an image, or each image of a sequence or an iterator.

        >>> import numpy as np
        >>> from fdikp import load_model
        >>> model = load_model(device="cpu")
        >>> model(np.full((40, 60, 3), 128, np.uint8)).shape
        (40, 60, 3)
        >>> for photo in model(["a.jpg", "b.jpg"]):     # doctest: +SKIP
        ...     photo.save("restored.png")
        >>> model("portrait.jpg", max_blur=4, regions=["30%,10%,40%,60%"])     # doctest: +SKIP

        The change at each pixel is multiplied by mask × maximum over the regions × blur gate. Where this is 0, samples
        stay as they are, bit for bit, and tiles without another pixel are not computed.

        Args:
            image: path, binary file, bytes of an encoded photo, `Photo`, PIL image, ndarray [H, W], [H, W, C] or
                [B, H, W, C], or tensor [C, H, W] or [B, C, H, W]; 8 or 16 bits, or floats in 0..1. Any size from 1×1.
                Or a sequence or an iterator of these, such as a list or a generator.
            strength: the fraction of the predicted change to apply, 0..2: 0 for none, 1 for what the network predicts.
            mask: where to restore, for every image: a path, an array [h, w] (bool, uint8, uint16 or floats in 0..1), a
                PIL image or a `Photo`, of the image's size or aspect, upright. White is restored, black is kept.
            regions: rectangles to restore, with soft edges: texts such as `120,80,400,300` (x, y, width and height in
                pixels) or `10%,20%,50%,50%`, or four numbers in pixels. No regions stand for the whole image.
            min_blur: restore only where the blur radius is at least this, in pixels, with a soft threshold.
            max_blur: restore only where the blur radius is at most this, in pixels, with a soft threshold.
            progress: called after each computed tile of an image.
            cancel: asked before each tile whether to stop.

        Returns:
            The same kind, size and type: bytes for bytes, in the same format where fdikp writes it; a `Photo` for a
            path and for a file. For a sequence or an iterator, an iterator that restores an image when it is asked for
            the next one.

        Raises:
            PhotoError: the photo cannot be read. For a missing file it is a `FileNotFoundError` too.
            TypeError: not a kind of image, or of mask.
            ArgumentError: the array or tensor has another shape, type or range; the strength is out of range; or the
                mask, a region or a limit is none, or does not fit the image. It is a `ValueError` too.
            RequestError: a limit is given, and the weights have no blur calibration.
            Cancelled: `cancel` returned true.
        """
        check_strength(strength)
        return self._restored(image, strength, make_selection(mask, regions, min_blur, max_blur), progress, cancel)

    def _restored(
        self, image: Any, strength: float, selection: Selection, progress: Progress | None, cancel: Cancel | None
    ) -> Any:
        self._check_calibration(selection.needs_blur)

        def restore_pixels(pixels: Tensor) -> Tensor:
            return restore(TiledInference(self.runtime, progress, cancel), pixels, strength, selection)[0]

        if is_image(image) or not isinstance(image, Iterable):
            return map_image(image, restore_pixels)
        return (map_image(item, restore_pixels) for item in image)

    @overload
    def preview(self, image: Readable, long_side: int = ..., **options: "Unpack[RestoreOptions]") -> Photo: ...

    @overload
    def preview(self, image: Encoded, long_side: int = ..., **options: "Unpack[RestoreOptions]") -> bytes: ...

    @overload
    def preview(self, image: SameKind, long_side: int = ..., **options: "Unpack[RestoreOptions]") -> SameKind: ...

    def preview(
        self,
        image: Any,
        long_side: int = 1024,
        *,
        strength: float = 1.0,
        mask: Mask | None = None,
        regions: Regions = (),
        min_blur: float | None = None,
        max_blur: float | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Any:
        """Restore an image at reduced size, in the time that the smaller image takes.

        Regions and limits on the blur radius are those of the image itself; they are scaled with it.

        Args:
            image: as for a call, but a single image.
            long_side: what the long side has at most, in pixels; smaller images keep their size.
            strength, mask, regions, min_blur, max_blur, progress, cancel: as for a call.

        Returns:
            The same kind, shrunk and restored.

        Raises:
            As for a call, and ArgumentError for a `long_side` that is not a whole number of at least 1.
        """
        check_strength(strength)
        selection = make_selection(mask, regions, min_blur, max_blur)
        check_long_side(long_side)
        small = opened(image)
        height, width = image_size(small)
        scale = min(1.0, long_side / max(height, width, 1))
        if scale < 1:
            selection.spatial_weights(height, width)  # here, so that its errors state the size of the image itself
            small = shrunk_image(small, long_side)
        restored = self._restored(small, strength, selection.scaled(scale), progress, cancel)
        is_encoded = isinstance(image, bytes | bytearray | memoryview)
        return encode_photo(restored, output_format(restored)[0]) if is_encoded else restored

    def restore(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        selection: Selection | None = None,
        blur_map: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Restoration:
        """Restore a photo, and report how it went.

        Args:
            photo: as `read_photo` returns it.
            strength: the fraction of the predicted change to apply, 0..2.
            selection: where to apply it; None for everywhere.
            blur_map: also return the blur map and its confidence. All tiles are then computed.
            progress: called after each computed tile.
            cancel: asked before each tile whether to stop.

        Raises:
            TypeError: not a `Photo`.
            ArgumentError: the strength is out of range, or the selection does not fit the photo.
            RequestError: the blur map or a limit on it is asked for, and the weights have no blur calibration.
            Cancelled: `cancel` returned true.
        """
        _check_photo(photo)
        check_strength(strength)
        selection = selection or Selection()
        self._check_calibration(blur_map or selection.needs_blur)
        run = TiledInference(self.runtime, progress, cancel)
        pixels, maps = restore(run, pixels_of(photo), strength, selection, (BLUR_MAP,) if blur_map else ())
        radius, confidence = maps if blur_map else (None, None)
        return Restoration(photo.with_pixels(pixels.numpy()), radius, confidence, tuple(run.notes), run.tiles)

    def restore_bands(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        selection: Selection | None = None,
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
            selection: where to apply it; None for everywhere.
            progress: called after each computed tile.
            cancel: asked before each tile whether to stop.

        Returns:
            An iterator of the index of a band's first row and the band [h, W, C] in the photo's type.

        Raises:
            TypeError: not a `Photo`.
            ArgumentError: the strength is out of range; or, while iterating, the selection does not fit the photo.
            RequestError: the selection has limits on the blur radius, and the weights have no blur calibration.
            Cancelled: `cancel` returned true; it is raised while iterating.
        """
        _check_photo(photo)
        check_strength(strength)
        chosen = selection or Selection()
        self._check_calibration(chosen.needs_blur)
        run = TiledInference(self.runtime, progress, cancel)

        def bands() -> Iterator[tuple[int, np.ndarray]]:
            next_row = 0
            for y, rows, _ in restored_bands(run, pixels_of(photo), strength, chosen):
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
        for y, band in run.bands(x.permute(1, 2, 0), (IMAGE,)):
            rows = slice(y, y + band.shape[1])
            restored[:, rows] = apply_change(x[:, rows], torch.from_numpy(band), strength)
        return restored

    @overload
    def analyse(self, image: Readable, **options: "Unpack[RestoreOptions]") -> Analysis[Photo]: ...

    @overload
    def analyse(self, image: Encoded, **options: "Unpack[RestoreOptions]") -> Analysis[bytes]: ...

    @overload
    def analyse(self, image: SameKind, **options: "Unpack[RestoreOptions]") -> Analysis[SameKind]: ...

    def analyse(
        self,
        image: Any,
        *,
        strength: float = 1.0,
        mask: Mask | None = None,
        regions: Regions = (),
        min_blur: float | None = None,
        max_blur: float | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Analysis[Any]:
        """Restore an image, and keep the kernels, the blur map and the other maps that the network predicted.

        >>> analysis = model.analyse("blurred.jpg")     # doctest: +SKIP
        >>> analysis.blur_map.shape                     # doctest: +SKIP
        (1080, 1920)

        The maps take 4 · (2(N + 1) + 3) bytes for each pixel. All tiles are computed, whatever the selection.

        Args:
            image: as for a call, but a single image.
            strength, mask, regions, min_blur, max_blur, progress, cancel: as for a call.

        Raises:
            PhotoError: the photo cannot be read.
            TypeError: not a kind of image.
            ArgumentError: the array or tensor is a batch, or has another shape, type or range; or the strength is out
                of range.
            Cancelled: `cancel` returned true.
        """
        check_strength(strength)
        selection = make_selection(mask, regions, min_blur, max_blur)
        self._check_calibration(selection.needs_blur)
        if isinstance(image, np.ndarray | Tensor) and image.ndim == 4:
            raise ArgumentError(
                "a batch cannot be analysed; give one image", argument="image", value=tuple(image.shape)
            )
        run = TiledInference(self.runtime, progress, cancel, keep_kernels=True)
        blur = () if self.runtime.blur_radius is None else (BLUR_MAP,)
        arrays = np.empty(0, np.float32)

        def restore_pixels(pixels: Tensor) -> Tensor:
            nonlocal arrays
            restored, arrays = restore(run, pixels, strength, selection, (*blur, DILATION, coefficients(self.config)))
            return restored

        restored = map_image(image, restore_pixels)
        (radius, confidence), others = (arrays[:2], arrays[2:]) if blur else ((None, None), arrays)
        return Analysis(
            image=restored,
            blur_map=radius,
            confidence_map=confidence,
            dilation_map=others[0],
            kernels=np.stack(run.kernels),
            tile_boxes=np.array(run.boxes),
            coefficients=others[1:],
            coefficient_names=tuple(
                f"{source}, {candidate}"
                for source in ("blurry", "previous stage")
                for candidate in (*(f"kernel {n + 1}" for n in range(self.config.kernels)), "as it is")
            ),
            notes=tuple(run.notes),
        )

    def _check_calibration(self, needs_blur: bool) -> None:
        """Raise RequestError if the blur radius is needed, and the weights have no calibration."""
        if needs_blur and self.runtime.blur_radius is None:
            raise no_calibration(self.name)


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
