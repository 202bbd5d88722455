"""The page as a reader has it: in a headless browser, where there is one."""

import re
import weakref
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import FdikpError
from fdikp.evaluation.report import Published, ResultImages, write_report
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;`${1}`\u2028\udcff$style Ünïcödé 東京"
"""A name that would break a page which takes it as it is."""

MODELS = ("lite", f"base {HOSTILE}")
GAINS = {"p1": -2.5, "p2": 0.25, "p10": 1.5, HOSTILE: 0.75}
"""Of the first model, dB, by picture."""


def example(size: tuple[int, int] = (48, 36)) -> Evaluation:
    """Two models on a set with groups; the second gains 1 dB more than the first."""
    images = [
        ImageResult(
            model,
            f"set {HOSTILE}",
            name,
            "indoor" if n % 2 else "out & door",
            *size,
            {"psnr": 20.0 + n, "ssim": 0.7, "lpips": 0.3},
            {"psnr": 20.0 + n + gain + more, "ssim": 0.7 + 0.02 * gain, "lpips": 0.3 - 0.05 * gain},
            0.5 * (n + 1),
        )
        for n, (name, gain) in enumerate(GAINS.items())
        for more, model in enumerate(MODELS)
    ]
    models = tuple(ModelInfo(model, "ab" * 32, 700983, 33.4, 1012.0) for model in MODELS)
    return Evaluation("defocus", {"tile": "512", "command": f"fdikp evaluate '{HOSTILE}'"}, models, tuple(images))


def result_images(result: ImageResult) -> ResultImages:
    """Plain colours: the input red, the target blue, results green."""
    size = (result.height, result.width)
    green = 120 if result.model == "lite" else 220
    before, after, target = (
        np.full((*size, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, green, 0), (0, 0, 200))
    )
    kernels = np.zeros((3, 2, 2, 3, 3))
    kernels[..., 1, 1], kernels[..., 0, 0] = 1.25, -0.25
    blur_map = np.linspace(0, 1.5, size[0] * size[1]).reshape(size)
    return ResultImages(before, after, target, blur_map, kernels)


