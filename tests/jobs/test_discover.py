import os
from pathlib import Path

import pytest

from fdikp.jobs.discover import InputFinder, InputPath, split_glob
from fdikp.jobs.skipped import describe_skipped


def is_photo(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".png")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def files(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return files


def search(*inputs: str, **options) -> dict[str, str]:
    """What is found, and where it goes."""
    found = InputFinder(is_photo, **{"suffixes": ("_deblurred",), **options}).find(inputs)
    return {one.path.as_posix(): str(one.error or one.place.as_posix()) for one in found}


def test_a_folder_is_searched_to_the_bottom_and_mirrored(files):
    files("holiday/b.jpg", "holiday/a.JPG", "holiday/day 1/ä.png", "holiday/notes.txt", "holiday/day 1/x/c.jpg")
    assert search("holiday/") == {
        "holiday/a.JPG": "a.JPG",
        "holiday/b.jpg": "b.jpg",
        "holiday/day 1/ä.png": "day 1/ä.png",
        "holiday/day 1/x/c.jpg": "day 1/x/c.jpg",
    }


def test_one_of_several_inputs_keeps_its_name(files):
    files("x/a.jpg", "y/a.jpg", "b.jpg")
    assert search("x", "y", "b.jpg") == {"x/a.jpg": "x/a.jpg", "y/a.jpg": "y/a.jpg", "b.jpg": "b.jpg"}


def test_equal_names_of_roots_are_left_for_the_plan_to_refuse(files):
    files("x/h/a.jpg", "y/h/a.jpg")
    assert search("x/h", "y/h") == {"x/h/a.jpg": "h/a.jpg", "y/h/a.jpg": "h/a.jpg"}


def test_the_current_folder(files):
    files("a.jpg", "x/b.jpg")
    assert search(".") == {"a.jpg": "a.jpg", "x/b.jpg": "x/b.jpg"}


def test_a_file_that_is_named_is_taken_whatever_its_name(files):
    files("notes.txt", ".hidden", "a.jpg", "a_deblurred.jpg")
    assert search("notes.txt", ".hidden", "a_deblurred.jpg") == {
        "notes.txt": "notes.txt",
        ".hidden": ".hidden",
        "a_deblurred.jpg": "a_deblurred.jpg",
    }


def test_each_photograph_once(files):
    files("x/a.jpg", "x/b.jpg")
    assert list(search("x/b.jpg", "x", "./x/b.jpg", "x/*.jpg")) == ["x/b.jpg", "x/a.jpg"]


def test_hidden_names_and_earlier_results_are_left_out(files):
    files("x/a.jpg", "x/a_deblurred.jpg", "x/a_blurmap.png", "x/a_compare.jpg", "x/.a.jpg", "x/.trash/b.jpg")
    files("x/own_compare.jpg", "x/c_sharp.jpg", "x/c.png")
    assert list(search("x")) == ["x/a.jpg", "x/c.png", "x/c_sharp.jpg", "x/own_compare.jpg"]
    assert list(search("x", suffixes=("_deblurred", "_sharp"))) == ["x/a.jpg", "x/c.png", "x/own_compare.jpg"]


def test_side_images_and_previews_are_left_out(files):
    files("x/a.jpg", "x/a_blurmap.png", "x/a_blurmap_figure.png", "x/a_confidence.png", "x/a_compare.jpg")
    files("x/a_preview.jpg", "x/a_preview_blurmap.png", "x/b_preview.jpg", "x/own_confidence.png")
    assert list(search("x")) == ["x/a.jpg", "x/b_preview.jpg", "x/own_confidence.png"]


@pytest.mark.parametrize("inputs", [["."], ["**/*"], ["*"]])
def test_masks_inside_an_input_are_left_out(files, inputs):
    files("a.jpg", "x/b.jpg", "masks/a.png", "masks/x/b.png", "x/masks/c.jpg", "m.png")
    assert set(search(*inputs, mask=Path("masks"))) == {"a.jpg", "x/b.jpg", "x/masks/c.jpg", "m.png"}
    assert "m.png" not in search(*inputs, mask=Path("x/../m.png"))


def test_a_mask_that_is_named_as_a_photo_is_taken(files):
    files("m.png")
    assert list(search("m.png", mask=Path("m.png"))) == ["m.png"]


def test_results_of_the_default_name_are_no_inputs_by_default(files):
    files("x/a.jpg", "x/a_deblurred.jpg", "x/b_deblurred.jpg")
    found = [one.path.as_posix() for one in InputFinder().find("x")]
    assert found == ["x/a.jpg", "x/b_deblurred.jpg"]


@pytest.mark.parametrize("one", ["x/a.jpg", Path("x/a.jpg")])
def test_one_input_needs_no_list(files, one):
    files("x/a.jpg")
    assert InputFinder().find(one) == InputFinder().find([one]) == [InputPath(Path("x/a.jpg"), Path("a.jpg"), True)]


@pytest.mark.parametrize("inputs", [["."], ["*"], ["**"], ["**/*.jpg"], ["x/.."]])
def test_the_output_folder_inside_an_input_is_left_out(files, inputs):
    files("a.jpg", "x/b.jpg", "fixed/a.jpg", "fixed/x/b.jpg", "x/fixed/c.jpg")
    found = {os.path.normpath(name) for name in search(*inputs, output=Path("fixed"))}
    assert found == {"a.jpg", "x/b.jpg", "x/fixed/c.jpg"}


def test_the_input_folder_may_be_the_output_folder(files):
    files("a.jpg")
    assert list(search(".", output=Path())) == ["a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("x/*.jpg", {"x/a.jpg": "a.jpg"}),
        ("x/**/*.jpg", {"x/a.jpg": "a.jpg", "x/y/b.jpg": "y/b.jpg", "x/y/z/c.jpg": "y/z/c.jpg"}),
        ("x/**", {"x/a.jpg": "a.jpg", "x/y/b.jpg": "y/b.jpg", "x/y/z/c.jpg": "y/z/c.jpg"}),
        ("x/*", {"x/a.jpg": "a.jpg", "x/y/b.jpg": "y/b.jpg", "x/y/z/c.jpg": "y/z/c.jpg"}),
        ("*/?/b.*", {"x/y/b.jpg": "x/y/b.jpg"}),
        ("x/[a-c].jpg", {"x/a.jpg": "a.jpg"}),
    ],
)
def test_globs_mirror_from_their_first_wildcard(files, pattern, expected):
    files("x/a.jpg", "x/a.txt", "x/.b.jpg", "x/y/b.jpg", "x/y/z/c.jpg", "x/.git/d.jpg")
    assert search(pattern) == expected


