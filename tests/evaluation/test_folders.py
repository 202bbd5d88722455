from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from fdikp.errors import DataError
from fdikp.evaluation.folders import Folder, MatchedImage, Matching, check, common_suffix, gather, match, score_folders
from fdikp.evaluation.protocols import PROTOCOLS
from fdikp.metrics.psnr import mae, psnr


def folder(title: str, *names: str) -> Folder:
    return gather(title, [(Path(name), Path(title, name)) for name in names])


def pairs(found: Matching, title: str) -> dict[str, str]:
    return {case.name: str(case.outputs[title]) for case in found.images}


def test_names_are_paths_without_the_extension():
    found = match(folder("T", "a.png", "deep/b.v2.tif"), [folder("A", "a.jpg", "deep/b.v2.png")])
    assert pairs(found, "A") == {"a": "A/a.jpg", "deep/b.v2": "A/deep/b.v2.png"}
    assert [case.source for case in found.images] == [None, None]
    assert (found.missing, found.strays, found.faults) == ([], [], [])


def test_what_a_method_appends_is_seen():
    target = folder("T", "1.png", "10.png", "100.png")
    found = match(
        target, [folder("A", "1_out.png", "10_out.png", "100_out.png"), folder("B", "1.png", "10.png", "100.png")]
    )
    assert pairs(found, "A") == {"1": "A/1_out.png", "10": "A/10_out.png", "100": "A/100_out.png"}
    assert pairs(found, "B") == {"1": "B/1.png", "10": "B/10.png", "100": "B/100.png"}


def test_names_that_end_like_results_are_taken_as_they_are():
    names = ("a.png", "a_out.png")
    assert pairs(match(folder("T", *names), [folder("A", *names)]), "A") == {"a": "A/a.png", "a_out": "A/a_out.png"}
    assert common_suffix(["a", "a_out"], ["a_out", "a_out_out"]) == "_out"


def test_several_files_for_each_picture_are_refused():
    with pytest.raises(DataError, match="A: several files for each image of T"):
        match(folder("T", "a.png", "b.png"), [folder("A", "a_x.png", "a_y.png", "b_x.png", "b_y.png")])


def test_every_picture_without_a_counterpart_is_told():
    target = folder("T", "a.png", "b.png", "c.png")
    found = match(target, [folder("A", "a_o.png", "b_o.png"), folder("B", "a.png", "b.png", "c.png", "d.png")])
    assert found.faults == [
        "A: no image for T/c.png; add or remove it",
        "B/d.png: no image of that name in T; add or remove it",
    ]
    assert (found.missing, found.strays) == ([("A", ["c"])], [("B", ["d.png"])])
    assert pairs(found, "A") == {"a": "A/a_o.png", "b": "A/b_o.png"}
    assert pairs(found, "B") == {"a": "B/a.png", "b": "B/b.png"}


def test_the_images_of_sources_targets_and_methods():
    found = match(
        folder("T", "a.png", "b.png", "d.png"),
        [folder("A", "a.png", "b.png", "c.png"), folder("B", "b_x.png", "c_x.png")],
        folder("S", "a.png", "b.png", "c.png"),
    )
    assert [case.name for case in found.images] == ["b"]
    assert (found.missing, found.strays) == ([("T", ["c"]), ("B", ["a"])], [("T", ["d.png"])])


def test_no_image_in_common_is_refused():
    with pytest.raises(DataError, match="T: none of its images is in all folders"):
        match(folder("T", "a.png", "b.png"), [folder("A", "a.png"), folder("B", "b.png")])
    with pytest.raises(DataError, match="B: no file has the name of an image of T"):
        match(folder("T", "a.png", "b.png"), [folder("A", "a.png"), folder("B", "c.png")])


def test_folders_of_one_title_are_told_apart():
    found = match(folder("T", "a.png"), [gather("T", [(Path("a.png"), Path("other/a.png"))])])
    assert [(str(case.target), str(case.outputs["T"])) for case in found.images] == [("T/a.png", "other/a.png")]


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (("a", "b", "c"), ("a", "b_deblurred", "c_deblurred"), {"a": "a", "b": "b_deblurred", "c": "c_deblurred"}),
        (("a", "b"), ("a_x", "b-sharp"), {"a": "a_x", "b": "b-sharp"}),
        (("a", "a_b"), ("a_out", "a_b_net.v2"), {"a": "a_out", "a_b": "a_b_net.v2"}),
        (("1", "10", "d/1"), ("1", "10_out", "d/1 (sharp)"), {"1": "1", "10": "10_out", "d/1": "d/1 (sharp)"}),
        (("a", "b"), ("b", "a_2", "a/x_out"), {"b": "b"}),  # a number or a folder is another photo
        (("a", "b"), ("b", "ab_out", "axe"), {"b": "b"}),
    ],
)
def test_each_file_may_have_a_suffix_of_its_own(names, files, expected):
    target, results = folder("T", *(f"{name}.png" for name in names)), folder("A", *(f"{name}.png" for name in files))
    found = match(target, [results])
    assert pairs(found, "A") == {name: f"A/{key}.png" for name, key in expected.items()}
    assert sum(len(strays) for _, strays in found.strays) == len(files) - len(expected)


def test_two_files_of_one_image_are_refused():
    with pytest.raises(DataError) as caught:
        match(folder("T", "a.png", "b.png"), [folder("A", "a.png", "a_deblurred.png", "b.png")])
    assert str(caught.value) == "A/a_deblurred.png: a.png belongs to a.png too; keep one of them"


def test_names_that_differ_in_the_extension_alone_are_refused():
    with pytest.raises(DataError, match=r"A/a\.png: a\.jpg has the same name"):
        folder("A", "a.jpg", "a.png", "b.png")


