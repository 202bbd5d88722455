"""What the renderer rng from: sizes, and the share of pairs that show each effect."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_RADIUS = 100.0
"""Largest blur radius that may be asked for: beyond it, kernels take more memory than pictures."""

MAX_QUALITY = 98
"""Highest quality of JPEG that is drawn."""

TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class RenderSettings:
    """How much of what. Shares are probabilities per pair; radii are in pixels of the rendered picture."""

    max_radius: float = 9.5
    """Largest blur radius (half the circle of confusion)."""

    min_radius: float = 0.6
    """Smallest radius of a surface drawn out of focus."""

    radius_exponent: float = 1.0
    """How much the small radii prevail: the exponent of a number drawn evenly from 0 to 1, which is the place between
    the smallest radius and the largest. At 1 all are as frequent."""

    levels: int = 7
    """Radii into which the depth range of one surface is cut; between two levels their blurs are blended."""

    p_sharp: float = 0.25
    """Pairs that are in focus everywhere: the network has to leave such pictures alone."""

    p_uniform: float = 0.25
    """Pairs blurred by one radius everywhere."""

    p_single: float = 0.25
    """Pairs of one surface whose depth varies. The rest have one or two cut-out surfaces before a background."""

    p_foreign: float = 0.6
    """Cut-out surfaces that show other content than the background, so that the outline is visible in focus."""

    linear: bool = True
    """Whether light is what is blurred, as by a lens; else the numbers that encode it."""

    layered: bool = True
    """Whether surfaces are blurred apart and laid over each other; else the finished picture is blurred, at each pixel
    by the kernel of what is seen there, and nothing spreads over anything."""

    p_shaped_aperture: float = 1.0
    """Pairs whose aperture has a shape of its own; the others' is a disc with a hard edge."""

    p_highlight_boost: float = 0.1
    """Pairs whose clipped highlights are given back the brightness that clipping took."""

    max_highlight_boost: float = 6.0
    """Largest gain on clipped highlights."""

    max_spot_boost: float = 30.0
    """Largest further gain on clipped spots in the dark, such as lamps; 1 for none."""

    p_cats_eye: float = 0.4
    """Round apertures whose kernels narrow toward the corners of the photograph: lenses stopped down until their blades
    show do not vignette."""

    frame: int = 1680
    """Long side, in pixels, of the photograph of which a rendered tile is a piece; 0 is the tile itself. It says how
    far a tile may lie from the centre, and how wide the angle of view of a pixel is."""

    p_tone_curve: float = 0.6
    """Pairs seen through a camera's tone curve, which both pictures share; the others' is the sRGB curve alone."""

    p_noise: float = 0.8
    """Pairs with sensor noise in the blurred picture."""

    p_mosaic: float = 0.2
    """Noisy pairs whose two pictures went through a Bayer mosaic and its interpolation."""

    p_luminance_noise: float = 0.6
    """Pairs with soft grain in the blurred picture."""

    p_sharpened: float = 0.1
    """Pairs that the camera sharpened: both pictures alike, as in a real pair."""

    p_oversharpened: float = 0.02
    """Pairs of which only the input was sharpened: the network learns to undo halos rather than to add them."""

    p_jpeg: float = 0.8
    """Pairs whose blurred picture went through JPEG, as nearly all photographs did."""

    min_quality: int = 50
    """Lowest quality of JPEG; the highest is 98."""

    keep_grain: bool = True
    """Whether the target keeps what noise and JPEG did to the blurred picture where that is in focus, so that the
    network leaves it as it is there; else the target is clean everywhere."""

    rounded: bool = True
    """Whether the blurred picture is rounded to 8 bits."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("p_") and not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} must be between 0 and 1, not {value:g}")
        if not 0.0 <= self.min_radius <= self.max_radius or not 0.0 < self.max_radius <= MAX_RADIUS:
            raise ValueError(
                f"radii must have 0 <= min_radius <= max_radius <= {MAX_RADIUS:g}, "
                f"not {self.min_radius:g} and {self.max_radius:g}"
            )
        if not 0.0 < self.radius_exponent < 100.0:
            raise ValueError(f"radius_exponent must be above 0 and below 100, not {self.radius_exponent:g}")
        if not 1 <= self.min_quality <= MAX_QUALITY:
            raise ValueError(f"min_quality must be from 1 to {MAX_QUALITY}, not {self.min_quality}")
        if self.levels < 2 or self.frame < 0 or min(self.max_highlight_boost, self.max_spot_boost) < 1.0:
            raise ValueError(
                "levels must be at least 2, frame at least 0, max_highlight_boost and max_spot_boost at least 1"
            )

    def changed(self, changes: Iterable[str]) -> "RenderSettings":
        """These settings with some changed, each said as NAME=VALUE.

        >>> RenderSettings().changed(["max_radius=12", "layered=false"]).max_radius
        12.0

        Raises:
            ValueError: there is no such setting, or it cannot have that value.
        """
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        values: dict[str, Any] = {}
        for change in changes:
            name, _, text = change.partition("=")
            if name not in kinds:
                raise ValueError(f"{change}: no such setting; there are {', '.join(kinds)}")
            try:
                values[name] = TRUTH[text.lower()] if kinds[name] is bool else kinds[name](text)
            except (KeyError, ValueError):
                wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kinds[name]]
                raise ValueError(f"{change}: must be {wanted}, as in {name}={getattr(self, name)}") from None
        return replace(self, **values)
