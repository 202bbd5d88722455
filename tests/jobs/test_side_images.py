"""Maps of the blur radius as files: units, limits, text."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import read_photo
from fdikp.jobs import DeblurRequest, run
from fdikp.jobs.side_images import write_blur_map, write_confidence_map


def test_a_blur_map_has_16_bits_and_states_its_unit(tmp_path: Path) -> None:
    radius = np.array([[0.0, 1.0, 2.5], [0.001, 255.0, 255.996]], np.float32)
    write_blur_map(radius, tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "I;16"
        texts = image.text
        samples = np.asarray(image)
    np.testing.assert_array_equal(samples, [[0, 256, 640], [0, 65280, 65535]])
    assert texts["Unit"] == "1/256 pixel"
    assert "sample / 256" in texts["Description"]
    assert np.abs(samples / 256 - radius).max() <= 0.5 / 256


@pytest.mark.parametrize(("radius", "sample"), [(256.0, 65535), (1e9, 65535), (np.inf, 65535), (-1.0, 0)])
def test_radii_beyond_the_range_saturate(tmp_path: Path, radius: float, sample: int) -> None:
    write_blur_map(np.full((2, 3), radius, np.float32), tmp_path / "map.png")
    assert (np.asarray(Image.open(tmp_path / "map.png")) == sample).all()


def test_a_confidence_map_has_8_bits(tmp_path: Path) -> None:
    write_confidence_map(np.array([[0.0, 0.5, 1.0]], np.float32), tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "L" and "255 is certain" in image.text["Description"]
        assert np.asarray(image).tolist() == [[0, 128, 255]]


def test_every_side_image_of_a_job(engine, photo_file, tmp_path, files):
    names = {"blur_map": "b.png", "blur_map_figure": "f.png", "confidence_map": "c.png", "compare": "c.jpg"}
    request = DeblurRequest(photo_file(), **{field: tmp_path / name for field, name in names.items()})
    result = run(request, engine)
    assert result.status == "ok", result.error
    assert files() == sorted([*names.values(), "a.png", "a_deblurred.png"])
    assert all(getattr(result, field) == tmp_path / name for field, name in names.items())
    radius = np.asarray(Image.open(tmp_path / "b.png"))
    np.testing.assert_array_equal(radius, np.tile(np.arange(30) * 256, (20, 1)))  # the engine's radius is the column
    assert (np.asarray(Image.open(tmp_path / "c.png")) == 128).all()
    assert read_photo(tmp_path / "f.png").pixels.shape[2] == 3


@pytest.mark.parametrize("field", ["blur_map", "blur_map_figure", "confidence_map", "compare"])
class TestExistingFiles:
    """What happens to a file that has the name of a side image."""

    @pytest.fixture
    def request_of(self, photo_file, tmp_path, field):
        def request_of(**options) -> DeblurRequest:
            (tmp_path / "side.png").write_text("mine")
            return DeblurRequest(photo_file(), tmp_path / "out.png", **{field: tmp_path / "side.png"}, **options)

        return request_of

    def test_it_is_not_replaced_unless_that_is_asked_for(self, engine, request_of, tmp_path, files):
        result = run(request_of(), engine)
        assert result.code == "output_exists" and "side.png exists" in result.error
        assert (tmp_path / "side.png").read_text() == "mine" and files() == ["a.png", "side.png"]
        assert run(request_of(existing="replace"), engine).status == "ok"
        assert (tmp_path / "side.png").read_bytes() != b"mine"

    def test_one_without_a_result_is_of_a_run_that_was_stopped(self, engine, request_of, tmp_path):
        assert run(request_of(existing="skip"), engine).status == "ok"
        assert (tmp_path / "side.png").read_bytes() != b"mine"

    def test_a_photo_that_is_skipped_names_what_is_missing(self, engine, request_of, tmp_path):
        request = request_of(existing="skip")
        (tmp_path / "side.png").unlink()
        (tmp_path / "out.png").write_text("mine")
        result = run(request, engine)
        assert result.status == "skipped"
        assert result.notes[0].startswith("side.png would be written only together with the result")

    def test_it_may_not_be_the_photo(self, engine, photo_file, field):
        source = photo_file()
        result = run(DeblurRequest(source, **{field: source}, existing="replace"), engine)
        assert result.code == "output_is_input"

    def test_it_goes_if_the_result_fails(self, engine, photo_file, tmp_path, field, files):
        source = photo_file("wide.png", (1, 16384))  # does not fit into WebP
        request = DeblurRequest(source, tmp_path / "out.webp", **{field: tmp_path / "side.png"})
        assert run(request, engine).code == "output_unwritable"
        assert files() == ["wide.png"]
