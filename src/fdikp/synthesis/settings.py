"""Settings of the renderer: the range of each effect, and the probability that a pair shows it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_RADIUS = 100.0
"""Largest blur radius that can be set, in pixels: beyond it, kernels take more memory than images."""

MAX_QUALITY = 98
"""Highest JPEG quality that is drawn."""

BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class RenderSettings:
    """Probabilities (`p_...`) are per pair unless they say otherwise; radii are in pixels of the rendered image."""

    max_radius: float = 9.5
    """Largest blur radius (half the circle of confusion)."""

    min_radius: float = 0.6
    """Smallest radius of a surface that is out of focus."""

    radius_exponent: float = 1.0
    """Preference for small radii: a uniform number in 0..1, raised to this power, is the position between the smallest
    and the largest radius. At 1 all radii are equally likely."""

    levels: int = 7
    """Number of radii that approximate the depth range of one surface; blur is interpolated between two of them."""

    p_sharp: float = 0.25
    """Probability that the whole pair is in focus, so that the network learns to leave sharp images alone."""

    p_uniform: float = 0.25
    """Probability that one radius applies to the whole image."""

    p_single: float = 0.25
    """Probability of one surface of varying depth. The remaining pairs have one or two cut-out surfaces in front of a
    background."""

    p_foreign: float = 0.6
    """Probability that a cut-out surface has content of its own, so that its outline is visible in focus."""

    linear: bool = True
    """Blur linear light, as a lens does; if false, blur the encoded values."""

    layered: bool = True
    """Blur surfaces separately and composite them; if false, blur the finished image at each pixel by the kernel of the
    surface visible there, so that no surface spreads over another."""

    p_shaped_aperture: float = 1.0
    """Probability of an aperture with a random shape; otherwise it is a disc with a hard edge."""

    p_highlight_boost: float = 0.1
    """Probability that clipped highlights get back brightness that clipping took."""

    max_highlight_boost: float = 6.0
    """Largest gain on clipped highlights, at least 1."""

    max_spot_boost: float = 30.0
    """Largest additional gain on clipped spots in dark surroundings, such as lamps; 1 for none."""

    p_cats_eye: float = 0.4
    """Probability that a round aperture narrows toward the corners of the photo. Bladed apertures never do: a lens that
    is stopped down until its blades show does not vignette."""

    frame: int = 1680
    """Long side, in pixels, of the photo that a rendered tile is cut from; 0 if the tile is the whole photo. It limits
    how far the tile lies from the centre, and determines the angle of view of a pixel."""

    p_tone_curve: float = 0.6
    """Probability of a camera's tone curve, applied to both images; otherwise the sRGB curve alone."""

    p_noise: float = 0.8
    """Probability of sensor noise in the blurred image."""

    p_mosaic: float = 0.2
    """Probability that both images of a noisy pair pass through a Bayer mosaic and demosaicing."""

    p_luminance_noise: float = 0.6
    """Probability of soft luminance noise (grain) in the blurred image."""

    p_sharpened: float = 0.1
    """Probability that the camera sharpened both images alike, as in a real pair."""

    p_oversharpened: float = 0.02
    """Probability that only the blurred image is sharpened: the network learns to remove halos, not to add them."""

    p_jpeg: float = 0.8
    """Probability of JPEG compression of the blurred image, as nearly all photos have."""

    min_quality: int = 50
    """Lowest JPEG quality; the highest is 98."""

    keep_grain: bool = True
    """Keep the noise and JPEG artefacts of the blurred image in the target where it is in focus, so that the network
    leaves them alone there; if false, the target is clean everywhere."""

    rounded: bool = True
    """Round the blurred image to 8 bits; if false, keep it unrounded where JPEG does not round it."""

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
        """A copy of these settings with some replaced, each given as NAME=VALUE.

        >>> RenderSettings().changed(["max_radius=12", "layered=false"]).max_radius
        12.0

        Raises:
            ValueError: a setting is unknown, or its value is not allowed.
        """
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        values: dict[str, Any] = {}
        for change in changes:
            name, _, text = change.partition("=")
            if name not in kinds:
                raise ValueError(f"{change}: no such setting; there are {', '.join(kinds)}")
            try:
                values[name] = BOOLEANS[text.lower()] if kinds[name] is bool else kinds[name](text)
            except (KeyError, ValueError):
                expected = {bool: "true or false", int: "a whole number", float: "a number"}[kinds[name]]
                raise ValueError(f"{change}: must be {expected}, as in {name}={getattr(self, name)}") from None
        return replace(self, **values)
