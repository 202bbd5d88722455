"""How data sets of real pairs lie on disk: which blurred picture belongs to which sharp one.

A layout is a function from a folder and a split to its pairs, or None where the folder is not of that layout. To add
one, write the function and name it in `LAYOUTS`. It reports what does not match in one DataError, all faults at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fdikp.data.pictures import SUFFIXES, check_pictures, refuse
from fdikp.errors import DataError

Split = Literal["train", "val", "test"]

CAPTURES_APART = 3
"""DPDD: source and target were taken one after the other; their file numbers differ by no more than this."""


@dataclass(frozen=True)
class PairFiles:
    """A blurred picture and the sharp one of the same scene."""

    name: str
    source: Path
    target: Path


@dataclass(frozen=True)
class PairSet:
    """The pairs of one split of a data set, in a fixed order."""

    layout: str
    """A key of `LAYOUTS`."""
    pairs: tuple[PairFiles, ...]

    def check(self, smallest: int = 1) -> dict[Path, tuple[int, int]]:
        """Height and width of every file, read from the headers.

        Raises:
            DataError: files cannot be read, the pictures of a pair differ in size, or have a side below `smallest`.
        """
        sizes = check_pictures(file for pair in self.pairs for file in (pair.source, pair.target))
        faults = []
        for pair in self.pairs:
            (height, width), (high, wide) = sizes[pair.source], sizes[pair.target]
            if (height, width) != (high, wide):
                faults.append(
                    f"{pair.source} is {width}x{height} but its target {pair.target.name} {wide}x{high}: "
                    "the pictures of a pair must have one size; crop or remove them"
                )
            elif min(height, width) < smallest:
                faults.append(
                    f"{pair.source} is {width}x{height}, smaller than the crop of {smallest}: "
                    "give a smaller --crop or remove it"
                )
        refuse(faults)
        return sizes


def find_pairs(folder: Path, split: Split | None = None) -> PairSet | None:
    """The pairs of a folder's split, or None if its layout is not known or it has no such split.

    Without a split: those of a folder that is not divided into splits.

    Raises:
        DataError: the layout is known, but files are missing or do not match; all faults in one line.
    """
    for name, layout in LAYOUTS.items():
        pairs = layout(folder, split)
        if pairs is not None:
            if not pairs:
                raise DataError(f"{folder}: laid out as {name}, but without pictures; copy the data set again")
            return PairSet(name, tuple(pairs))
    return None


def _dpdd(folder: Path, split: Split | None) -> list[PairFiles] | None:
    """DPDD (Abuolaim and Brown 2020): `train_c/source/1P0A0917.png` to `train_c/target/1P0A0916.png`, by order."""
    if split is None or not (folder / f"{split}_c" / "source").is_dir():
        return None
    sources, targets = (_pictures(folder / f"{split}_c" / kind) for kind in ("source", "target"))
    if len(sources) != len(targets):
        raise DataError(
            f"{folder}: {split}_c has {len(sources)} sources but {len(targets)} targets; copy the data set again"
        )
    pairs = [PairFiles(s.stem, s, t) for s, t in zip(sources, targets, strict=True)]
    apart = [p for p in pairs if abs(_capture(p.source) - _capture(p.target)) > CAPTURES_APART]
    refuse([f"{p.source} does not belong to {p.target.name}: their numbers are too far apart" for p in apart])
    return pairs


def _lfdof(folder: Path, split: Split | None) -> list[PairFiles] | None:
    """LFDOF (Ruan et al. 2021): `train_data/input/IMG_x/*.png`, all to `train_data/ground_truth/IMG_x.png`."""
    base = folder / f"{split}_data"
    if split is None or not (base / "input").is_dir() or not (base / "ground_truth").is_dir():
        return None
    targets = {file.stem: file for file in _pictures(base / "ground_truth")}
    scenes = sorted(scene for scene in (base / "input").iterdir() if scene.is_dir())
    refuse(
        [f"{scene}: no {scene.name}.png in {base / 'ground_truth'}" for scene in scenes if scene.name not in targets]
    )
    return [PairFiles(s.stem, s, targets[scene.name]) for scene in scenes for s in _pictures(scene)]


def _own(folder: Path, split: Split | None) -> list[PairFiles] | None:
    """Pairs of one's own: `source/NAME.*` and `target/NAME.*`; a single target belongs to all sources.

    The two folders lie in the folder itself, or in `train`, `val` and `test` in it.
    """
    base = folder / split if split else folder
    if not (base / "source").is_dir() or not (base / "target").is_dir():
        return None
    sources, targets = _pictures(base / "source"), _pictures(base / "target")
    by_name = {file.stem: file for file in targets}
    refuse([f"{file}: another target has the same name" for file in targets if by_name[file.stem] is not file])
    if len(targets) == 1:
        return [PairFiles(s.stem, s, targets[0]) for s in sources]
    alone = [s for s in sources if s.stem not in by_name]
    refuse([f"{s}: no picture of that name in {base / 'target'}; add or remove it" for s in alone])
    return [PairFiles(s.stem, s, by_name[s.stem]) for s in sources]


LAYOUTS: dict[str, Callable[[Path, Split | None], list[PairFiles] | None]] = {
    "DPDD": _dpdd,
    "LFDOF": _lfdof,
    "own pairs": _own,
}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; copy the data set again")
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _capture(file: Path) -> int:
    """The running number that the camera put at the end of a file's name."""
    digits = re.search(r"(\d+)$", file.stem)
    return int(digits[1]) if digits else 0
