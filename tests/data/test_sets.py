import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fdikp.data import SETS, open_set
from fdikp.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "eval"


def faults(name: str, path: Path, **options) -> list[str]:
    with pytest.raises(DataError) as error:
        open_set(name, path, **options)
    assert "\n" not in str(error.value)
    return list(error.value.faults)


def deep(path: Path, dtype=np.uint16, value=7, size=(16, 24)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), value, dtype)
    tifffile.imwrite(path, pixels, photometric="rgb")
    return pixels


@pytest.mark.parametrize(
    ("name", "kind", "tree"),
    [
        ("DPDD", "dpdd", ["test_c/source/1P0A0917.png", "test_c/target/1P0A0916.png"]),
        ("mine", "dpdd", ["test_c/source/1P0A0917.png", "test_c/target/1P0A0916.png"]),
        ("mine", "dpdd", ["inputC/1P0A0917.png", "target/1P0A0916.png"]),
        ("mine", "lfdof", ["test_data/input/IMG_1/IMG_1_ap1_00.png", "test_data/ground_truth/IMG_1.png"]),
        ("mine", "rtf", ["image/0/image_01.png", "GT/sharp_01.png"]),
        ("mine", "pixeldp", ["test_c/source/01.png"]),
        ("mine", "kodak-rendered", ["kodim01.png"]),
        ("mine", "pairs", ["source/01.png", "target/01.png"]),
        ("RealDOF", "realdof", ["source/01.png", "target/01.png"]),
        ("Cuhk", "cuhk", ["out_of_focus0001.jpg"]),
    ],
)
def test_the_kind_is_recognised_by_the_name_or_else_by_the_folder(files, name, kind, tree):
    found = open_set(name, files(*tree))
    (sample,) = found.samples
    assert (found.name, found.kind) == (name, kind)
    assert (sample.height, sample.width, sample.bits) == (16, 24, 8)
    assert sample.has_target == (kind not in ("pixeldp", "cuhk"))
    assert (sample.load()[1] is not None) == sample.has_target


def test_a_kind_may_be_given(files):
    folder = files("a.jpg", "b.JPG")
    assert [s.name for s in open_set("photos", folder, kind="cuhk").samples] == ["a", "b"]
    assert "choose among" in faults("photos", folder, kind="holiday")[0]
    assert "train, val or test" in faults("photos", folder, split="all")[0]


def test_samples_are_what_the_files_hold(files, tmp_path):
    source, target = deep(tmp_path / "source" / "a.tif", value=12345), deep(tmp_path / "target" / "a.tif", value=65535)
    (sample,) = open_set("mine", tmp_path).samples
    for array, pixels in zip(sample.load(), (source, target), strict=True):
        assert (array.dtype, array.shape) == (np.float32, (16, 24, 3))
        assert np.array_equal((array * 65535).round(), pixels)
    assert sample.bits == 16
    again = pickle.loads(pickle.dumps(sample))
    assert np.array_equal(again.load()[0], sample.load()[0])


def test_every_fault_of_a_set_is_reported_at_once(files, tmp_path):
    files(*(f"{kind}/{name}.png" for kind in ("source", "target") for name in ("fine", "size", "cut", "twice")))
    files("source/twice.jpg", "source/alone.png", "target/unused.png")
    files("target/size.png", size=(24, 16))
    cut = tmp_path / "target" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    (tmp_path / "source" / "text.png").write_text("no image")
    files("target/text.png")
    (tmp_path / "source" / "empty.jpg").touch()
    files("target/empty.jpg")
    for kind in ("source", "target"):
        deep(tmp_path / kind / "deep.tif")
    patterns = [
        r"source/alone\.png: no image of that name",
        r"target/unused\.png: no image of that name",
        r"source/twice\.png: has the same name as .*twice\.jpg",
        r"target/cut\.png: cannot be read: the file is cut short",
        r"source/text\.png: cannot be read: not an image",
        r"source/empty\.jpg: cannot be read: not an image",
        r"source/size\.png is 24x16 but its target size\.png 16x24",
        r"source/deep\.tif: has 16 bits per sample, but most of the set has 8",
        r"target/deep\.tif: has 16 bits per sample",
    ]
    found = faults("mine", tmp_path)
    for pattern in patterns:
        assert sum(bool(re.search(pattern, fault)) for fault in found) == 1, pattern
    assert len(found) == len(patterns)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0])