class Reader(HTMLParser):
    """Checks that elements close as they opened, and keeps texts and what refers to something."""

    VOID = ("meta", "input", "img", "br", "link", "hr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "action", "srcset", "data")]
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    published = [Published(f"set {HOSTILE}", f"paper {HOSTILE}", {"psnr": "27.02"}, f"note {HOSTILE}")]
    return write_report(
        example(), tmp_path_factory.mktemp("page") / "new" / "folder", result_images, published=published
    )


def test_one_file_that_refers_to_nothing_outside(page):
    assert [file.name for file in page.parent.iterdir()] == ["report.html"]
    source = page.read_text("utf-8")
    reader = Reader(source)
    assert {reference[0] for reference in reader.references} == {"#"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(", source)
    assert not reader.tags & {"link", "iframe", "object", "embed", "base"}
    assert "default-src 'none'" in source


def test_names_are_text_wherever_they_stand(page):
    """`Reader` checks that nothing opens or closes an element; names come back as they were."""
    reader = Reader(page.read_text("utf-8"))
    said = "\n".join(reader.texts)
    plain = HOSTILE.replace("\u2028", "�").replace("\udcff", "�")
    assert reader.texts.count(plain) == 2 + 2 * 1  # the list's two rows, and the cards of two models
    for name in (f"set {plain}", f"base {plain}", f"paper {plain}", f"note {plain}", f"fdikp evaluate '{plain}'"):
        assert name in said
    assert "img" not in reader.tags


def test_everything_the_numbers_depend_on_is_there(page):
    said = Reader(page.read_text("utf-8")).texts
    for fact in ("defocus", "512", "ab" * 32, "700,983", "33.4", "1,012 MiB", "27.02"):
        assert fact in said


def test_without_pictures_there_are_numbers_alone(tmp_path):
    page = write_report(example(), tmp_path).read_text("utf-8")
    Reader(page)
    assert "data:image" not in page and 'id="look"' not in page and 'class="slider' not in page
    assert 'id="distribution"' in page and 'id="list"' in page


def test_a_set_without_ground_truth_beside_one_with(tmp_path):
    """What there is of each set is shown."""
    alone = [ImageResult("lite", "cuhk", f"c{n}", None, 48, 36, {}, {"blur": 0.3 + n}, None) for n in range(3)]
    both = replace(example(), images=(*example().images, *alone))
    page = write_report(both, tmp_path, result_images).read_text("utf-8")
    said = Reader(page).texts
    assert "blur effect (lower is better)" in said and "change of PSNR, dB" in said and "1.3000" in said
    cards = page[page.index('id="extremes"') :]
    assert cards.index(">c2</button>") < cards.index(">c0</button>")  # the worst come first


def test_pictures_are_asked_for_one_after_another_and_let_go(tmp_path):
    alive: list[weakref.ref] = []
    most = []

    def pictures(result: ImageResult) -> ResultImages:
        most.append(sum(reference() is not None for reference in alive))
        made = result_images(result)
        alive.extend(weakref.ref(array) for array in (made.before, made.after, made.target, made.blur_map))
        return made

    write_report(example(), tmp_path, pictures)
    assert len(most) == 8
    assert max(most) <= 4  # those of the result before


def test_pictures_as_files_and_of_16_bits(tmp_path):
    import tifffile

    Image.new("RGB", (48, 36), (200, 0, 0)).save(tmp_path / "before.png")
    tifffile.imwrite(tmp_path / "after.tif", np.full((36, 48, 3), 120 * 257, np.uint16), photometric="rgb")
    page = write_report(example(), tmp_path, lambda r: ResultImages(tmp_path / "before.png", tmp_path / "after.tif"))
    assert page.read_text("utf-8").count("data:image/webp;base64,") == 4 * 3


def test_pictures_that_differ_in_size_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="Target: of shape"):
        write_report(
            example(), tmp_path, lambda r: ResultImages(*[np.zeros((s, 48, 3), np.uint8) for s in (36, 36, 35)])
        )
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FdikpError, match=r"report\.html: cannot be written"):
        write_report(example(), tmp_path / "file")


# In a browser


@pytest.fixture
def visit(browser):
    """Open a page; at the end there must have been no message, error or dialogue, and no request but for the page."""
    pages, said = [], []

    def visit(file: Path, **settings):
        tab = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce"} | settings)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda r: None if r.url.startswith("data:") or r.url == file.as_uri() else said.append(r.url))
        tab.goto(file.as_uri())
        pages.append(tab)
        return tab

    yield visit
    for tab in pages:
        tab.close()
    assert said == []


def test_a_slider_follows_mouse_and_keyboard(visit, page):
    tab = visit(page)
    slider = tab.locator(".card .slider").first
    at = lambda: slider.evaluate("s => getComputedStyle(s.querySelector('.right')).clipPath")  # noqa: E731
    assert at() == "inset(0px 0px 0px 50%)"
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + box["width"] / 2, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    tab.mouse.up()
    place = float(re.search(r"([\d.]+)%\)", at())[1])
    assert place == pytest.approx(80, abs=3)
    tab.keyboard.press("ArrowLeft")
    assert at() == f"inset(0px 0px 0px {place - 1:g}%)"
    tab.keyboard.press("Home")
    assert at() == "inset(0px)" or at().endswith(" 0%)")
    assert slider.locator("input").get_attribute("aria-valuetext") == "0 % Input"
    assert slider.locator("input").get_attribute("aria-label").startswith("Input or lite of p1")


def test_a_slider_shows_what_it_says(visit, page):
    tab = visit(page)
    colours = tab.locator(".card .slider").first.evaluate(
        """async (slider) => Promise.all([...slider.querySelectorAll("img")].map(async (image) => {
             await image.decode();
             const canvas = document.createElement("canvas").getContext("2d");
             canvas.drawImage(image, 0, 0);
             return [...canvas.getImageData(5, 5, 1, 1).data.slice(0, 3)];
           }))"""
    )
    assert np.abs(np.array(colours) - [[200, 0, 0], [0, 120, 0]]).max() < 12


def column(tab, n: int) -> list[str]:
    return tab.eval_on_selector_all("#list tbody tr:not([hidden])", f"rows => rows.map(r => r.cells[{n}].textContent)")


def test_numbers_sort_as_numbers_and_names_as_people_do(visit, page):
    tab = visit(page)
    heads = [head.strip() for head in tab.locator("#list thead th").all_inner_texts()]
    gain = heads.index("Δ PSNR")
    button = tab.locator("#list thead button").nth(gain)
    button.click()
    rising = [float(text.replace("−", "-")) for text in column(tab, gain)]
    assert rising == sorted(g + more for g in GAINS.values() for more in (0, 1))
    assert tab.locator("#list thead th").nth(gain).get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert [float(text.replace("−", "-")) for text in column(tab, gain)] == rising[::-1]
    tab.locator("#list thead button").nth(0).click()
    assert [name for name in column(tab, 0) if name in GAINS] == ["p1", "p1", "p2", "p2", "p10", "p10"]
    assert tab.locator("#list thead th[aria-sort=none]").count() == len(heads) - 1


def test_the_list_is_narrowed_by_what_is_typed_and_chosen(visit, page):
    tab = visit(page)
    assert tab.locator("#count").inner_text() == "8 of 8"
    tab.fill("#find", "LITE p1")
    assert column(tab, 0) == ["p1", "p10"]
    tab.fill("#find", "")
    tab.check("#by-loss")
    assert column(tab, 0) == ["p1", "p1"]
    tab.select_option("#by-model", "lite")
    assert (column(tab, 0), tab.locator("#count").inner_text()) == (["p1"], "1 of 8")
    tab.uncheck("#by-loss")
    tab.select_option("#by-model", index=2)
    assert len(column(tab, 0)) == 4
    tab.select_option("#by-set", index=1)
    tab.press("#find", "Enter")
    assert len(column(tab, 0)) == 4


def test_a_picture_of_the_list_is_looked_at_closer(visit, page):
    tab = visit(page)
    tab.locator("#list tbody tr", has_text="p10").filter(has_text="base").locator("button").click()
    assert tab.evaluate("document.activeElement.closest('#stage') !== null")
    assert tab.locator("#scene option:checked").inner_text().startswith("p10 (set")
    assert tab.locator("#right option:checked").inner_text().startswith("base")
    titles = tab.locator("#left option").all_inner_texts()
    assert titles[:4] == ["Input", "Target", "lite", "lite: blur map"] and len(titles) == 6
    assert tab.locator("#scores tbody tr").count() == 3
    assert "23.50" in tab.locator("#scores").inner_text()
    assert tab.locator("#kernels svg").count() == 5 * 2
    assert tab.locator("#kernels title").first.text_content() == "-0.25"
    assert tab.locator("#scale").is_hidden()
    tab.select_option("#right", index=3)
    assert tab.locator("#most").inner_text() == "2.0 pixels"
    assert tab.locator("#stage .name.right").inner_text() == "lite: blur map"
    tab.click("#next")
    tab.click("#next")
    assert tab.locator("#scene option:checked").inner_text().startswith("p1 (set")
    assert tab.locator("#extent").is_hidden()


def test_a_block_of_the_distribution_opens_its_picture(visit, page):
    tab = visit(page)
    block = tab.locator(".distribution rect.loss").first
    assert block.locator("title").text_content() == "p1: −2.50"
    block.click()
    assert tab.locator("#scene option:checked").inner_text().startswith("p1 (set")


def test_large_pictures_have_a_detail_at_full_size(visit, tmp_path):
    size = (1600, 900)

    def pictures(result: ImageResult) -> ResultImages:
        before = np.zeros((size[1], size[0], 3), np.uint8)
        after = before.copy()
        after[500:600, 1200:1300] = 255
        return ResultImages(before, after)

    tab = visit(write_report(example(size), tmp_path, pictures))
    width = "(async (image) => (await image.decode(), image.naturalWidth))(document.querySelector('#stage .right'))"
    assert tab.evaluate(width) == 1280
    tab.check("#extent input[value=detail]")
    assert tab.evaluate(width) == 400
    box = tab.locator("#stage").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1)


@pytest.mark.parametrize("width", [360, 700, 1600])
def test_no_width_makes_the_page_scroll_sideways(visit, page, width):
    tab = visit(page, viewport={"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(visit, page, scheme):
    """The contrast that WCAG asks for of text, 4.5 to 1."""
    tab = visit(page, color_scheme=scheme)
    rgb = "s => getComputedStyle(document.querySelector(s))"
    paper = tab.evaluate(f"({rgb})('body').backgroundColor")
    assert (luminance(paper) > 0.5) == (scheme == "light")
    for selector in ("h1", ".lead", ".summary .gain", ".summary .loss", ".eyebrow", ".list thead button"):
        light, dark = sorted((luminance(tab.evaluate(f"({rgb})('{selector}').color")), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
