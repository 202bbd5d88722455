"""What is not a sound photo is refused in one line, quickly, and without a word on the terminal."""

import io
import os
import stat
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fdikp.errors import PhotoError
from fdikp.imaging import encode_photo, output_format, read_photo
from fdikp.imaging.formats import readable
from fdikp.imaging.ifd import IfdReader

FORMATS = (
    "jpeg",
    "progressive",
    "png",
    "interlaced",
    "tiff",
    "deflate",
    "lzw",
    "webp",
    "lossless",
    "avif",
    "gif",
    "bmp",
)
FORMATS += ("heic", "heic10") * readable("heic")
FORMATS += ("jxl", "jxl16", "jxl from jpeg") * readable("jxl")


def refused(source, **options):
    """The message of the refusal, which must be one line."""
    with pytest.raises(PhotoError) as caught:
        read_photo(source, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400 + len(str(source)[:300])
    return message


@pytest.fixture(scope="module")
def sound(scene):
    """One sound file of each kind, of an image large enough that its pixels outweigh its headers."""
    image = Image.fromarray(np.tile((scene[..., :3] >> 8).astype(np.uint8), (2, 2, 1)))
    files = {}
    for name, format, options in (
        ("jpeg", "jpeg", {"quality": 90}),
        ("progressive", "jpeg", {"quality": 90, "progressive": True}),
        ("png", "png", {}),
        ("tiff", "tiff", {}),
        ("deflate", "tiff", {"compression": "tiff_adobe_deflate"}),
        ("lzw", "tiff", {"compression": "tiff_lzw"}),
        ("webp", "webp", {}),
        ("lossless", "webp", {"lossless": True}),
        ("avif", "avif", {}),
        ("gif", "gif", {}),
        ("bmp", "bmp", {}),
    ):
        file = io.BytesIO()
        image.save(file, format, **options)
        files[name] = file.getvalue()
    from pyvips import Image as Vips

    sixteen = (np.asarray(image).astype(np.uint16) * 257).tobytes()
    if readable("heic"):
        import pillow_heif

        for name, mode, body in (("heic", "RGB", image.tobytes()), ("heic10", "RGB;16", sixteen)):
            file = io.BytesIO()
            pillow_heif.encode(mode, image.size, body, file, quality=80)
            files[name] = file.getvalue()
    if readable("jxl"):
        import imagecodecs
        import pylibjxl

        files["jxl"] = pylibjxl.encode(np.asarray(image))
        files["jxl16"] = imagecodecs.jpegxl_encode(np.frombuffer(sixteen, np.uint16).reshape(np.asarray(image).shape))
        files["jxl from jpeg"] = pylibjxl.jpeg_to_jxl(files["jpeg"])
    files["interlaced"] = Vips.new_from_array(np.asarray(image)).pngsave_buffer(interlace=True)
    return files


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("left", [0.02, 0.1, 0.5, 0.9, 0.98])
def test_truncated_files_are_refused(kind, left, sound, tmp_path):
    data = sound[kind]
    read_photo(data)
    cut = data[: int(len(data) * left)]
    assert "copy" in refused(cut) or "give" in refused(cut)
    (tmp_path / "cut").write_bytes(cut)
    assert refused(tmp_path / "cut").startswith(str(tmp_path / "cut"))


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("gif", "interlaced")])
def test_the_last_pixels_missing_are_noticed(kind, sound):
    refused(sound[kind][:-16])


@pytest.mark.parametrize("kind", ["png", "interlaced"])
def test_wrong_checksums_are_refused(kind, sound):
    data = bytearray(sound[kind])
    middle = len(data) // 2
    data[middle] ^= 0x10
    assert "damaged" in refused(bytes(data))


def test_wrong_header_checksum_is_refused(sound):
    data = bytearray(sound["png"])
    data[29] ^= 1
    refused(bytes(data))


def test_tiff_strip_that_makes_no_sense_is_refused(sound):
    """libtiff does not look at the checksums of deflate, so there some damage passes; LZW has none to look at."""
    data = sound["lzw"]
    middle = len(data) // 2
    refused(data[:middle] + bytes(400) + data[middle + 400 :])


