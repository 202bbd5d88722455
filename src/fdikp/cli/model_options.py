"""The options that all subcommands with a model share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli.console import UsageError
from fdikp.models.descriptor import DEFAULT, DEFAULT_TILE, Precision

if TYPE_CHECKING:
    from fdikp.inference.deblurrer import Deblurrer

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
"""An option without a value, off by default; its help does not state that."""


@dataclass(frozen=True)
class ModelOptions:
    """Which model to use, on which device, and how."""

    # A shipped model (listed by "fdikp doctor") or the path of a .safetensors file.
    model: str = DEFAULT

    # The device to compute on; auto is a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Number format of the convolutions; auto is bfloat16 on devices that compute in it, else float32. Fourier
    # transforms are always float32.
    precision: Literal["auto", Precision] = "auto"

    # Side of the tiles that a photo is processed in, in pixels: a multiple of 16 and at least 64, or 0 for the whole
    # photo at once. Working memory depends on it.
    tile: int = DEFAULT_TILE

    # Process each tile in eight orientations, rotated and mirrored, and take the mean: slightly better, eight times
    # slower.
    ensemble: Flag = False

    def check(self) -> None:
        """Raise UsageError if tiles cannot have the given size.

        Raises:
            WeightsError: there is no such model.
        """
        from fdikp.models import describe

        model = describe(self.model)
        if not model.allows_tile(self.tile):
            raise UsageError(
                f"--tile {self.tile}: must be a multiple of {model.size_multiple} and at least {model.min_tile}, or 0"
            )

    def load(self) -> "Deblurrer":
        """Load the model; the first call in a process takes about two seconds, to import torch."""
        from fdikp.inference.load import load_model

        return load_model(self.model, self.device, self.precision, tile=self.tile, ensemble=self.ensemble)
