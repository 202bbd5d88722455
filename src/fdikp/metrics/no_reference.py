"""How blurred a picture looks, for sets without ground truth such as CUHK.

The measure is the blur effect of Crete et al. (2007) as scikit-image has it: how little of a picture's differences
between neighbours is lost when it is blurred once more. It has no trained parameters, so nothing is downloaded, and
what it measures can be said in a sentence. It tells sharpness, not quality: noise and ringing count as sharp too, so it
goes beside the pictures and beside scores that have a target, never instead of them.

Trained scores (NIQE, BRISQUE, MUSIQ) are left out on purpose: the libraries that hold them need torchvision, fetch
weights when they run, or unpickle them.
"""

from torch import Tensor

from fdikp.errors import DataError

WINDOW = 11
"""Side of the second blur, pixels; numbers made with another cannot be compared."""


def no_reference(image: Tensor) -> dict[str, float]:
    """The numbers that a picture has without a target, by names of `METRICS`.

    `blur`: strength of blur, 0 (none) to 1 (nothing but blur, or flat); of the picture's rows and columns the worse.

    Args:
        image: [3, H, W] RGB, clamped to 0..1, on any device.

    Raises:
        ValueError: another shape, or a side below 11 pixels.
        DataError: scikit-image is not installed.
    """
    if image.ndim != 3 or len(image) != 3 or min(image.shape[-2:]) < WINDOW:
        raise ValueError(f"expected [3, H, W] of at least {WINDOW}x{WINDOW}, got {tuple(image.shape)}")
    try:
        from skimage.measure import blur_effect
    except ImportError as error:
        raise DataError('scores without a target need scikit-image: pip install "fdikp[evaluate]"') from error
    pixels = image.detach().permute(1, 2, 0).double().clamp(0.0, 1.0).cpu().numpy()
    return {"blur": float(blur_effect(pixels, h_size=WINDOW, channel_axis=-1))}