def test_a_file_named_with_brackets_wins_over_the_glob(files):
    files("a[1].jpg", "a1.jpg", "d[1]/x.jpg", "d1/y.jpg")
    assert list(search("a[1].jpg")) == ["a[1].jpg"]
    assert list(search("d[1]/*.jpg")) == ["d[1]/x.jpg"]


def test_an_absolute_glob(files, tmp_path):
    files("x/a.jpg")
    assert list(search(f"{tmp_path}/x/*.jpg")) == [f"{tmp_path.as_posix()}/x/a.jpg"]
    assert split_glob(tmp_path / "x" / "*.jpg") == (tmp_path / "x", "*.jpg")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("x/*", "x/*: no photo matches"),
        ("nowhere/*.jpg", "nowhere/*.jpg: no photo matches"),
        ("x", "x: no photo in it"),
        ("x/empty", "x/empty: no photo in it"),
    ],
)
def test_an_input_without_photos_fails_alone(files, name, error):
    files("x/notes.txt", "a.jpg")
    Path("x/empty").mkdir()
    for inputs in ([name], [name, "a.jpg"]):
        failed, *others = InputFinder(is_photo).find(inputs)
        assert (str(failed.error), failed.error.code) == (error, "no_photo_found")
        assert [one.path.name for one in others] == inputs[1:]


