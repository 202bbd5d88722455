import builtins

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from fdikp.errors import DataError
from fdikp.metrics.no_reference import no_reference


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)


def blur(image: torch.Tensor) -> float:
    (found,) = no_reference(image).items()
    assert found[0] == "blur"
    return found[1]


PHOTO = data.chelsea()[60:188, 90:230] / 255


def test_as_the_authors_write_it():
    """Crete et al. 2007, eqs. 1 to 6, in loops along one direction; scikit-image takes slopes by Sobel's filter."""
    grey = (PHOTO[:40, :50] @ [0.2125, 0.7154, 0.0721]).astype(float)

    def slope(image: np.ndarray) -> np.ndarray:
        """Across rows, smoothed along them, where all neighbours are inside."""
        found = np.zeros_like(image)
        for row in range(1, image.shape[0] - 1):
            for column in range(1, image.shape[1] - 1):
                for along, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
                    found[row, column] += weight * (image[row + 1, column + along] - image[row - 1, column + along])
        return np.abs(found / 2)

    worst = 0.0
    for image in (grey, grey.T):
        mirrored = np.pad(image, ((5, 5), (0, 0)), mode="symmetric")
        blurred = np.stack([mirrored[row : row + 11].mean(axis=0) for row in range(len(image))])
        before, after = slope(image), slope(blurred)
        inner = (slice(2, -1), slice(2, -1))
        lost = np.maximum(0, before - after)[inner].sum() / before[inner].sum()
        worst = max(worst, 1 - lost)
    assert blur(tensor(PHOTO[:40, :50])) == pytest.approx(worst, abs=1e-5)


def test_it_grows_with_the_blur_and_stays_within_0_and_1():
    found = [blur(tensor(gaussian_filter(PHOTO, (s, s, 0)) if s else PHOTO)) for s in (0, 0.5, 1, 2, 4)]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.2
    assert 0 < found[0] < found[-1] < 1


def test_a_flat_picture_is_all_blur():
    assert blur(torch.full((3, 16, 16), 0.3)) == 1.0


@pytest.mark.parametrize("shape", [(3, 10, 40), (3, 40, 10), (1, 3, 40, 40), (1, 40, 40)])
def test_what_cannot_be_measured(shape):
    with pytest.raises(ValueError, match="11x11"):
        no_reference(torch.rand(shape))


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match="install the evaluate extra"):
        no_reference(torch.rand(3, 20, 20))
