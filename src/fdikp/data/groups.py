"""Which of DPDD's 76 test scenes are indoors and which outdoors: 37 and 39, which papers report apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fdikp.errors import DataError

SCENES = 76
"""Test scenes of the whole set. Published lists give positions among these, in the order of their names."""

INDOOR = frozenset({*range(8, 14), 16, 32, *range(39, 57), *range(59, 68), 74, 75})
"""Positions of the indoor scenes, from 0. The authors' own lists are no longer on the web; these are the numbers that
a public evaluation script after Restormer's (SwinTormer's) has in place of them."""

CAMERA = "1P0A"
"""What names of DPDD's pictures begin with."""

_FILES = ("{}_labels.npy", "{}_labels.txt", "{}.txt")
"""Lists as they lie beside the data: the authors' and Restormer's arrays of positions from 1, or a name or position a
line."""


def dpdd_groups(
    folders: Sequence[Path], names: Sequence[tuple[str, str]], faults: list[str], notes: list[str]
) -> dict[str, str]:
    """`indoor` or `outdoor` by the source's name, from lists in the first of the folders that has any.

    Without lists the whole set is grouped by `INDOOR`, and a part of it not at all, for positions say nothing then.

    Args:
        folders: where lists may lie.
        names: of each pair's source and target without suffix, in their order.
        faults: receives what is wrong with the lists.
        notes: receives why there are no groups.
    """
    whole = len(names) == SCENES
    lists = next((found for found in map(_lists, folders) if found), {})
    if not lists:
        if not all(source.startswith(CAMERA) for source, _ in names):  # a set of other pictures in DPDD's layout
            return {}
        if whole:
            return {source: "indoor" if n in INDOOR else "outdoor" for n, (source, _) in enumerate(names)}
        notes.append(
            f"no groups indoor and outdoor: {len(names)} of {SCENES} pictures, and no indoor.txt with their names"
        )
        return {}
    position = {target: n for n, (_, target) in enumerate(names)}
    position |= {source: n for n, (source, _) in enumerate(names)}
    groups: dict[str, str] = {}
    for group, file in lists.items():
        try:
            labels = _read(file)
        except DataError as error:
            faults.append(str(error))
            continue
        for label in labels:
            stem = Path(label).stem
            place = position.get(stem, int(stem) - 1 if whole and stem.isdecimal() else -1)
            if not 0 <= place < len(names):
                if whole or not stem.isdecimal():
                    faults.append(f"{file}: names {label}, which is not in the set; correct or remove the list")
                continue
            source = names[place][0]
            if groups.setdefault(source, group) != group:
                faults.append(f"{file}: names {label}, which is {groups[source]} too; correct the lists")
    if len(lists) == 1 and groups:  # whatever is not in the one list belongs to the other
        other = "outdoor" if "indoor" in lists else "indoor"
        return {source: groups.get(source, other) for source, _ in names}
    if not groups:
        notes.append(
            f"no groups indoor and outdoor: the lists give positions among {SCENES}, and here are {len(names)}"
        )
    return groups


def _lists(folder: Path) -> dict[str, Path]:
    """The lists of a folder, by group."""
    found = {}
    for group in ("indoor", "outdoor"):
        there = (folder / name.format(group) for name in _FILES)
        found[group] = next((file for file in there if file.is_file()), None)
    return {group: file for group, file in found.items() if file}


def _read(file: Path) -> list[str]:
    """The names or numbers in a list.

    Raises:
        DataError: it is no such list.
    """
    try:
        if file.suffix == ".npy":
            return [str(int(number)) for number in np.load(file, allow_pickle=False).ravel()]
        return [line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: cannot be read as a list of pictures: {error}; copy it again or remove it") from error