def test_one_target_for_every_source():
    found = match(folder("T", "all.png"), [folder("A", "r0.png", "r1.png")], folder("S", "r0.jpg", "r1.jpg"))
    assert [(c.name, str(c.target), str(c.source)) for c in found.images] == [
        ("r0", "T/all.png", "S/r0.jpg"),
        ("r1", "T/all.png", "S/r1.jpg"),
    ]


def test_dpdd_names_source_and_target_by_different_captures():
    target = folder("T", "1P0A0916.png", "1P0A0920.png")
    results = folder("A", "1P0A0921_out.png", "1P0A0917_out.png")
    wanted = {"1P0A0916": "A/1P0A0917_out.png", "1P0A0920": "A/1P0A0921_out.png"}
    assert pairs(match(target, [results]), "A") == wanted
    sources = folder("S", "1P0A0917.png", "1P0A0921.png")
    assert [str(case.target) for case in match(target, [results], sources).images] == [
        "T/1P0A0916.png",
        "T/1P0A0920.png",
    ]
    for other in (folder("A", "1P0A0917.png", "1P0A0931.png"), folder("A", "x0917.png", "x0921.png")):
        with pytest.raises(DataError, match="A: no file has the name of an image of T"):
            match(target, [other])


@pytest.fixture
def files(tmp_path):
    """Write pictures [H, W, 3] of two methods, a target and a source; returns the case."""

    def files(**pictures: np.ndarray) -> MatchedImage:
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        paths = {name: tmp_path / f"{name}.png" for name in pictures}
        target, source = paths.pop("target"), paths.pop("source", None)
        return MatchedImage("one", target, source, paths)

    return files


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def unit(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def test_each_file_is_scored_against_its_target(files):
    shown = {name: noise(40, 48, seed) for seed, name in enumerate(("target", "source", "A", "B"))}
    case = files(**shown)
    protocol = PROTOCOLS["defocus"]
    assert check([case], protocol) == [(40, 48)]
    done = []
    results = score_folders([case], protocol, data="mine", done=lambda: done.append(1))
    assert [(r.model, r.data, r.image, r.width, r.height) for r in results] == [
        (name, "mine", "one", 48, 40) for name in "AB"
    ]
    truth = unit(shown["target"])
    for result in results:
        assert result.after["psnr"] == pytest.approx(float(psnr(unit(shown[result.model]), truth)), abs=1e-5)
        assert result.after["mae"] == pytest.approx(float(mae(unit(shown[result.model]), truth)), abs=1e-7)
        assert result.before["psnr"] == pytest.approx(float(psnr(unit(shown["source"]), truth)), abs=1e-5)
    assert len(done) == 1


def test_16_bits_are_kept(tmp_path, files):
    case = files(target=np.full((40, 40, 3), 128, np.uint8))
    deep = np.full((40, 40, 3), 128 * 257 + 64, np.uint16)  # a quarter of a step of 8 bits off
    tifffile.imwrite(tmp_path / "A.tif", deep, photometric="rgb")
    case.outputs["A"] = tmp_path / "A.tif"
    (result,) = score_folders([case], PROTOCOLS["defocus"])
    assert result.after["mae"] == pytest.approx(64 / 65535, rel=1e-3)


def test_what_a_protocol_cuts_may_be_cut_already(files):
    """`iniknet` cuts sides to multiples of 32: a method that ran under it saved such pictures."""
    target, whole = noise(70, 100, 0), noise(70, 100, 1)
    case = files(target=target, source=noise(70, 100, 2), whole=whole, cut=whole[:64, :96])
    protocol = PROTOCOLS["iniknet"]
    assert check([case], protocol) == [(64, 96)]
    whole_result, cut_result = score_folders([case], protocol)
    assert whole_result.after == cut_result.after
    assert (cut_result.width, cut_result.height) == (96, 64)
    with pytest.raises(DataError, match=r"cut\.png is 96x64 but its target target\.png 100x70"):
        check([case], PROTOCOLS["defocus"])


def test_all_files_of_the_wrong_size_or_damaged_are_told_before_any_is_scored(files, tmp_path):
    case = files(target=noise(40, 40, 0), source=noise(40, 41, 0), A=noise(41, 40, 1), B=noise(40, 40, 2))
    case.outputs["B"].write_bytes(b"no picture")
    case.outputs["C"] = tmp_path / "gone.png"
    with pytest.raises(DataError) as caught:
        check([case], PROTOCOLS["defocus"])
    said = str(caught.value)
    assert all(part in said for part in ("B.png: cannot be read: not an image", "gone.png: cannot be read: no such"))
    assert "source.png is 41x40 but its target target.png 40x40" in said
    assert "A.png is 40x41 but its target" in said


def test_values_that_are_not_finite_are_told_together(files, tmp_path):
    case = files(target=noise(40, 40, 0), A=noise(40, 40, 1))
    for name, value in (("B", np.nan), ("C", np.inf)):
        values = np.full((40, 40), 0.5, np.float32)
        values[3, 4] = value
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
        case.outputs[name] = tmp_path / f"{name}.tif"
    assert check([case], PROTOCOLS["defocus"])
    with pytest.raises(DataError) as caught:
        score_folders([case, case], PROTOCOLS["defocus"])
    for name in ("B.tif", "C.tif"):
        assert str(caught.value).count(f"{name}: has pixels that are not numbers") == 1


def test_too_small_for_the_protocol(files):
    case = files(target=noise(20, 20, 0), A=noise(20, 20, 1))
    with pytest.raises(DataError, match=r"target\.png: 20×20 pixels are too few for the protocol iniknet"):
        check([case], PROTOCOLS["iniknet"])
