"""The page's modules against the library: selection, formula, and the maps' files."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging.selection import Selection
from fdikp.jobs.side_images import write_blur_map


@pytest.fixture(scope="module")
def module(browser, service_url):
    """Call JavaScript with the page's modules: `module("blend.js", "m => m.MAX_STRENGTH")`."""
    tab = browser.new_page()
    tab.goto(service_url)

    def call(name, function, argument=None):
        script = "async ([name, text, value]) => (await eval(text))(await import(`/static/${name}`), value)"
        return tab.evaluate(script, [name, function, argument])

    yield call
    tab.close()


@pytest.fixture(scope="module")
def service_url(server):
    return f"{server.url}static/icon.svg"  # a document of the same host without the page's policy


def test_the_greatest_strength_is_the_librarys(module):
    from fdikp.inference.strength import MAX_STRENGTH

    assert module("blend.js", "m => m.MAX_STRENGTH") == MAX_STRENGTH


LIMITS = [(None, 3.0), (2.0, None), (0.0, 0.0), (0.25, 1.5), (4.0, 12.0), (None, 0.0)]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_weights_are_the_librarys(module, limits):
    radius = np.arange(0, 20, 1 / 16, dtype=np.float32)
    mask = np.arange(len(radius)).astype(np.uint8)
    selection = Selection(mask[None], (), *limits)
    expected = selection.blur_gate(radius) * selection.spatial_weight(1, len(radius))[0]
    argument = [radius.tolist(), mask.tolist(), *limits]
    script = "(m, [r, k, low, high]) => [...m.weights(Float32Array.from(r), Uint8Array.from(k), low, high)]"
    np.testing.assert_allclose(module("blend.js", script, argument), expected, atol=1e-6)


def test_no_selection_is_no_weight(module):
    assert module("blend.js", "m => m.weights(Float32Array.of(1, 2), null, null, null)") is None


@pytest.mark.parametrize("strength", [0, 0.35, 1, 1.5, 2])
@pytest.mark.parametrize("weighted", [False, True], ids=["everywhere", "selected"])
def test_blend_is_within_one_level_of_the_library(module, strength, weighted):
    torch = pytest.importorskip("torch")
    from fdikp.inference.pixels import apply_change, from_rgb, keep_where, to_rgb

    random = np.random.default_rng(3)
    before = random.integers(0, 256, (1, 4000, 3), dtype=np.uint8)
    predicted = random.random((1, 4000, 3), np.float32)
    weight = np.where(random.random((1, 4000, 1)) < 0.2, 0, random.random((1, 4000, 1))).astype(np.float32)
    factor = torch.from_numpy(strength * (weight if weighted else np.ones_like(weight)))
    pixels = torch.from_numpy(before)
    changed = from_rgb(apply_change(to_rgb(pixels), torch.from_numpy(predicted), factor), 3, torch.uint8)
    expected = keep_where(factor == 0, pixels, changed).numpy()[0]

    def rgba(rgb):
        return np.dstack([rgb, np.full((*rgb.shape[:2], 1), 255)]).astype(np.uint8).ravel().tolist()

    argument = [rgba(before), rgba(np.rint(predicted * 255)), weight.ravel().tolist() if weighted else None, strength]
    script = """(m, [before, after, weight, strength]) => {
        const [b, a] = [before, after].map((codes) => Uint8ClampedArray.from(codes));
        return [...m.blend(b, a, weight && Float32Array.from(weight), strength, new Uint8ClampedArray(b.length))];
    }"""
    result = np.array(module("blend.js", script, argument)).reshape(-1, 4)
    assert (result[:, 3] == 255).all()
    assert np.abs(result[:, :3] - expected.astype(int)).max() <= 1
    kept = (factor == 0).numpy().ravel()
    np.testing.assert_array_equal(result[kept, :3], before[0][kept])


READ = """async (m, text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { width, height, samples } = await m.readGrey(bytes.buffer);
    return [width, height, [...samples]];
}"""


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_blur_map_is_read_in_16_bits(module, tmp_path):
    smooth = np.add.outer(np.linspace(0, 9, 37), np.linspace(0, 3, 53) ** 2)  # Paeth and the other filters
    radius = np.rint(smooth * 256).astype(np.float32) / 256
    write_blur_map(radius, tmp_path / "map.png")
    width, height, samples = module("png.js", READ, encoded((tmp_path / "map.png").read_bytes()))
    assert (height, width) == radius.shape
    np.testing.assert_array_equal(np.reshape(samples, radius.shape) / 256, radius)


@pytest.mark.parametrize("filter_type", range(5))
def test_every_filter_of_png_is_undone(module, filter_type):
    import struct
    import zlib

    random = np.random.default_rng(filter_type)
    wanted = random.integers(0, 256, (5, 7), dtype=np.uint8)
    rows = bytearray()
    for y, row in enumerate(wanted.astype(int)):
        rows.append(filter_type)
        above = wanted[y - 1].astype(int) if y else np.zeros(7, int)
        for x in range(7):
            left, corner = (row[x - 1], above[x - 1]) if x else (0, 0)
            guess = left + above[x] - corner
            paeth = min((left, above[x], corner), key=lambda value: abs(guess - value))
            predicted = (0, left, above[x], (left + above[x]) // 2, paeth)[filter_type]
            rows.append((row[x] - predicted) % 256)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(rows)))]
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        png += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    width, height, samples = module("png.js", READ, encoded(png))
    np.testing.assert_array_equal(np.reshape(samples, (height, width)), wanted)


def test_a_mask_is_written_without_loss(module):
    mask = np.random.default_rng(1).integers(0, 256, (13, 29), dtype=np.uint8)
    script = """async (m, samples) => {
        const blob = await m.writeGrey(29, 13, Uint8Array.from(samples));
        return [...new Uint8Array(await blob.arrayBuffer())];
    }"""
    image = Image.open(io.BytesIO(bytes(module("png.js", script, mask.ravel().tolist()))))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), mask)


@pytest.mark.parametrize("content", [b"GIF89a", b"\x89PNG\r\n\x1a\n"], ids=["another format", "no header"])
def test_what_is_no_map_is_refused(module, content):
    script = f"async (m, text) => {{ try {{ await ({READ})(m, text); }} catch (error) {{ return error.message; }} }}"
    assert "The map is not a" in module("png.js", script, encoded(content))


def test_the_brush_paints_a_stroke(module):
    script = """(m, restore) => {
        const mask = m.newMask(60, 40, restore ? 0 : 255);
        m.paint(mask, { x: 15, y: 20 }, { x: 45, y: 20 }, 8, restore);
        return [...mask.samples];
    }"""
    white, black = (np.reshape(module("brush.js", script, restore), (40, 60)) for restore in (True, False))
    np.testing.assert_array_equal(black, 255 - white)
    y, x = np.mgrid[:40, :60] + 0.5
    distance = np.hypot(x - np.clip(x, 15, 45), y - 20)
    assert (white[distance < 6.9] == 255).all()
    assert (white[distance > 9.1] == 0).all()
    assert 0 < white[20, 52] < 255


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("a.JPG", "image/jpeg", "a_deblurred.JPG"),
        ("a.b.heic", "image/jpeg", "a.b_deblurred.jpg"),
        ("a.tiff", "image/tiff", "a_deblurred.tiff"),
        ("photo", "image/png", "photo_deblurred.png"),
        ("a.x", "application/unknown", "a_deblurred.x"),
    ],
)
def test_downloads_are_named_after_the_photo(module, name, media_type, expected):
    assert module("names.js", "(m, [name, type]) => m.resultName(name, type)", [name, media_type]) == expected