def test_what_is_left_out_is_listed_with_its_reason(files):
    files("x/a.jpg", "x/a_deblurred.jpg", "x/.b.jpg", "x/.DS_Store", "x/c.psd", "x/d.MOV", "x/notes.txt", "x/y/e.svg")
    found = InputFinder().search("x")
    assert [one.path.as_posix() for one in found.photos] == ["x/a.jpg"]
    assert [(one.path.name, one.reason, one.kind) for one in found.skipped] == [
        (".b.jpg", "hidden", "JPEG"),
        ("a_deblurred.jpg", "earlier_result", "JPEG"),
        ("c.psd", "not_read", "PSD"),
        ("d.MOV", "not_read", "video"),
        ("e.svg", "not_read", "SVG"),
    ]


@pytest.mark.parametrize("inputs", [["x", "x/a.psd"], ["x/a.psd", "x"], ["x/a.psd", "x/*"]])
def test_a_file_that_is_named_is_not_left_out(files, inputs):
    files("x/a.psd", "x/b.jpg")
    found = InputFinder().search(inputs)
    assert {one.path.name for one in found.photos} == {"a.psd", "b.jpg"}
    assert found.skipped == []


def test_a_folder_of_nothing_but_skipped_files_is_not_empty(files):
    files("x/a.psd")
    found = InputFinder().search("x")
    assert (found.photos, [one.kind for one in found.skipped]) == ([], ["PSD"])


def test_links_to_folders_are_listed_unless_they_are_named(files):
    files("x/a.jpg", "album/b.jpg")
    Path("x/album").symlink_to("../album")
    Path("x/.hidden").symlink_to("../album")
    found = InputFinder().search("x")
    assert [(one.path.as_posix(), one.reason, one.kind) for one in found.skipped] == [
        ("x/album", "folder_link", "folder")
    ]
    assert describe_skipped(found.skipped) == [
        "1 link to a folder, x/album, left out; give the folder itself to take its photos"
    ]
    found = InputFinder().search(["x", "x/album"])
    assert ([one.path.as_posix() for one in found.photos], found.skipped) == (["x/a.jpg", "x/album/b.jpg"], [])


def test_what_is_missing_or_no_file_is_said(files):
    files("a.jpg")
    Path("link.jpg").symlink_to("nowhere")
    os.mkfifo("pipe.jpg")
    assert search("a.jpg", "b.jpg", "link.jpg", "pipe.jpg") == {
        "a.jpg": "a.jpg",
        "b.jpg": "b.jpg: no such file or folder",
        "link.jpg": "link.jpg: a link to nothing",
        "pipe.jpg": "pipe.jpg: not a regular file",
    }


@pytest.mark.parametrize("name", ["x" * 5000 + ".jpg", "a\0b.jpg"])
def test_impossible_names(files, name):
    assert len(search(name, "b.jpg")) == 2


def test_links_to_folders_are_not_followed(files):
    files("x/a.jpg", "y/b.jpg")
    Path("x/loop").symlink_to("..")
    Path("x/y").symlink_to("../y")
    Path("x/c.jpg").symlink_to("../y/b.jpg")
    assert list(search("x")) == ["x/a.jpg", "x/c.jpg"]
    assert list(search("x/**/*.jpg")) == ["x/a.jpg", "x/c.jpg"]


def test_an_unreadable_folder_is_said_and_the_others_are_searched(files, monkeypatch):
    files("x/a.jpg", "x/locked/b.jpg", "x/z/c.jpg")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert search("x") == {
        "x/a.jpg": "a.jpg",
        "x/z/c.jpg": "z/c.jpg",
        "x/locked": "x/locked: cannot be read: permission denied",
    }
