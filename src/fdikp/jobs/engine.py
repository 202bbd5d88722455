"""What a job needs of the model that restores its photo. `fdikp.Deblurrer` is one such engine."""

from typing import TYPE_CHECKING, Protocol

from fdikp.imaging import Photo
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.inference.results import Restoration

if TYPE_CHECKING:
    from fdikp.imaging.selection import Selection


class Model(Protocol):
    """Which model an engine runs."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its weights file, hexadecimal."""


class Engine(Protocol):
    """Restores photos. A job calls it from one thread at a time."""

    @property
    def descriptor(self) -> Model:
        """The model that it runs."""

    def restore(
        self,
        photo: Photo,
        *,
        strength: float,
        selection: "Selection | None",
        blur_map: bool,
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> Restoration:
        """Restore a photo.

        Args:
            photo: as `fdikp.read_photo` returns it.
            strength: the fraction of the predicted change to apply, 0..2.
            selection: what to restore; None for everything.
            blur_map: whether to return the maps of blur radius and confidence too.
            progress: called after each tile with the number of finished tiles and of all tiles.
            cancel: asked before each tile whether to stop.

        Returns:
            The restored photo, of the same size, depth and metadata.

        Raises:
            FdikpError: the selection does not fit the photo, or the model cannot measure blur.
            Cancelled: `cancel` returned true.
        """
