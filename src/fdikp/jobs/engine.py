"""What a job needs of the model that restores its photo. `fdikp.Deblurrer` is one such engine."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fdikp.imaging import Photo

Progress = Callable[[int, int], None]
"""Called after each tile with the number of finished tiles and of all tiles."""

Cancel = Callable[[], bool]
"""Asked before each tile; True cancels the work."""


class Model(Protocol):
    """Which model an engine runs."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its weights file, hexadecimal."""


class Restored(Protocol):
    """A restored photo, and how it went."""

    @property
    def photo(self) -> Photo:
        """The result: of the same size, depth and metadata as the photo that was given."""

    @property
    def blur_map(self) -> np.ndarray | None:
        """[H, W] float32, the dilation in pixels; None unless it was asked for."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for everything that did not go the usual way."""

    @property
    def tiles(self) -> int:
        """How many tiles the photo was cut into."""


class Engine(Protocol):
    """Restores photos. A job calls it from one thread at a time."""

    @property
    def weights(self) -> Model:
        """The model it runs."""

    def restore(
        self, photo: Photo, *, strength: float = 1.0, blur_map: bool = False, progress: Progress | None = None
    ) -> Restored:
        """Restore a photo.

        Args:
            photo: as `fdikp.read_photo` gives it.
            strength: how much of the change to apply, 0 to 2.
            blur_map: also return the blur map.
            progress: called after each tile.
        """
