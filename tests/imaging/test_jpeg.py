"""A JPEG comes back at least as good as it was: quantisation tables, chroma subsampling, progressive scans."""

import io

import numpy as np
import pytest
import pyvips
from PIL import Image

from fdikp.imaging import Photo, encode_photo, read_photo
from fdikp.imaging.jpeg import JpegCoding, ijg_table, read_coding


def by_pillow(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "jpeg", **options)
    return file.getvalue()


def by_vips(pixels, **options):
    return pyvips.Image.new_from_array(pixels).jpegsave_buffer(**options)


def tables(data):
    """Pillow's view of the tables: by number, 64 entries row by row."""
    return Image.open(io.BytesIO(data)).quantization


def no_coarser(ours, theirs):
    return all(a <= b for number in theirs for a, b in zip(ours[number], theirs[number], strict=True))


@pytest.mark.parametrize("quality", range(1, 101))
def test_quality_is_recognised_and_never_lowered(quality, make_image):
    pixels = make_image(np.uint8, "RGB")
    for data in (by_pillow(pixels, quality=quality), by_vips(pixels, Q=quality)):
        photo = read_photo(data)
        assert abs(photo.metadata.jpeg.quality - quality) <= 1
        assert no_coarser(tables(encode_photo(photo, "jpeg")), tables(data))


def test_tables_are_read_as_pillow_reads_them(make_image):
    rng = np.random.default_rng(2)
    odd = [rng.integers(1, 256, 64).tolist() for _ in range(2)]
    data = by_pillow(make_image(np.uint8, "RGB"), qtables=odd)
    coding = read_coding(io.BytesIO(data))
    assert [list(table) for table in coding.tables] == [list(tables(data)[number]) for number in (0, 1, 1)]
    assert no_coarser(tables(encode_photo(read_photo(data), "jpeg")), tables(data))


def test_sixteen_bit_tables_are_read():
    table = bytes([0x10]) + b"".join((1000 + i).to_bytes(2, "big") for i in range(64))
    frame = bytes([8, 0, 8, 0, 8, 1, 1, 0x11, 0])
    data = b"\xff\xd8" + b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in ((0xDB, table), (0xC1, frame), (0xDA, b"\1\1\0\0\x3f\0"))
    )
    coding = read_coding(io.BytesIO(data))
    assert sorted(coding.tables[0]) == [1000 + i for i in range(64)]
    assert coding.tables[0][:3] == (1000, 1001, 1005)  # zigzag undone
    assert coding.quality == 1


def test_ijg_table_is_pillows():
    for quality in range(1, 101):
        found = tables(by_pillow(np.zeros((8, 8, 3), np.uint8), quality=quality))
        assert [list(ijg_table(quality, chroma)) for chroma in (False, True)] == [list(found[0]), list(found[1])]


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_subsampling_and_scans(subsampling, progressive, make_image):
    data = by_pillow(make_image(np.uint8, "RGB"), subsampling=subsampling, progressive=progressive, quality=80)
    photo = read_photo(data)
    result = Image.open(io.BytesIO(encode_photo(photo, "jpeg")))
    sampling = [layer[1:3] for layer in result.layer]
    # 4:2:0 stays; 4:2:2 has no equal in libvips, and becomes 4:4:4
    assert sampling == ([(2, 2), (1, 1), (1, 1)] if subsampling == 2 else [(1, 1)] * 3)
    assert bool(result.info.get("progressive")) == progressive
    assert photo.metadata.jpeg.progressive == progressive


def test_quality_overrides_and_other_sources_get_95_with_full_chroma(make_image):
    pixels = make_image(np.uint8, "RGB")
    for photo in (Photo(pixels), read_photo(by_pillow(pixels, quality=70))):
        assert read_photo(encode_photo(photo, "jpeg", quality=33)).metadata.jpeg.quality == 33
    coding = read_photo(encode_photo(Photo(pixels), "jpeg")).metadata.jpeg
    assert coding.quality == 95
    assert coding.sampling == ((1, 1),) * 3
    assert not coding.chroma_halved


def test_grey_jpeg_stays_grey(make_image):
    photo = read_photo(by_pillow(make_image(np.uint8, "L"), quality=60))
    result = Image.open(io.BytesIO(encode_photo(photo, "jpeg")))
    assert result.mode == "L"
    assert photo.metadata.jpeg.quality == 60


def test_nonsense_markers_are_no_coding():
    for data in (
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xda",
        b"\xff\xd8\xff\xdb",
    ):
        assert read_coding(io.BytesIO(data)) is None


def test_tables_worse_than_any_quality_count_as_one():
    assert JpegCoding(((255,) * 64,), ((1, 1),), False).quality == 1
    assert JpegCoding(((1,) * 64,), ((1, 1),), False).quality == 100
