"""Layouts as tables: trees as they unpack, and trees with something wrong, each fault named."""

import re

import pytest

from fdikp.data.layouts import Listing
from fdikp.data.sets import SETS

DPDD = ["1P0A0917 1P0A0916", "1P0A0921 1P0A0920"]


def released(root: str, split: str = "test") -> list[str]:
    views = [f"{split}_{view}/source/1P0A{n}_{view}.png" for view in "lr" for n in ("0917", "0921")]
    centre = [f"{split}_c/source/1P0A0917.png", f"{split}_c/source/1P0A0921.png"]
    targets = [f"{split}_c/target/1P0A0916.png", f"{split}_c/target/1P0A0920.png"]
    return [f"{root}{file}" for file in views + centre + targets]


def repacked(root: str, crops: str = "") -> list[str]:
    inputs = [f"input{view}{crops}/{name}.png" for view in "CLR" for name in ("1P0A0917", "1P0A0921")]
    return [f"{root}{file}" for file in [*inputs, f"target{crops}/1P0A0916.png", f"target{crops}/1P0A0920.png"]]


def lfdof(*without: str) -> list[str]:
    inputs = [f"test_data/input/IMG_{x}/IMG_{x}_ap{a}_0{n}.png" for x in (1, 2) for a in (1, 3) for n in (0, 4)]
    return [f for f in (*inputs, *(f"test_data/ground_truth/IMG_{x}.png" for x in (1, 2))) if f not in without]


# Kind, split, files, and the names of source and target that come out
RIGHT = [
    ("dpdd", "test", released(""), DPDD),
    ("dpdd", "val", released("", "val"), DPDD),
    *[("dpdd", "test", released(root), DPDD) for root in ("DPDD/", "dd_dp_dataset_png/", "dd_dp_dataset_canon/")],
    ("dpdd", "test", released("dd_dp_dataset_canon/dd_dp_dataset_png/"), DPDD),
    ("dpdd", None, repacked(""), DPDD),
    ("dpdd", "test", repacked("test/"), DPDD),
    ("dpdd", "test", repacked("test/DPDD/"), DPDD),
    ("dpdd", "val", repacked("val_crops/DPDD/", "_crops"), DPDD),
    ("dpdd", None, repacked("", "_crops"), DPDD),
    (
        "lfdof",
        "test",
        lfdof(),
        [f"IMG_{x}_ap{a}_0{n} IMG_{x}" for x in (1, 2) for a in (1, 3) for n in (0, 4)],
    ),
    ("lfdof", "test", [f"LFDOF/{file}" for file in lfdof()[-2:] + lfdof()[3:5]],
     ["IMG_1_ap3_04 IMG_1", "IMG_2_ap1_00 IMG_2"]),
    ("realdof", None, ["source/01.png", "source/02.png", "target/01.png", "target/02.png"], ["01 01", "02 02"]),
    ("realdof", "test", ["RealDOF/source/01.png", "RealDOF/target/01.png"], ["01 01"]),
    ("rtf", "test", ["image/0/image_01.png", "image/0/image_22.png", "GT/sharp_01.png", "GT/sharp_22.png"],
     ["image_01 sharp_01", "image_22 sharp_22"]),
    ("cuhk", "test", ["out_of_focus0001.jpg", "out_of_focus0002.JPG", "motion0001.jpg"],
     ["out_of_focus0001 -", "out_of_focus0002 -"]),
    ("cuhk", None, ["CUHK/a.JPG", "CUHK/b.jpg", "CUHK/list.txt"], ["a -", "b -"]),
    ("pixeldp", "test", ["test_c/source/01.png", "test_l/source/01.png"], ["01 -"]),
    ("kodak-rendered", "test", ["kodim01.png", "kodim23.png", "other.png"], ["kodim01 -", "kodim23 -"]),
    ("pairs", None, ["source/b.jpg", "source/a.TIF", "target/a.png", "target/b.png"], ["a a", "b b"]),
    ("pairs", None, ["source/1.png", "source/2.png", "target/sharp.png"], ["1 sharp", "2 sharp"]),
    ("pairs", "val", ["val/source/1.png", "val/target/1.png", "train/source/2.png"], ["1 1"]),
    ("pairs", None, ["source/1.png", "source/._1.png", "source/x.png/y.png", "target/1.jpg", "target/Thumbs.db"],
     ["1 1"]),
]  # fmt: skip

