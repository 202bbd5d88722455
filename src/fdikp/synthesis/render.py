"""A defocused image from a sharp one: light, aperture, scene, sensor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fdikp.synthesis.aperture import Aperture
from fdikp.synthesis.compose import render_scene
from fdikp.synthesis.depth import draw_scene
from fdikp.synthesis.field import Field, draw_field
from fdikp.synthesis.highlights import boost_highlights
from fdikp.synthesis.mosaic import through_mosaic
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.sensor import add_luminance_noise, add_noise, round_to_8_bits, sharpen, through_jpeg
from fdikp.synthesis.settings import MAX_QUALITY, RenderSettings
from fdikp.synthesis.tone import SRGB, ToneCurve, draw_tone

IN_FOCUS = 0.6
"""Blur radius in pixels above which a surface counts as out of focus."""


@dataclass(frozen=True)
class Rendered:
    """A batch of rendered pairs, float32 sRGB in 0..1."""

    blurred: Tensor
    """[B, 3, H, W] the defocused image."""

    target: Tensor
    """[B, 3, H, W] the same scene all in focus; differs from the sharp input where surfaces have other content."""

    radius: Tensor
    """[B, 1, H, W] blur radius in pixels, of the surface visible in the target."""


_DEFAULT = RenderSettings()


@torch.no_grad()
def render_pair(
    sharp: Tensor, seeds: Sequence[int], settings: RenderSettings = _DEFAULT, fields: Sequence[Field] | None = None
) -> Rendered:
    """Render one pair for each sharp image, on the device of the images.

    A pair is a function of image, seed, settings and field alone, not of the rest of the batch. Borders are mirrored:
    where that matters, render a larger image and crop.

    Args:
        sharp: [B, 3, H, W] float32 sRGB in 0..1.
        seeds: one per image.
        settings: what to render.
        fields: the position of each image in its photo; drawn at random if None.

    Raises:
        ValueError: wrong shape, or another number of seeds than images.
    """
    if sharp.ndim != 4 or sharp.shape[1] != 3 or len(seeds) != len(sharp):
        raise ValueError(f"expected [B, 3, H, W] and B seeds, got {tuple(sharp.shape)} and {len(seeds)} seeds")
    places = [None] * len(sharp) if fields is None else fields
    pairs = [_render(*each, settings) for each in zip(sharp, map(RandomStream, seeds), places, strict=True)]
    blurred, target, radius = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return Rendered(blurred, target, radius)


def _render(
    image: Tensor, rng: RandomStream, field: Field | None, settings: RenderSettings
) -> tuple[Tensor, Tensor, Tensor]:
    tone_rng = rng.fork("tone")
    tone = draw_tone(tone_rng) if tone_rng.chance(settings.p_tone_curve) else SRGB
    light = tone.decode(image) if settings.linear else image.clone()
    if rng.chance(settings.p_highlight_boost):
        spot_gain = rng.fork("spots").log_uniform(1.0, settings.max_spot_boost)
        light = boost_highlights(light, rng.log_uniform(1.0, settings.max_highlight_boost), spot_gain)
    aperture = draw_aperture(rng)
    if not rng.fork("shape").chance(settings.p_shaped_aperture):
        aperture = Aperture()
    scene = draw_scene(rng, image, settings)
    cats_eye_rng = rng.fork("cat's eye")
    if aperture.blades == 0 and cats_eye_rng.chance(settings.p_cats_eye):
        aperture = replace(aperture, cats_eye=cats_eye_rng.uniform(0.2, 1.0))
    field = field or draw_field(cats_eye_rng, image.shape[-2], image.shape[-1], settings.frame)
    blurred, sharp, radius = render_scene(light, scene, aperture, settings.max_radius, field, settings.layered)
    if not settings.linear:
        blurred, sharp = (tone.decode(codes.clamp(0.0, 1.0)) for codes in (blurred, sharp))
    target = tone.encode(sharp) if any(surface.foreign for surface in scene.surfaces) else image.clone()
    return *_expose(blurred, target, radius, tone, rng, settings), radius


def draw_aperture(rng: RandomStream) -> Aperture:
    """Draw an aperture: mostly a disc or rounded polygon with a hard edge; a third are soft, some nearly Gaussian."""
    bladed = rng.chance(0.4)
    return Aperture(
        blades=rng.integer(5, 9) if bladed else 0,
        roundness=rng.uniform(0.0, 0.9),
        angle=rng.uniform(0.0, 2.0 * math.pi),
        edge=rng.uniform(0.2, 1.0) if rng.chance(0.35) else rng.uniform(0.0, 0.2),
        ring=rng.uniform(-0.5, 0.6) if rng.chance(0.4) else 0.0,
        diffraction=rng.uniform(0.0, 0.6),
    )


def _expose(
    light: Tensor, target: Tensor, radius: Tensor, tone: ToneCurve, rng: RandomStream, settings: RenderSettings
) -> tuple[Tensor, Tensor]:
    """The image made of the light at the sensor, and the target after the steps that it shares."""
    clean = light
    if rng.chance(settings.p_noise):
        mosaic_rng = rng.fork("mosaic")
        mosaic = mosaic_rng.integer(0, 3) if mosaic_rng.chance(settings.p_mosaic) else None
        light = add_noise(light, rng, mosaic)
        if mosaic is not None:  # undoing demosaicing is not the network's task
            target = tone.encode(through_mosaic(tone.decode(target), mosaic))
            clean = through_mosaic(clean, mosaic)
    image, clean = tone.encode(light), tone.encode(clean)
    luminance_rng = rng.fork("mottle")  # an earlier name of this noise; a new one would change the pairs of all seeds
    if luminance_rng.chance(settings.p_luminance_noise):
        image = add_luminance_noise(image, luminance_rng)
    if rng.chance(settings.p_sharpened):
        amount = rng.uniform(0.2, 1.2)
        image, target, clean = (sharpen(each, amount) for each in (image, target, clean))
    elif rng.chance(settings.p_oversharpened):
        amount = rng.uniform(0.2, 0.8)
        image, clean = sharpen(image, amount), sharpen(clean, amount)
    if rng.chance(settings.p_jpeg):
        image = through_jpeg(image, rng.integer(settings.min_quality, MAX_QUALITY), rng.chance(0.5))
    elif settings.rounded:
        image = round_to_8_bits(image)
    if settings.keep_grain:
        in_focus = (1.0 - radius / IN_FOCUS).clamp_min(0.0)
        target = (target + in_focus * (image - clean)).clamp(0.0, 1.0)
    return image, target
