"""Data on disk: `pictures` finds, checks and reads files, `layouts` knows how data sets of pairs lie in folders."""

from fdikp.data.layouts import LAYOUTS, PairFiles, PairSet, find_pairs
from fdikp.data.pictures import check_pictures, find_pictures, load_pictures, picture_size, read_picture

__all__ = [
    "LAYOUTS",
    "PairFiles",
    "PairSet",
    "check_pictures",
    "find_pairs",
    "find_pictures",
    "load_pictures",
    "picture_size",
    "read_picture",
]
