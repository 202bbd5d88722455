"""Data on disk. `layouts` knows how data sets lie in folders; `pairs` are those to train on, `sets` those to measure
on, checked as a whole; `headers` and `pictures` read files; `groups` and `manifest` read lists that come with a set.
"""

from fdikp.data.headers import check_pictures, picture_size
from fdikp.data.pairs import LAYOUTS, PairFiles, PairSet, find_pairs
from fdikp.data.pictures import find_pictures, load_pictures, read_picture, read_pictures
from fdikp.data.sets import SETS, EvaluationSet, Sample, open_set

__all__ = [
    "LAYOUTS",
    "SETS",
    "EvaluationSet",
    "PairFiles",
    "PairSet",
    "Sample",
    "check_pictures",
    "find_pairs",
    "find_pictures",
    "load_pictures",
    "open_set",
    "picture_size",
    "read_picture",
    "read_pictures",
]
