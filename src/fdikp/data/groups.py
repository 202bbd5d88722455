"""The groups of DPDD's 76 test scenes, 37 indoor and 39 outdoor, which papers report separately."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fdikp.errors import DataError

SCENES = 76
"""Test scenes of the complete set. Published lists give positions among these, sorted by name."""

INDOOR = frozenset({*range(8, 14), 16, 32, *range(39, 57), *range(59, 68), 74, 75})
"""Positions of the indoor scenes, from 0. The authors' own lists are no longer available online; these numbers come
from SwinTormer's public evaluation script, which derives from Restormer's."""

CAMERA = "1P0A"
"""Prefix of the file names of DPDD."""

_FILES = ("{}_labels.npy", "{}_labels.txt", "{}.txt")
"""File names of lists beside the data: the authors' and Restormer's arrays of positions from 1, or text files with a
name or a position on each line."""


def dpdd_groups(
    folders: Sequence[Path], names: Sequence[tuple[str, str]], faults: list[str], notes: list[str]
) -> dict[str, str]:
    """The group of each source, `indoor` or `outdoor`, by lists in the first of the folders that has any.

    Without lists, the complete set is grouped by `INDOOR`. A part of the set has no groups then, because positions
    have no meaning in it.

    Args:
        folders: where to look for lists.
        names: source and target of each pair, without suffix, in order.
        faults: receives what is wrong with the lists.
        notes: receives why there are no groups.

    Returns:
        The group by the name of the source; empty if there are no groups.
    """
    complete = len(names) == SCENES
    lists = next((lists for lists in map(_lists, folders) if lists), {})
    if not lists:
        if not all(source.startswith(CAMERA) for source, _ in names):  # other images in DPDD's layout
            return {}
        if complete:
            return {source: "indoor" if n in INDOOR else "outdoor" for n, (source, _) in enumerate(names)}
        notes.append(
            f"no indoor and outdoor groups: only {len(names)} of {SCENES} images, and no indoor.txt with their names"
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
            index = position.get(stem, int(stem) - 1 if complete and stem.isdecimal() else -1)
            if not 0 <= index < len(names):
                if complete or not stem.isdecimal():
                    faults.append(f"{file}: lists {label}, which is not in the set; correct or remove the list")
                continue
            source = names[index][0]
            if groups.setdefault(source, group) != group:
                faults.append(f"{file}: lists {label}, which is also {groups[source]}; correct the lists")
    if len(lists) == 1 and groups:  # scenes that are not in the only list belong to the other group
        other = "outdoor" if "indoor" in lists else "indoor"
        return {source: groups.get(source, other) for source, _ in names}
    if not groups:
        notes.append(
            f"no indoor and outdoor groups: the lists give positions among {SCENES} images, but there are {len(names)}"
        )
    return groups


def _lists(folder: Path) -> dict[str, Path]:
    """The list files in a folder, by group."""
    lists = {}
    for group in ("indoor", "outdoor"):
        candidates = (folder / name.format(group) for name in _FILES)
        lists[group] = next((file for file in candidates if file.is_file()), None)
    return {group: file for group, file in lists.items() if file}


def _read(file: Path) -> list[str]:
    """The names or positions in a list.

    Raises:
        DataError: the file is not a list.
    """
    try:
        if file.suffix == ".npy":
            return [str(int(number)) for number in np.load(file, allow_pickle=False).ravel()]
        return [line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: cannot be read as a list of images: {error}; copy it again or remove it") from error