# Kind, files, and one pattern for each fault
BROKEN = [
    ("dpdd", [*released(""), "test_c/source/1P0A0950.png"],
     ["test_c: 3 images in source but 2 in target", r"1P0A0950.png: no image in target has a number within 3"]),
    ("dpdd", [*released(""), "test_c/target/1P0A0901.png", "test_c/target/1P0A0950.png"],
     ["2 images in source but 4", r"1P0A0901.png: no image in source", r"1P0A0950.png: no image in source"]),
    ("dpdd", [*released(""), "test_c/source/1P0A0930.png", "test_c/target/1P0A0934.png"],
     [r"source/1P0A0930.png does not belong to 1P0A0934.png"]),
    ("dpdd", released("")[:6], [r"test_c/target: no such folder"]),
    ("dpdd", [*repacked("test/")[:6], "test/target/notes.txt"], [r"test/target: no images in it"]),
    ("lfdof", lfdof("test_data/ground_truth/IMG_2.png"), [r"input/IMG_2: no IMG_2\.png in .*ground_truth"]),
    ("lfdof", [*lfdof(), "test_data/ground_truth/IMG_3.png", "test_data/input/IMG_4/notes.txt"],
     [r"IMG_4: no images in it", r"IMG_4: no IMG_4\.png", r"IMG_3\.png: no folder IMG_3"]),
    ("lfdof", lfdof()[:-2], ["ground_truth: no such folder"]),
    ("realdof", ["source/01.png", "source/02.png", "target/02.png", "target/03.png"],
     [r"source/01\.png: no image of that name in .*target", r"target/03\.png: no image of that name in .*source"]),
    ("rtf", ["image/0/image_01.png", "image/0/image_02.png", "GT/sharp_02.png", "GT/sharp_03.png"],
     [r"image_01\.png: no image of that number in .*GT", r"sharp_03\.png: no image of that number in .*image/0"]),
    ("rtf", ["image/0/image_01.png"], ["GT: no such folder"]),
    ("pixeldp", ["test_c/source/notes.txt"], ["test_c/source: no images in it"]),
    ("kodak-rendered", ["kodim01.png", "kodim-best.png"], [r"kodim-best\.png: has no number"]),
    ("pairs", ["source/a.png", "source/b.png", "target/a.png", "target/a.jpg", "target/b.png"],
     [r"target/a\.png: another target has the same name, a\.jpg"]),
    ("pairs", ["source/notes.txt", "target/notes.txt"], ["source: no images in it", "target: no images in it"]),
]  # fmt: skip


def grown(folder, files) -> None:
    """Empty files: layouts look at names only."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(listing: Listing) -> list[str]:
    return [f"{e.source.stem} {e.target.stem if e.target else '-'}" for e in listing.entries]


@pytest.mark.parametrize(("kind", "split", "files", "expected"), RIGHT)
def test_trees_as_they_unpack(tmp_path, kind, split, files, expected):
    grown(tmp_path, files)
    listing = SETS[kind].layout(tmp_path, split)
    assert listing.faults == []
    assert names(listing) == expected
    assert [entry.name for entry in listing.entries] == [entry.source.stem for entry in listing.entries]


@pytest.mark.parametrize(("kind", "files", "faults"), BROKEN)
def test_every_fault_of_a_tree_is_reported(tmp_path, kind, files, faults):
    grown(tmp_path, files)
    listing = SETS[kind].layout(tmp_path, "test") or SETS[kind].layout(tmp_path, None)
    assert len(listing.faults) == len(faults)
    for pattern, fault in zip(faults, listing.faults, strict=True):
        assert re.search(pattern, fault)
        assert "\n" not in fault


def test_every_kind_is_in_both_tables():
    assert {row[0] for row in RIGHT} == set(SETS)
    assert {row[0] for row in BROKEN} == set(SETS) - {"cuhk"}  # any images will do there


@pytest.mark.parametrize("kind", SETS)
def test_a_folder_of_another_layout_is_not_recognised(tmp_path, kind):
    grown(tmp_path, ["holiday/notes.txt"])
    assert SETS[kind].layout(tmp_path, "test") is None
    assert SETS[kind].layout(tmp_path, None) is None
