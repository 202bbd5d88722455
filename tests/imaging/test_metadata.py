"""Profile, EXIF, XMP, IPTC, comments, resolution and orientation outlive the processing, byte for byte."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from fdikp.imaging import encode_photo, read_photo, write_photo

FORMATS = ("jpeg", "png", "tiff", "webp", "avif")
WITH_EXIF_BLOCK = ("jpeg", "png", "webp", "avif")  # in TIFF, EXIF is part of the file's own directories


def raw_exif(data: bytes) -> bytes | None:
    """The EXIF block as Pillow finds it in a file."""
    block = Image.open(io.BytesIO(data)).info.get("exif")
    return block and block.removeprefix(b"Exif\0\0")


def info(data: bytes) -> dict:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.info


def found_xmp(data: bytes) -> bytes | None:
    found = info(data).get("xmp") or info(data).get("XML:com.adobe.xmp")
    return found.encode() if isinstance(found, str) else found


def lossless_input(encode, format, pixels, **options):
    return encode(format, pixels, **options, **({"lossless": True} if format == "webp" else {}))


@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_comes_through_byte_for_byte(source, target, order, make_image, encode, exif_block):
    pixels = make_image(np.uint8, "RGB")
    size = pixels.shape[1::-1]
    block = exif_block(1, size, order=order)
    photo = read_photo(encode(source, pixels, exif=b"Exif\0\0" + block))
    data = encode_photo(photo, target)
    if target in WITH_EXIF_BLOCK:
        assert raw_exif(data) == exif_block(1, size, order=order, upright=True)
    else:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = file.pages[0].tags
            assert tags["Make"].value == "Café Ü"
            assert tags["ExifTag"].value["MakerNote"] == b"MAKER\0\xff\xfe" + bytes(range(60))
            assert tags["ExifTag"].value["PixelXDimension"] == size[0]
            assert tags["ExifTag"].value["ExposureTime"] == (1, 250)
            assert tags["Orientation"].value == 1
            np.testing.assert_array_equal(file.asarray(), photo.pixels)
    assert np.asarray(Image.open(io.BytesIO(data))).shape == pixels.shape


@pytest.mark.parametrize("lossless", [False, True])
def test_exif_in_webp_keeps_alpha(lossless, make_image, encode, exif_block):
    pixels = make_image(np.uint8, "RGBA")
    block = exif_block(1, pixels.shape[1::-1], upright=True)
    photo = read_photo(encode("webp", pixels, lossless=lossless, exact=True, exif=block))
    data = encode_photo(photo, "webp")
    assert data[12:16] == b"VP8X" and data[20] == 0x18  # alpha and EXIF
    image = Image.open(io.BytesIO(data))
    assert (image.mode, image.info["exif"]) == ("RGBA", block)
    np.testing.assert_array_equal(np.asarray(image)[..., 3], pixels[..., 3])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_keeps_descriptive_tags_exif_and_gps(bigtiff, byteorder, make_image):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x9C9B] = "A café", "Me", "Title".encode("utf-16-le")
    exif.get_ifd(0x8769).update({0x9003: "2020:02:03 04:05:06", 0x829A: (1, 250), 0x927C: b"note\xff\0\1"})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 30.0, 15.5)})
    if bigtiff or byteorder == ">":
        tifffile.imwrite(
            file,
            make_image(np.uint8, "RGB"),
            photometric="rgb",
            metadata=None,
            bigtiff=bigtiff,
            byteorder=byteorder,
            description="A cafe",
            extratags=[(315, "s", 0, "Me", True), (282, "2I", 1, (300, 1), True)],
        )
    else:
        Image.fromarray(make_image(np.uint8, "RGB")).save(file, "tiff", exif=exif.tobytes(), dpi=(300, 300))
    photo = read_photo(file.getvalue())
    data = encode_photo(photo, "tiff")
    result = Image.open(io.BytesIO(data)).getexif()
    assert result[0x013B] == "Me"
    if not bigtiff and byteorder == "<":
        assert result[0x9C9B] == "Title".encode("utf-16-le")
        assert dict(result.get_ifd(0x8769)) == dict(exif.get_ifd(0x8769))
        assert dict(result.get_ifd(0x8825)) == dict(exif.get_ifd(0x8825))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), make_image(np.uint8, "RGB"))
    # and as a block for other formats
    jpeg = Image.open(io.BytesIO(encode_photo(photo, "jpeg"))).getexif()
    assert jpeg[0x013B] == "Me"
    assert dict(jpeg.get_ifd(0x8825)) == (dict(exif.get_ifd(0x8825)) if not bigtiff and byteorder == "<" else {})
    if byteorder == "<":  # libvips writes this machine's
        assert read_photo(data).metadata.exif == photo.metadata.exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_orientation_is_applied_exactly_once(format, orientation, make_image, encode, exif_block, xmp):
    pixels = make_image(np.uint8, "RGB")
    block = exif_block(orientation, (7, 7))
    if format == "tiff":
        options = {
            "extratags": [(274, "H", 1, orientation, True), (700, "B", len(xmp(orientation)), xmp(orientation), True)]
        }
    else:
        options = {"exif": b"Exif\0\0" + block}
        if format != "png":
            options["xmp"] = xmp(orientation)
    data = lossless_input(encode, format, pixels, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, expected)
    size = expected.shape[1::-1]
    for target in FORMATS:
        result = encode_photo(photo, target)
        image = Image.open(io.BytesIO(result))
        assert image.getexif().get(0x0112, 1) == 1  # Pillow looks in XMP, too
        assert image.size == size
        assert image.tobytes() == ImageOps.exif_transpose(image).tobytes()
        if format != "png":
            assert found_xmp(result) == xmp(1)
        if format != "tiff" and target in WITH_EXIF_BLOCK:
            assert raw_exif(result) == exif_block(1, size, upright=True)


@pytest.mark.parametrize(("kind", "value"), [(1, b"\6\0\0\0"), (4, b"\6\0\0\0"), (3, b"\x09\0\0\0")])
def test_odd_orientations_are_never_applied_twice(kind, value, make_image, encode):
    """As a byte or a long, or of a number that stands for nothing: what the result says fits its pixels."""
    block = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHI", 0x0112, kind, 1) + value + bytes(4)
    data = encode("jpeg", make_image(np.uint8, "RGB"), exif=b"Exif\0\0" + block, dpi=(300, 150))
    photo = read_photo(data)
    result = read_photo(encode_photo(photo, "png"))
    np.testing.assert_array_equal(result.pixels, photo.pixels)
    assert (photo.metadata.dpi[0] > 200) == (photo.width > photo.height)


def test_avif_turned_by_its_own_transform_is_not_turned_again(make_image, encode, exif_block, xmp):
    pixels = make_image(np.uint8, "RGB")
    for orientation in range(1, 9):
        data = encode(
            "avif", pixels, exif=b"Exif\0\0" + exif_block(orientation, (7, 7)), xmp=xmp(orientation), quality=95
        )
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))).astype(float)
        photo = read_photo(data)
        assert photo.pixels.shape == expected.shape
        assert np.abs(photo.pixels - expected).mean() < 4  # decoders differ in how they enlarge chroma
        result = Image.open(io.BytesIO(encode_photo(photo, "jpeg")))
        assert result.getexif().get(0x0112, 1) == 1
        assert result.size == photo.pixels.shape[1::-1]


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_icc_and_xmp_bytes_are_the_same_and_colours_untouched(source, target, make_image, encode, icc, xmp):
    pixels = make_image(np.uint8, "RGB")
    if source == "tiff":
        options = {"iccprofile": icc, "extratags": [(700, "B", len(xmp(1)), xmp(1), True)]}
    else:
        options = {"icc_profile": icc} | ({} if source == "png" else {"xmp": xmp(1)})
    photo = read_photo(lossless_input(encode, source, pixels, **options))
    if source in ("png", "tiff", "webp"):
        np.testing.assert_array_equal(photo.pixels, pixels)
    result = encode_photo(photo, target)
    assert info(result)["icc_profile"] == icc
    if source != "png":
        assert found_xmp(result) == xmp(1)
    if target in ("png", "tiff"):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result))), photo.pixels)


def test_xmp_of_a_png_stands_there_once(make_image, encode, xmp, png_chunk, png_chunks):
    chunk = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(1))
    photo = read_photo(encode("png", make_image(np.uint8, "RGB"), extra=png_chunk(*chunk)))
    result = png_chunks(encode_photo(photo, "png"))
    assert [each for each in result if each[0] == b"iTXt"] == [chunk]


def test_sixteen_bit_and_grey_profiles(make_image, encode, icc, grey_icc, tmp_path):
    for profile, kind in ((icc, "RGB"), (grey_icc, "L")):
        photo = read_photo(encode("tiff", make_image(np.uint16, kind), iccprofile=profile))
        assert photo.notes == ()
        np.testing.assert_array_equal(photo.pixels, make_image(np.uint16, kind))
        for format in ("jpeg", "png", "tiff"):
            assert info(encode_photo(photo, format))["icc_profile"] == profile
    notes = write_photo(photo, tmp_path / "grey.webp")
    assert any("profile" in note for note in notes)


def test_false_profiles_are_left_out_and_reported(make_image, encode, icc):
    for profile, kind in ((b"junk" * 100, "RGB"), (icc, "L")):
        photo = read_photo(encode("jpeg", make_image(np.uint8, kind), icc_profile=profile))
        assert "profile" in photo.notes[0]
        assert photo.metadata.icc is None


def test_iptc_and_photoshop_resources(make_image, encode, tmp_path):
    pixels = make_image(np.uint8, "RGB")
    records = b"\x1c\x02\x05\0\x05Title"
    resources = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    plain = encode("jpeg", pixels)
    body = b"Photoshop 3.0\0" + resources
    jpeg = plain[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(body)) + body + plain[2:]
    tiff = encode("tiff", pixels, extratags=[(33723, "B", len(records), records, True)])
    other = b"8BIM\x04\x0a\0\0" + struct.pack(">I", 4) + b"rest"
    tags = [(33723, "B", len(records), records, True), (34377, "B", len(other), other, True)]
    both = encode("tiff", pixels, extratags=tags)
    assert info(encode_photo(read_photo(both), "jpeg"))["photoshop"] == {0x0404: records, 0x040A: b"rest"}
    for data in (jpeg, tiff):
        photo = read_photo(data)
        assert info(encode_photo(photo, "jpeg"))["photoshop"] == {0x0404: records}
        again = read_photo(encode_photo(photo, "tiff"))
        assert again.metadata.photoshop == photo.metadata.photoshop
        assert again.metadata.iptc == photo.metadata.iptc
        assert "IPTC" in write_photo(photo, tmp_path / "a.png")[0]
        assert "photoshop" not in info(encode_photo(photo, "jpeg", strip=True))


@pytest.mark.parametrize("format", FORMATS)
def test_strip_leaves_the_profile_only(format, make_image, encode, icc, exif_block, xmp):
    options = {"exif": b"Exif\0\0" + exif_block(1, (7, 7)), "xmp": xmp(1), "icc_profile": icc, "comment": b"hello"}
    photo = read_photo(encode("jpeg", make_image(np.uint8, "RGB"), **options))
    for strip in (False, True):
        result = encode_photo(photo, format, strip=strip)
        assert info(result)["icc_profile"] == icc
        assert (found_xmp(result) is None) == strip
        assert (b"MAKER" in result) != strip
        if format == "jpeg":
            assert ("comment" in info(result)) != strip


def test_jpeg_comment_and_png_text_and_colour_chunks(make_image, encode, png_chunk, png_chunks):
    pixels = make_image(np.uint16, "RGB")
    assert (
        info(encode_photo(read_photo(encode("jpeg", pixels.astype(np.uint8), comment=b"hi")), "jpeg"))["comment"]
        == b"hi"
    )
    kept = [
        (b"gAMA", struct.pack(">I", 100000)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        (b"tEXt", b"Author\0Me"),
        (b"iTXt", b"Title\0\0\0de\0\0" + "Größe".encode()),
    ]
    damaged = png_chunk(b"tEXt", b"a\0b")[:-1] + b"?"
    photo = read_photo(encode("png", pixels, extra=b"".join(png_chunk(*each) for each in kept) + damaged))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert [
        each for each in png_chunks(encode_photo(photo, "png")) if each[0] not in (b"IHDR", b"IEND", b"pHYs")
    ] == kept
    stripped = png_chunks(encode_photo(photo, "png", strip=True))
    assert [each for each in stripped if each[0] not in (b"IHDR", b"IEND", b"pHYs")] == kept[:2]


@pytest.mark.parametrize("source", ["jpeg", "png", "tiff"])
@pytest.mark.parametrize("target", ["jpeg", "png", "tiff"])
def test_resolution(source, target, make_image):
    file = io.BytesIO()
    Image.fromarray(make_image(np.uint8, "RGB")).save(file, source, dpi=(300, 150))
    result = info(encode_photo(read_photo(file.getvalue()), target))["dpi"]
    assert [float(each) for each in result] == pytest.approx([300, 150], rel=1e-4)


def test_resolution_turns_with_the_image(make_image, encode, exif_block):
    data = encode("jpeg", make_image(np.uint8, "RGB"), exif=b"Exif\0\0" + exif_block(6, (7, 7)), dpi=(300, 150))
    assert read_photo(data).metadata.dpi == pytest.approx((150, 300))


@pytest.mark.parametrize("damage", [b"junk", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
def test_damaged_exif_is_left_out_and_reported(damage, make_image, encode):
    photo = read_photo(encode("jpeg", make_image(np.uint8, "RGB"), exif=b"Exif\0\0" + damage))
    assert photo.metadata.exif is None
    assert "EXIF" in photo.notes[0]


def test_metadata_too_long_for_jpeg_is_left_out_and_reported(make_image, encode, exif_block, tmp_path):
    block = exif_block(1, make_image(np.uint8, "RGB").shape[1::-1], upright=True) + bytes(70_000)
    long_xmp = b"<x:xmpmeta/>" + b" " * 70_000
    photo = read_photo(encode("webp", make_image(np.uint8, "RGB"), exif=block, xmp=long_xmp))
    notes = write_photo(photo, tmp_path / "a.jpg")
    assert [note.split()[0] for note in notes] == ["EXIF", "XMP"]
    assert raw_exif(encode_photo(photo, "png")) == block
    assert found_xmp(encode_photo(photo, "avif")) == long_xmp
