"""Data sets on disk.

`listing` finds image files, `layouts` recognises data sets by their folders, `manifest` and `groups` read lists that
come with a set, and `headers` and `readers` read image files. On top of them, `pairs` opens sets for training, `sets`
opens and validates sets for evaluation, and `identical` finds pairs of equal pixels. `faults` collects what is wrong,
to report it at once.
"""

from fdikp.data.headers import image_size, image_sizes
from fdikp.data.listing import find_images
from fdikp.data.pairs import LAYOUTS, PairFiles, PairSet, find_pairs
from fdikp.data.readers import load_images, read_image, read_images
from fdikp.data.sets import SETS, EvaluationSet, Sample, open_set

__all__ = [
    "LAYOUTS",
    "SETS",
    "EvaluationSet",
    "PairFiles",
    "PairSet",
    "Sample",
    "find_images",
    "find_pairs",
    "image_size",
    "image_sizes",
    "load_images",
    "open_set",
    "read_image",
    "read_images",
]
