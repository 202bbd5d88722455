"""The options that every verb with a model shares."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fdikp.cli.console import UsageError
from fdikp.models import DEFAULT

if TYPE_CHECKING:
    from fdikp.inference.deblurrer import Deblurrer

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
"""An option without a value; that it is off by default goes without saying."""


@dataclass(frozen=True)
class ModelOptions:
    """Which network computes, where, and how."""

    # A shipped model ("fdikp doctor" lists them) or the path of a .safetensors file.
    model: str = DEFAULT

    # Where to compute; auto takes a GPU if there is one.
    device: Annotated[str, tyro.conf.arg(metavar="{auto,cpu,cuda,cuda:1,mps,...}")] = "auto"

    # Arithmetic of the convolutions; auto is bfloat16 where the device is fast at it. Transforms are always float32.
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    # Side of the tiles a photograph is worked on in, in pixels: a multiple of 16, at least 64; 0 is the whole
    # photograph at once. Memory grows with it.
    tile: int = 512

    # Work on each tile in eight positions, turned and mirrored, and take the mean: better by a little, eight times as
    # long.
    ensemble: Flag = False

    def check(self) -> None:
        """Refuse what the command line allows but the network does not."""
        if self.tile and (self.tile < 64 or self.tile % 16):
            raise UsageError(f"--tile {self.tile}: must be a multiple of 16 and at least 64, or 0")

    def load(self) -> "Deblurrer":
        """Load the model; the first call in a process takes a second or two."""
        from fdikp import load_model

        return load_model(self.model, self.device, self.precision, tile=self.tile, ensemble=self.ensemble)
