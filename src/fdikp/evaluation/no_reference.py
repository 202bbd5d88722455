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


def blur_effect(image: Tensor) -> float:
    """Strength of blur, 0 (none) to 1 (nothing but blur, or flat): of the picture's rows and columns the worse.

    Args:
        image: [1, 3, H, W] RGB in 0..1, on any device.

    Raises:
        ValueError: another shape, or a side below 11 pixels.
        DataError: scikit-image is not installed.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3) or min(image.shape[-2:]) < WINDOW:
        raise ValueError(f"expected [1, 3, H, W] of at least {WINDOW}x{WINDOW}, got {tuple(image.shape)}")
    try:
        from skimage.measure import blur_effect as measured
    except ImportError as error:
        raise DataError('the blur effect needs scikit-image: pip install "fdikp[evaluate]"') from error
    pixels = image[0].detach().permute(1, 2, 0).double().clamp(0.0, 1.0).cpu().numpy()
    return float(measured(pixels, h_size=WINDOW, channel_axis=-1))