@pytest.mark.parametrize("kind", ["jpeg", "progressive"])
def test_jpeg_broken_in_the_middle_is_refused(kind, sound):
    """No checksum guards a JPEG, but a run of zeros or a lost stretch is not Huffman code that ends well."""
    data = sound[kind]
    middle = len(data) // 2
    for broken in (data[:middle] + bytes(400) + data[middle + 400 :], data[:middle] + data[middle + 2000 :]):
        assert "damaged" in refused(broken)


def test_what_is_no_photo_is_refused_before_decoding(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    others = {
        "text": b"hello, world\n" * 20,
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.png"/></svg>',
        "xml": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "matrix": b"2 2\n1 2\n3 4\n",
        "csv": b"1,2,3\n4,5,6\n",
        "ppm": b"P6 2 2 255\n" + bytes(12),
        "vips": b"\xb6\xa6\xf2\x08" + bytes(100),
        "bmp": b"BM" + bytes(100),
        "letter": b"BM wrote on Monday that the photos of the holiday had arrived in one piece.",
        "fits": b"SIMPLE  =                    T",
        "zip": b"PK\3\4" + bytes(100),
        "hdr": b"#?RADIANCE\n",
        "random": np.random.default_rng(3).bytes(1000),
        "wave": b"RIFF\x24\0\0\0WAVE" + bytes(100),
        "video": b"\0\0\0\x18ftypisom" + bytes(100),
    }
    for name, data in others.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(data)
        assert "is named .jpg, but its content is not a photo" in refused(path)
        assert "is not a photo" in refused(data)
    assert "is empty" in refused(b"")


def test_formats_without_a_decoder_say_what_to_do():
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    for data in (heic, b"\xff\x0a" + bytes(64), b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64)):
        assert any(advice in refused(data) for advice in ("convert it to", "copy", "install the"))


@pytest.mark.parametrize("name", ["missing.jpg", "", "a\0b.jpg", "a\nb.jpg", "x" * 300, "."])
def test_names_that_are_no_files(name, tmp_path):
    refused(name if name == "" else str(tmp_path / name))


def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero", tmp_path):
        assert "not a file" in refused(path)


