"""A strip above images in a row that says what each of them is."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MIN_WIDTH = 100
"""Narrower images get no caption, which would not be legible; pixels."""


def with_captions(images: Sequence[np.ndarray], captions: Sequence[str]) -> list[np.ndarray]:
    """Images [H, W, C] uint8 of one size, each below a white strip with its caption in black."""
    width, channels = images[0].shape[1:]
    if width < MIN_WIDTH:
        return list(images)
    size = max(10, width // 32)
    font = ImageFont.load_default(size)
    captioned = []
    for image, caption in zip(images, captions, strict=True):
        strip = Image.new("L", (width, size * 3 // 2), 255)
        ImageDraw.Draw(strip).text((width // 2, strip.height // 2), caption, fill=0, font=font, anchor="mm")
        captioned.append(np.concatenate((np.asarray(strip)[..., None].repeat(channels, axis=2), image)))
    return captioned
