from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdikp.cli.find import Found
from fdikp.cli.plan import Naming, plan

PHOTOS = (".jpg", ".png", ".tif", ".dng")


def is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTOS


def naming(extension: str = "", **options) -> Naming:
    def chosen(path: Path) -> str:
        return extension or (path.suffix if is_photo(path) else ".jpg")

    return Naming(chosen, is_photo, **{"suffix": "", **options})


def found(path: str, place: str = "") -> Found:
    return Found(Path(path), Path(place or Path(path).name), named=not place)


@pytest.mark.parametrize(
    ("one", "how", "output"),
    [
        (found("x/a.jpg"), naming(suffix="_deblurred"), "x/a_deblurred.jpg"),
        (found("x/a.JPG"), naming(suffix="_deblurred"), "x/a_deblurred.JPG"),
        (found("x/a.jpg"), naming(folder=Path("out")), "out/a.jpg"),
        (found("x/y/a.jpg", "y/a.jpg"), naming(folder=Path("out")), "out/y/a.jpg"),
        (found("x/a.jpg"), naming(folder=Path("out"), suffix="-sharp"), "out/a-sharp.jpg"),
        (found("x/a.dng"), naming(".tif", suffix="_deblurred"), "x/a_deblurred.tif"),
        (found("a.b.jpg"), naming(".png", folder=Path("out")), "out/a.b.png"),
        (found("scan"), naming(suffix="_deblurred"), "scan_deblurred.jpg"),
        (found("scan.2024"), naming(suffix="_deblurred"), "scan.2024_deblurred.jpg"),
        (found("x/a.jpg"), naming(file=Path("y/sharp.png")), "y/sharp.png"),
    ],
)
def test_names(one, how, output):
    (job,) = plan([one], how)
    assert job.output == Path(output)
    assert not job.error


def test_side_pictures_are_named_after_the_photograph_or_the_chosen_name():
    (job,) = plan([found("x/a.jpg")], naming(suffix="_deblurred", blur_map=True, compare=True))
    assert (job.blur_map, job.compare) == (Path("x/a_blurmap.png"), Path("x/a_compare.jpg"))
    (job,) = plan([found("x/a.jpg")], naming(file=Path("y/sharp.png"), compare=True))
    assert (job.blur_map, job.compare) == (None, Path("y/sharp_compare.jpg"))


@pytest.mark.parametrize(
    ("photos", "how"),
    [
        ([found("a.jpg"), found("a.png")], naming(".png", suffix="_deblurred")),
        ([found("a.jpg"), found("a.png")], naming(".png", folder=Path("out"))),
        ([found("x/h/a.jpg", "h/a.jpg"), found("y/h/a.jpg", "h/a.jpg")], naming(folder=Path("out"))),
        ([found("a.jpg"), found("a.png")], naming(folder=Path("out"), compare=True)),
        ([found("a_deblurred.png"), found("a_deblurred.jpg")], naming(".png", suffix="")),
        ([found("a.jpg"), found("x/../a.png")], naming(".tif", suffix="_deblurred")),
    ],
)
def test_jobs_that_would_write_one_file_fail_both(photos, how):
    jobs = plan(photos, how)
    for job, other in zip(jobs, reversed(jobs), strict=True):
        assert str(job.source) in job.error
        assert str(other.source) in job.error
        assert "\n" not in job.error


def test_a_result_never_replaces_another_photograph():
    jobs = plan([found("a.jpg"), found("a_deblurred.jpg")], naming(suffix="_deblurred"))
    assert "a_deblurred.jpg is an input too" in jobs[0].error
    assert not jobs[1].error


def test_what_cannot_be_used_stands_in_nobodys_way():
    missing = Found(Path("a.png"), Path("a.png"), named=True, error="a.png: no such file or folder")
    jobs = plan([found("a.jpg"), missing], naming(".png", suffix="_deblurred"))
    assert [job.error for job in jobs] == ["", "a.png: no such file or folder"]


names = st.sampled_from(["a", "b", "a_deblurred", "a_blurmap", "a_compare"])
photos = st.builds(
    lambda folder, name, extension: found(f"{folder}/{name}{extension}", f"{folder}/{name}{extension}"),
    st.sampled_from(["x", "y", "x/y", "out"]),
    names,
    st.sampled_from(["", *PHOTOS]),
)


@given(
    st.lists(photos, unique_by=lambda one: one.path, max_size=8),
    st.sampled_from(["", ".png", ".jpg"]),
    st.sampled_from(["", "_deblurred", "_blurmap"]),
    st.sampled_from([None, Path("out"), Path("x")]),
    st.booleans(),
)
def test_no_two_jobs_write_one_file_and_none_writes_over_anothers_photograph(found, extension, suffix, folder, sides):
    jobs = plan(found, naming(extension, suffix=suffix, folder=folder, blur_map=sides, compare=sides))
    assert [job.source for job in jobs] == [one.path for one in found]
    running = [job for job in jobs if not job.error]
    written = Counter(path for job in running for path in job.outputs)
    assert all(count == 1 for count in written.values())
    for job in running:
        assert not {other.source for other in jobs if other is not job} & set(job.outputs)