def test_unreadable_file(tmp_path, monkeypatch, sound):
    path = tmp_path / "locked.jpg"
    path.write_bytes(sound["jpeg"])
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: let the system call fail as it would for others
        monkeypatch.setattr(
            "builtins.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
    assert refused(path) == f"{path}: cannot be read: Permission denied"
    monkeypatch.undo()
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


def png_header(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def declared(sound, kind, width, height):
    """A small file that claims to be large."""
    if kind == "png":
        return png_header(width, height)
    data = bytearray(sound[kind])
    if kind == "jpeg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
        return bytes(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for name, size in (("ImageWidth", width), ("ImageLength", height)):
            tag = file.pages[0].tags[name]
            data[tag.offset + 2 : tag.offset + 12] = struct.pack("<HII", 4, 1, size)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "deflate"])
def test_huge_declared_sizes_are_refused(kind, sound):
    message = refused(declared(sound, kind, 60000, 60000))
    assert "60000 × 60000" in message and "max_pixels" in message
    for side in (2**31 - 1, 2**32 - 1) if kind != "jpeg" else (65535,):
        refused(declared(sound, kind, side, side))
        refused(declared(sound, kind, side, side), max_pixels=10**30)
    refused(declared(sound, kind, 0, 10))


def test_max_pixels_is_inclusive(sound):
    height, width = read_photo(sound["png"]).pixels.shape[:2]
    for kind in FORMATS:
        read_photo(sound[kind], max_pixels=height * width)
        assert "max_pixels" in refused(sound[kind], max_pixels=height * width - 1)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_header_alone_tells_size_and_depth(kind, sound):
    photo, header = read_photo(sound[kind]), read_photo(sound[kind], header_only=True)
    assert (header.pixels.shape, header.pixels.dtype) == (photo.pixels.shape, photo.pixels.dtype)
    assert (header.alpha is None) == (photo.alpha is None)
    assert output_format(header) == output_format(photo)


def test_hostile_directories_of_a_tiff_are_left(sound, exif_block):
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)  # a directory that is its own child
    many = b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + bytes(65535 * 12 + 4)
    far = b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63)
    long = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x010F, 2, 2**32 - 1, 8, 0)
    for data in (loop, many, far, long):
        refused(data)
        jpeg = sound["jpeg"]
        segment = b"Exif\0\0" + data[:60000]
        photo = read_photo(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:])
        encode_photo(photo, "tiff")
    with pytest.raises(ValueError, match="too many"):
        IfdReader(io.BytesIO(many)).entries(8)
    size = 1 << 20
    entries = b"".join(struct.pack("<HHII", 1 + n, 5, size // 8, 0) for n in range(1000))  # all the same megabyte
    reader = IfdReader(io.BytesIO(b"II*\0\x08\0\0\0" + struct.pack("<H", 1000) + entries + bytes(size)))
    assert len(reader.directory(8).fields) <= 16


def test_nothing_is_printed(sound, capfd):
    for kind in FORMATS:
        read_photo(sound[kind])
        refused(sound[kind][: len(sound[kind]) // 2])
    assert capfd.readouterr() == ("", "")


def test_threads_do_not_disturb_each_other(sound):
    """Good and bad files at the same time: each is judged for itself."""
    odd = sound["jpeg"].replace(b"JFIF\0\1\1", b"JFIF\0\3\3")
    expected = {kind: read_photo(sound[kind]).pixels for kind in FORMATS}
    failures = []

    def work(number):
        for turn in range(12):
            kind = FORMATS[(number + turn) % len(FORMATS)]
            try:
                np.testing.assert_array_equal(read_photo(sound[kind]).pixels, expected[kind])
                refused(sound[kind][: len(sound[kind]) // 2])
                encode_photo(read_photo(odd), "png")
            except BaseException as error:
                failures.append((kind, error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


quietly = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def reads_or_refuses(data):
    try:
        photo = read_photo(data, max_pixels=1_000_000)
    except PhotoError as error:
        assert "\n" not in str(error)
    else:
        for format in ("tiff", "png"):
            encode_photo(photo, format)


MAGIC = [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"GIF89a"]
MAGIC += [
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"RIFF\xff\xff\0\0WEBPVP8X",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x18ftypcrx ",
    b"IIU\0",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x80meta\0\0\0\0",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ",
    b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 9, 9, 1, 8, 1),
    b"BM" + bytes(12) + struct.pack("<IiiHHI", 124, 9, 9, 1, 32, 3),
]


@quietly
@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(magic, rest):
    reads_or_refuses(magic + rest)


@quietly
@given(st.data())
def test_mutated_files_are_read_or_refused(sound, data):
    kind = data.draw(st.sampled_from(FORMATS))
    mutated = bytearray(sound[kind])
    # headers are at the beginning, or in a TIFF by libtiff at the end
    place = st.one_of(
        st.integers(0, 200), st.integers(0, len(mutated) - 1), st.integers(len(mutated) - 200, len(mutated) - 1)
    )
    for position, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)):
        mutated[position] = value
    if data.draw(st.booleans()):
        at = data.draw(place)
        mutated[at:at] = data.draw(st.binary(max_size=20))
    reads_or_refuses(bytes(mutated))


@quietly
@given(st.data())
def test_mutated_exif_is_kept_or_left_out(sound, exif_block, data):
    block = bytearray(exif_block(6, (100, 50), order=data.draw(st.sampled_from("<>"))))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(block) - 1), st.integers(0, 255)), max_size=8)
    ):
        block[position] = value
    segment, jpeg = b"Exif\0\0" + block, sound["jpeg"]
    photo = read_photo(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:])
    for format in ("jpeg", "tiff", "webp"):
        read_photo(encode_photo(photo, format))
