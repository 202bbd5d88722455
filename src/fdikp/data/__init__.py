"""Data on disk. `layouts` knows how data sets lie in folders; `pairs` are those to train on, `sets` those to measure
on, checked as a whole; `headers` and `pictures` read files; `groups` and `manifest` read lists that come with a set.
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
