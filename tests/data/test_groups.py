import re

import numpy as np
import pytest

from fdikp.data.groups import INDOOR, SCENES, dpdd_groups

WHOLE = [(f"1P0A{2 * n + 1:04}", f"1P0A{2 * n:04}") for n in range(SCENES)]
PART = WHOLE[8:20:4]


def grouped(folder, names=WHOLE):
    faults, notes = [], []
    return dpdd_groups((folder,), names, faults, notes), faults, notes


def indoors(groups) -> set[int]:
    return {n for n, (source, _) in enumerate(WHOLE) if groups[source] == "indoor"}


def test_the_published_positions_have_the_published_counts(tmp_path):
    groups, faults, notes = grouped(tmp_path)
    assert (faults, notes) == ([], [])
    assert sum(group == "indoor" for group in groups.values()) == 37
    assert sum(group == "outdoor" for group in groups.values()) == 39
    assert indoors(groups) == INDOOR


def test_other_images_in_the_same_layout_have_no_groups(tmp_path):
    assert grouped(tmp_path, [(f"{n:06}", f"{n:06}") for n in range(SCENES)]) == ({}, [], [])


@pytest.mark.parametrize("suffix", ["npy", "txt"])
def test_lists_of_positions_count_from_one(tmp_path, suffix):
    inside, outside = np.array([1, 3, 76]), np.array([n for n in range(1, 77) if n not in (1, 3, 76)])
    for name, labels in (("indoor_labels", inside), ("outdoor_labels", outside)):
        if suffix == "npy":
            np.save(tmp_path / f"{name}.npy", labels)
        else:
            (tmp_path / f"{name}.txt").write_text("\n".join(map(str, labels)))
    groups, faults, notes = grouped(tmp_path)
    assert (faults, notes) == ([], [])
    assert indoors(groups) == {0, 2, 75}


def test_names_hold_for_a_part_of_the_set_too(tmp_path):
    (tmp_path / "indoor.txt").write_text(f"{PART[0][0]}.png\n{PART[2][1]}\n")  # a source, and a target
    groups, faults, notes = grouped(tmp_path, PART)
    assert (faults, notes) == ([], [])
    assert [groups[source] for source, _ in PART] == ["indoor", "outdoor", "indoor"]


def test_positions_say_nothing_of_a_part_of_the_set(tmp_path):
    np.save(tmp_path / "indoor_labels.npy", np.array([1, 2]))
    groups, faults, notes = grouped(tmp_path, PART)
    assert (groups, faults) == ({}, [])
    assert len(notes) == 1 and "among 76 images, but there are 3" in notes[0]


def test_a_part_without_lists_says_so_once(tmp_path):
    groups, faults, notes = grouped(tmp_path, PART)
    assert (groups, faults) == ({}, [])
    assert len(notes) == 1 and "3 of 76 images" in notes[0]


@pytest.mark.parametrize(
    ("lists", "faults"),
    [
        ({"indoor.txt": "1P0A9999.png\n0\n77"}, ["lists 1P0A9999.png, which is not", "lists 0,", "lists 77,"]),
        ({"indoor.txt": "1", "outdoor.txt": "2\n1P0A0001"}, ["lists 1P0A0001, which is also indoor"]),
        ({"indoor_labels.npy": "no array"}, [r"indoor_labels\.npy: cannot be read as a list"]),
    ],
)
def test_lists_that_do_not_fit_are_faults(tmp_path, lists, faults):
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    found = grouped(tmp_path)[1]
    assert len(found) == len(faults)
    assert all(re.search(pattern, fault) for pattern, fault in zip(faults, found, strict=True))