def test_floats_are_decoded_for_they_may_hold_nan(tmp_path, value):
    for kind in ("source", "target"):
        for name in ("a", "b"):
            deep(tmp_path / kind / f"{name}.tif", np.float32, 0.5)
    assert [s.bits for s in open_set("mine", tmp_path).samples] == [32, 32]
    for name in ("a", "b"):
        deep(tmp_path / "target" / f"{name}.tif", np.float32, value)
    found = faults("mine", tmp_path)
    assert [Path(fault.split(":")[0]).name for fault in found] == ["a.tif", "b.tif"]


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damaged_data_is_found_by_decoding(files, name):
    folder = files(f"source/{name}", f"target/{name}", size=(128, 128))
    assert len(open_set("mine", folder, deep=True).samples) == 1
    path = folder / "source" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd9"  # in a JPEG its end, ahead of time
    path.write_bytes(data)
    (sample,) = open_set("mine", folder).samples
    with pytest.raises(DataError, match=rf"source/{name}"):
        sample.load()
    (fault,) = faults("mine", folder, deep=True)
    assert f"source/{name}" in fault


def test_names_must_be_names_of_files(files):
    folder = files("a/1.png", "b/1.png")
    manifest = folder / "pairs.csv"
    manifest.write_text(
        "source,target,name\na/1.png,b/1.png,\nb/1.png,a/1.png,\na/1.png,b/1.png,x/y\na/1.png,a/2.png,..\n"
    )
    found = faults("mine", manifest)
    assert len(found) == 4
    assert "has the same name as" in found[0]
    assert "'x/y', which cannot be a file name" in found[1]
    assert "'..', which cannot be a file name" in found[2]
    assert "2.png: cannot be read: no such file" in found[3]


def test_a_manifest_says_the_groups(files):
    manifest = files("a.png", "b.png") / "pairs.csv"
    manifest.write_text("source,target,group,name\na.png,b.png,near,one\nb.png,a.png,far,two\n")
    assert [(s.name, s.group) for s in open_set("mine", manifest).samples] == [("one", "near"), ("two", "far")]


def test_dpdd_in_whole_has_groups_and_in_part_a_note(files):
    names = [f"1P0A{2 * n:04}.png" for n in range(76)]
    folder = files(*(f"DPDD/test_c/{kind}/{name}" for kind in ("source", "target") for name in names), size=(4, 4))
    whole = open_set("dpdd", folder)
    assert [sum(s.group == group for s in whole.samples) for group in ("indoor", "outdoor")] == [37, 39]
    assert whole.notes == ()
    for kind in ("source", "target"):
        (folder / "DPDD" / "test_c" / kind / names[0]).unlink()
    part = open_set("dpdd", folder)
    assert {s.group for s in part.samples} == {None}
    assert any("75 images where DPDD has 76" in note for note in part.notes)


def test_where_there_is_nothing(tmp_path):
    (fault,) = faults("mine", tmp_path / "none")
    assert "none: no such file or folder" in fault
    (fault,) = faults("mine", tmp_path)
    assert "no data set with a known layout" in fault and "realdof" in fault
    for kind in SETS:
        (fault,) = faults(kind, tmp_path)
        assert f"is not laid out as {SETS[kind].title}" in fault


def test_kodak_is_rendered_as_the_frozen_benchmark_is(tmp_path):
    from fdikp.synthesis import kodak_pairs

    for n in (3, 20):
        pixels = np.random.default_rng(n).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"kodim{n:02}.png")
    found = open_set("kodak-rendered", tmp_path)
    assert "2 images where Kodak, rendered has 24" in found.notes[0]
    for sample, pair in zip(reversed(found.samples), reversed(list(kodak_pairs(tmp_path))), strict=True):
        source, target = sample.load()
        assert sample.name == pair.name
        assert np.array_equal(source, pair.blurred.permute(1, 2, 0).numpy())
        assert np.array_equal(target, pair.target.permute(1, 2, 0).numpy())
        assert not np.array_equal(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kodim03.png", "kodim20.png"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the evaluation sets are not beside the repository (../shared/data)")
@pytest.mark.parametrize(
    ("name", "folder", "kind", "count"),
    [
        ("lytro", "lytro", "pairs", 20),
        ("epfl48", "epfl48", "pairs", 9),
        ("cuhk", "cuhk", "cuhk", 21),
        ("kodak-rendered", "kodak24", "kodak-rendered", 24),
    ],
)
def test_real_sets(name, folder, kind, count):
    found = open_set(name, SHARED / folder)
    assert (found.kind, len(found.samples)) == (kind, count)
    first = found.samples[0]
    source, target = first.load()
    assert source.shape == (first.height, first.width, 3)
    assert (target is None) == (kind == "cuhk")
    if target is not None:
        assert 18 < -10 * np.log10(np.square(source - target).mean()) < 40
