"""A blur metric for sets without ground truth, such as CUHK.

It is the blur effect of Crete et al. (2007) as implemented in scikit-image: the fraction of the differences between
neighbouring pixels that survives a second blur. It has no trained parameters. It measures sharpness, not quality: noise
and ringing count as sharp. Report it beside images and full-reference scores, never instead of them.

Trained metrics (NIQE, BRISQUE, MUSIQ) are left out on purpose: their libraries need torchvision, download weights when
they run, or unpickle them.
"""

from torch import Tensor

from fdikp.errors import DataError
from fdikp.extras import install_hint

WINDOW = 11
"""Side of the second blur, pixels; results of different sides do not compare."""


def no_reference(image: Tensor) -> dict[str, float]:
    """Metrics of an image without a target, by names of `METRICS`.

    `blur`: strength of blur, 0 (none) to 1 (maximal, or a flat image); the larger of rows and columns.

    Args:
        image: [3, H, W] RGB, clamped to 0..1, on any device.

    Raises:
        ValueError: the shape is another, or a side is below 11 pixels.
        DataError: scikit-image is not installed.
    """
    if image.ndim != 3 or len(image) != 3 or min(image.shape[-2:]) < WINDOW:
        raise ValueError(f"expected [3, H, W] of at least {WINDOW}x{WINDOW}, got {tuple(image.shape)}")
    try:
        from skimage.measure import blur_effect
    except ImportError as error:
        raise DataError(f"metrics without a target need scikit-image; {install_hint('evaluate')}") from error
    pixels = image.detach().permute(1, 2, 0).double().clamp(0.0, 1.0).cpu().numpy()
    return {"blur": float(blur_effect(pixels, h_size=WINDOW, channel_axis=-1))}
