from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdikp.errors import PhotoNotFoundError
from fdikp.jobs.discover import InputPath
from fdikp.jobs.plan import OutputNaming, plan_jobs
from fdikp.jobs.request import DeblurRequest, DeblurResult


def naming(format: str | None = None, **options) -> OutputNaming:
    return OutputNaming(**{"suffix": "", "format": format, **options})


def found(path: str, place: str = "") -> InputPath:
    return InputPath(Path(path), Path(place or Path(path).name), named=not place)


@pytest.mark.parametrize(
    ("one", "how", "output"),
    [
        (found("x/a.jpg"), naming(suffix="_deblurred"), "x/a_deblurred.jpg"),
        (found("x/a.JPG"), naming(suffix="_deblurred"), "x/a_deblurred.JPG"),
        (found("x/a.jpg"), naming(folder=Path("out")), "out/a.jpg"),
        (found("x/y/a.jpg", "y/a.jpg"), naming(folder=Path("out")), "out/y/a.jpg"),
        (found("x/a.jpg"), naming(folder=Path("out"), suffix="-sharp"), "out/a-sharp.jpg"),
        (found("x/a.dng"), naming(suffix="_deblurred"), "x/a_deblurred.tif"),
        (found("x/a.gif"), naming(suffix="_deblurred"), "x/a_deblurred.png"),
        (found("x/a.heic"), naming(suffix="_deblurred"), "x/a_deblurred.jpg"),
        (found("a.b.jpg"), naming("png", folder=Path("out")), "out/a.b.png"),
        (found("a.JPEG"), naming("jpeg", folder=Path("out")), "out/a.JPEG"),
        (found("scan"), naming(suffix="_deblurred"), "scan_deblurred.jpg"),
        (found("scan.2024"), naming(suffix="_deblurred"), "scan.2024_deblurred.jpg"),
        (found("x/a.jpg"), naming(file=Path("y/sharp.png")), "y/sharp.png"),
    ],
)
def test_names(one, how, output):
    (request,) = plan_jobs([one], how)
    assert isinstance(request, DeblurRequest)
    assert request.output == Path(output)


def test_a_photo_whose_name_has_no_extension_is_named_after_its_first_bytes(tmp_path):
    (tmp_path / "scan").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    (request,) = plan_jobs([found(str(tmp_path / "scan"))], naming(suffix="-2"))
    assert request.output == tmp_path / "scan-2.png"


def test_side_images_are_named_after_the_photo_or_the_chosen_name():
    (request,) = plan_jobs([found("x/a.jpg")], naming(suffix="_deblurred", blur_map=True, compare=True))
    assert (request.blur_map, request.compare) == (Path("x/a_blurmap.png"), Path("x/a_compare.jpg"))
    (request,) = plan_jobs([found("x/a.jpg")], naming(file=Path("y/sharp.png"), compare=True))
    assert (request.blur_map, request.compare) == (None, Path("y/sharp_compare.jpg"))


SIDES = {"blur_map": True, "blur_map_figure": True, "confidence_map": True, "compare": True}


@pytest.mark.parametrize(
    ("how", "preview", "names"),
    [
        ({}, None, ["x/a_blurmap.png", "x/a_blurmap_figure.png", "x/a_confidence.png", "x/a_compare.jpg"]),
        (
            {"folder": Path("out")},
            800,
            [
                "out/a_preview_blurmap.png",
                "out/a_preview_blurmap_figure.png",
                "out/a_preview_confidence.png",
                "out/a_preview_compare.jpg",
            ],
        ),
        (
            {"file": Path("b.png")},
            800,
            ["b_blurmap.png", "b_blurmap_figure.png", "b_confidence.png", "b_compare.jpg"],
        ),
    ],
)
def test_names_of_all_side_images(how, preview, names):
    settings = DeblurRequest(Path(), preview=preview)
    (request,) = plan_jobs([found("x/a.jpg")], naming(suffix="_x", **how, **SIDES), settings)
    assert [path.as_posix() for path in request.side_images] == names
    assert request.outputs == (*request.side_images, request.output)


def test_side_images_of_two_photos_collide_too():
    photos = [found("a.jpg"), found("a.png")]
    for side in SIDES:
        results = plan_jobs(photos, naming(suffix="_x", **{side: True}))
        assert [result.code for result in results] == ["output_collision"] * 2


