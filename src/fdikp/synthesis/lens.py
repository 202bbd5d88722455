"""The lens: the size of the blur of a point in front of or behind the focal plane."""

from dataclasses import dataclass

from fdikp.synthesis.rng import RandomStream

SENSOR_WIDTH = 36.0
"""Long side of a full-frame sensor in millimetres."""


@dataclass(frozen=True)
class ThinLens:
    """A thin lens focused at one distance, and the sensor behind it.

    The circle of confusion of a point at distance d is c = A abs(1 - d_f / d) f / (d_f - f) with A = f / N, for focal
    length f, f-number N and focus distance d_f (Potmesil and Chakravarty 1981). The code uses inverse distances: c is
    linear in 1 / d, and 1 / d of a plane in space is linear across the image.

    >>> lens = ThinLens(focal_length=50, f_number=2, focus_distance=2, pixel_pitch=0.02)
    >>> round(lens.radius_at_infinity, 2), lens.blur_radius(1 / 2), round(lens.blur_radius(1 / 1), 2)
    (16.03, 0.0, -16.03)
    """

    focal_length: float
    """Millimetres."""

    f_number: float

    focus_distance: float
    """Metres from the lens to the focal plane; more than the focal length."""

    pixel_pitch: float
    """Distance on the sensor, in millimetres, between neighbouring pixels of the rendered image."""

    @property
    def radius_at_infinity(self) -> float:
        """Blur radius of an infinitely far point, in pixels: the upper bound behind the focal plane."""
        beyond = 1000.0 * self.focus_distance - self.focal_length
        return self.focal_length**2 / (self.f_number * beyond) / (2.0 * self.pixel_pitch)

    @property
    def radius_per_dioptre(self) -> float:
        """Blur radius in pixels per 1/m of inverse distance between a point and the focal plane."""
        return self.radius_at_infinity * self.focus_distance

    def blur_radius(self, inverse_distance: float) -> float:
        """Signed radius of the circle of confusion in pixels: positive behind the focal plane, negative in front.

        inverse_distance: 1 / d in 1/m, 0 for infinity.
        """
        return (1.0 / self.focus_distance - inverse_distance) * self.radius_per_dioptre

    def inverse_distance(self, blur_radius: float) -> float:
        """Inverse distance in 1/m with this signed blur radius (pixels); 0 or negative if no point is that far away."""
        return 1.0 / self.focus_distance - blur_radius / self.radius_per_dioptre


def draw_lens(rng: RandomStream, width: int, max_radius: float) -> ThinLens:
    """Draw the lens of a full-frame camera whose image is `width` pixels wide.

    It is focused so that some distance behind the focal plane has the blur radius `max_radius` (pixels). Ours: 24 to
    135 mm, f/1.4 to f/5.6.
    """
    focal_length = rng.log_uniform(24.0, 135.0)
    f_number = rng.log_uniform(1.4, 5.6)
    pitch = SENSOR_WIDTH / width
    at_infinity = max_radius * rng.log_uniform(1.05, 3.0)
    focus = focal_length + focal_length**2 / (f_number * 2.0 * pitch * at_infinity)
    return ThinLens(focal_length, f_number, focus / 1000.0, pitch)
