import pytest

from fdikp.data import find_pairs
from fdikp.errors import DataError


def names(found) -> list[tuple[str, str]]:
    return [(pair.source.name, pair.target.name) for pair in found.pairs]


def test_dpdd_pairs_by_order_since_names_differ(files):
    folder = files(
        *(f"train_c/source/1P0A{n:04}.png" for n in (917, 921)),
        *(f"train_c/target/1P0A{n:04}.png" for n in (916, 920)),
        "val_c/source/1P0A0003.png",
        "val_c/target/1P0A0002.png",
    )
    found = find_pairs(folder, "train")
    assert found.layout == "DPDD"
    assert names(found) == [("1P0A0917.png", "1P0A0916.png"), ("1P0A0921.png", "1P0A0920.png")]
    assert len(find_pairs(folder, "val").pairs) == 1
    assert find_pairs(folder, "test") is None
    files("train_c/source/1P0A0950.png", "train_c/target/1P0A0960.png")
    with pytest.raises(DataError, match=r"1P0A0950.png does not belong to 1P0A0960.png"):
        find_pairs(folder, "train")
    files("train_c/source/1P0A0970.png")
    with pytest.raises(DataError, match="4 images in source but 3 in target"):
        find_pairs(folder, "train")


def test_lfdof_pairs_by_scene(files):
    folder = files(
        "train_data/input/IMG_1/IMG_1_ap1_00.png",
        "train_data/input/IMG_1/IMG_1_ap2_03.png",
        "train_data/input/IMG_2/IMG_2_ap1_00.png",
        "train_data/ground_truth/IMG_1.png",
        "train_data/ground_truth/IMG_2.png",
    )
    found = find_pairs(folder, "train")
    assert found.layout == "LFDOF"
    assert names(found)[1:] == [("IMG_1_ap2_03.png", "IMG_1.png"), ("IMG_2_ap1_00.png", "IMG_2.png")]
    files("train_data/input/IMG_3/IMG_3_ap1_00.png")
    with pytest.raises(DataError, match=r"IMG_3: no IMG_3\.png"):
        find_pairs(folder, "train")


def test_own_pairs_by_name(files):
    folder = files("source/b.jpg", "source/a.png", "target/a.jpg", "target/b.png")
    found = find_pairs(folder)
    assert found.layout == "own pairs"
    assert names(found) == [("a.png", "a.jpg"), ("b.jpg", "b.png")]
    files("source/alone.png", "source/alone too.png")
    with pytest.raises(DataError, match=r"alone too\.png: .*alone\.png: no image of that name"):
        find_pairs(folder)


def test_a_single_target_belongs_to_all(files):
    assert names(find_pairs(files("source/1.png", "source/2.png", "target/sharp.png")))[1] == ("2.png", "sharp.png")


def test_own_pairs_may_be_divided(files):
    folder = files("train/source/1.png", "train/target/1.png", "val/source/2.png", "val/target/2.png")
    assert names(find_pairs(folder, "val")) == [("2.png", "2.png")]
    assert find_pairs(folder) is None


def test_two_targets_of_one_name_are_a_fault(files):
    with pytest.raises(DataError, match="another target has the same name"):
        find_pairs(files("source/a.png", "target/a.png", "target/a.jpg"))


def test_images_of_a_pair_have_one_size(files):
    folder = files("source/a.png", "source/b.png", "target/b.png")
    files("target/a.png", size=(24, 16))
    with pytest.raises(DataError, match=r"a\.png is 24x16 but its target a\.png 16x24"):
        find_pairs(folder).check()


def test_what_has_no_known_layout_or_no_images(files, tmp_path):
    assert find_pairs(files("a.png")) is None
    for kind in ("source", "target"):
        (tmp_path / kind).mkdir()
    with pytest.raises(DataError, match=r"source: no images in it.*target: no images in it"):
        find_pairs(tmp_path)


def test_dpdd_as_restormer_crops_it_and_a_manifest_are_to_train_on_too(files):
    folder = files("train_crops/DPDD/inputC_crops/1P0A0917-3.png", "train_crops/DPDD/target_crops/1P0A0917-3.png")
    assert find_pairs(folder, "train").layout == "DPDD"
    manifest = folder / "pairs.csv"
    manifest.write_text("source,target\nblurred/a.png,sharp/b.png\n")
    files("blurred/a.png", "sharp/b.png")
    assert names(find_pairs(manifest)) == [("a.png", "b.png")]
    assert find_pairs(manifest, "val") is None