def test_settings_reach_every_request():
    settings = DeblurRequest(Path(), strength=0.5, quality=80, strip=True, existing="skip", max_pixels=9)
    settings = replace(settings, regions=("1,2,3,4",), min_blur=1, max_blur=2, preview=9)
    for request in plan_jobs([found("a.jpg"), found("b.png")], naming(suffix="_x"), settings):
        kept = (request.strength, request.quality, request.strip, request.existing, request.max_pixels)
        assert kept == (0.5, 80, True, "skip", 9)
        assert (request.regions, request.min_blur, request.max_blur, request.preview) == (("1,2,3,4",), 1, 2, 9)


def test_only_a_guessed_extension_may_be_adapted():
    guessed = plan_jobs([found("a.jpg")], naming(suffix="_x"))
    chosen = plan_jobs([found("a.jpg")], naming("png")) + plan_jobs([found("a.jpg")], naming(file=Path("b.png")))
    assert [request.adapt_extension for request in guessed + chosen] == [True, False, False]


@pytest.mark.parametrize(
    ("photos", "how"),
    [
        ([found("a.jpg"), found("a.png")], naming("png", suffix="_deblurred")),
        ([found("a.jpg"), found("a.png")], naming("png", folder=Path("out"))),
        ([found("x/h/a.jpg", "h/a.jpg"), found("y/h/a.jpg", "h/a.jpg")], naming(folder=Path("out"))),
        ([found("a.jpg"), found("a.png")], naming(folder=Path("out"), compare=True)),
        ([found("a_deblurred.png"), found("a_deblurred.jpg")], naming("png", suffix="")),
        ([found("a.jpg"), found("x/../a.png")], naming("tiff", suffix="_deblurred")),
    ],
)
def test_requests_that_would_write_one_file_both_fail(photos, how):
    results = plan_jobs(photos, how)
    for result, other in zip(results, reversed(results), strict=True):
        assert isinstance(result, DeblurResult)
        assert (result.status, result.code) == ("failed", "output_collision")
        assert str(result.input) in result.error
        assert str(other.input) in result.error
        assert "\n" not in result.error


def test_a_result_never_replaces_another_photo():
    result, request = plan_jobs([found("a.jpg"), found("a_deblurred.jpg")], naming(suffix="_deblurred"))
    assert "a_deblurred.jpg is an input too" in result.error
    assert result.code == "output_is_input"
    assert isinstance(request, DeblurRequest)


def test_an_input_that_cannot_be_used_collides_with_nothing():
    error = PhotoNotFoundError("a.png: no such file or folder")
    missing = InputPath(Path("a.png"), Path("a.png"), named=True, error=error)
    request, result = plan_jobs([found("a.jpg"), missing], naming("png", suffix="_deblurred"))
    assert isinstance(request, DeblurRequest)
    assert (result.error, result.code) == ("a.png: no such file or folder", "photo_not_found")


PHOTOS = (".jpg", ".png", ".tif", ".dng")
names = st.sampled_from(["a", "b", "a_deblurred", "a_blurmap", "a_compare", "a_confidence", "a_blurmap_figure"])
photos = st.builds(
    lambda folder, name, extension: found(f"{folder}/{name}{extension}", f"{folder}/{name}{extension}"),
    st.sampled_from(["x", "y", "x/y", "out"]),
    names,
    st.sampled_from(["", *PHOTOS]),
)


@given(
    st.lists(photos, unique_by=lambda one: one.path, max_size=8),
    st.sampled_from([None, "png", "jpeg"]),
    st.sampled_from(["", "_deblurred", "_blurmap"]),
    st.sampled_from([None, Path("out"), Path("x")]),
    st.booleans(),
)
def test_no_two_requests_write_one_file_and_none_writes_over_anothers_photo(found, format, suffix, folder, sides):
    planned = plan_jobs(found, naming(format, suffix=suffix, folder=folder, **dict.fromkeys(SIDES, sides)))
    sources = [one.source if isinstance(one, DeblurRequest) else one.input for one in planned]
    assert sources == [one.path for one in found]
    requests = [one for one in planned if isinstance(one, DeblurRequest)]
    written = Counter(path for request in requests for path in request.outputs)
    assert all(count == 1 for count in written.values())
    for request in requests:
        assert not {source for source in sources if source != request.source} & set(request.outputs)
