"""The page as a person has it: in a headless browser, against a service that answers at once."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import fdikp.service
from fdikp.imaging import read_photo, write_photo

PAGE = Path(fdikp.service.__file__).with_name("page")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


def blurry(height: int = 240, width: int = 320) -> np.ndarray:
    """Soft disks on a ramp."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([60 + 100 * x / width, 90 + 60 * y / height, np.full((height, width), 120.0)], -1)
    for row, column in np.random.default_rng(2).random((24, 2)) * (height, width):
        edge = np.clip((np.hypot(y - row, x - column) - 12) / 3, -1, 1)
        image += (1 - edge)[..., None] * np.array([40, -35, 30])
    return image.clip(0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def give(tab, *files: tuple[str, bytes]) -> None:
    """Choose files."""
    tab.locator("#file").set_input_files([{"name": name, "mimeType": "", "buffer": content} for name, content in files])


def restored(tab) -> None:
    """Wait until the photo that is shown is restored."""
    tab.locator("#controls").wait_for()


def download(tab) -> tuple[str, bytes]:
    """The name and the content of the download."""
    with tab.expect_download() as started:
        tab.locator("#download").click()
    return started.value.suggested_filename, Path(started.value.path()).read_bytes()


def canvas(tab) -> np.ndarray:
    """The pixels of the view, [H, W, 3], after the next frame."""
    script = """async () => {
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        return document.getElementById("view").toDataURL();
    }"""
    import base64

    content = base64.b64decode(tab.evaluate(script).split(",")[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def photo_on_canvas(tab, height: int, width: int) -> np.ndarray:
    """The photo as the canvas shows it at 1:1, where it fits."""
    shown = canvas(tab)
    top, left = (round((outer - inner) / 2) for outer, inner in zip(shown.shape[:2], (height, width), strict=True))
    return shown[top : top + height, left : left + width]


def set_range(tab, id: str, value: float) -> None:
    tab.locator(f"#{id}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def test_first_paint_is_small_and_shows_the_way(visit):
    tab = visit()
    assert tab.get_by_role("heading").text_content() == "Bring a photo into focus"
    assert tab.get_by_role("button", name="Choose photos").is_visible()
    assert not tab.locator("#work").is_visible()
    sizes = [file.stat().st_size for file in PAGE.iterdir() if file.is_file()]
    assert sum(sizes) < 100_000
    assert sum(file.stat().st_size for file in (PAGE / "samples").iterdir()) < 150_000


def test_html_has_nothing_inline():
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://", text)


@pytest.mark.parametrize("settings", [{}, PHONE], ids=["desktop", "phone"])
def test_a_photo_is_restored_and_downloaded(visit, settings):
    tab = visit(**settings)
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    assert tab.locator("#divider").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing reaches over the side
    name, content = download(tab)
    assert name == "soft_deblurred.png"
    result = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert np.abs(result - blurry()).max() > 10


@pytest.mark.parametrize(
    ("strength", "limit", "brush"),
    [
        (1, None, None),
        (0, None, None),
        (1.6, None, None),
        (1, 3.0, None),
        (2, 2.0, None),
        (1, None, "keep"),
        (1.5, 5.0, "restore"),
    ],
)
def test_the_screen_shows_what_the_download_gives(visit, strength, limit, brush):
    before = blurry()
    tab = visit()
    give(tab, ("soft.png", png(before)))
    restored(tab)
    set_range(tab, "strength", strength)
    if limit is not None:
        set_range(tab, "limit", limit)
    if brush:
        tab.locator(f"[name=tool][value={brush}]").check()
        set_range(tab, "brush-size", 90)
        box = tab.locator("#view").bounding_box()
        x, y = box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2 + 40
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + 60, y + 20)
        tab.mouse.up()
    tab.locator("#divider").focus()
    tab.keyboard.press("Home")  # only "after"
    shown = photo_on_canvas(tab, *before.shape[:2])
    result = np.asarray(Image.open(io.BytesIO(download(tab)[1]))).astype(int)
    assert np.abs(shown - result).max() <= 1
    if strength:
        assert np.abs(result - before).max() > 5
    if limit or brush:
        assert (result == before).all(axis=-1).mean() > 0.05


def test_the_divider_separates_before_and_after(visit):
    before = blurry()
    tab = visit()
    give(tab, ("soft.png", png(before)))
    restored(tab)
    tab.locator("#divider").focus()
    tab.keyboard.press("End")
    np.testing.assert_array_equal(photo_on_canvas(tab, *before.shape[:2]), before)
    tab.keyboard.press("Home")
    after = photo_on_canvas(tab, *before.shape[:2])
    box, handle = tab.locator("#view").bounding_box(), tab.locator("#divider").bounding_box()
    tab.mouse.move(handle["x"] + handle["width"] / 2 + 4, handle["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, handle["y"] + 60)
    tab.mouse.up()
    assert 48 <= int(tab.locator("#divider").get_attribute("aria-valuenow")) <= 52
    half = photo_on_canvas(tab, *before.shape[:2])
    np.testing.assert_array_equal(half[:, :150], before[:, :150])
    np.testing.assert_array_equal(half[:, 170:], after[:, 170:])


def test_zoom_and_pan_by_wheel_pointer_and_keyboard(visit):
    tab = visit()
    give(tab, ("soft.png", png(blurry(900, 1300))))
    restored(tab)
    scale = tab.locator("#scale")
    tab.wait_for_function("document.getElementById('scale').textContent === '100 %'")  # it opens at 1:1
    tab.locator("#view").focus()
    tab.keyboard.press("0")
    fitted = float(scale.text_content().rstrip(" %"))
    assert 20 < fitted < 100
    tab.keyboard.press("+")
    assert float(scale.text_content().rstrip(" %")) == pytest.approx(1.25 * fitted, abs=1)
    tab.keyboard.press("-")
    assert float(scale.text_content().rstrip(" %")) == fitted
    box = tab.locator("#view").bounding_box()
    tab.mouse.move(box["x"] + 200, box["y"] + 200)
    for _ in range(9):
        tab.mouse.wheel(0, -240)
    tab.wait_for_function("parseFloat(document.getElementById('scale').textContent) > 300")
    tab.keyboard.press("1")
    assert scale.text_content() == "100 %"
    first = canvas(tab)
    tab.keyboard.press("ArrowRight")
    assert (canvas(tab) != first).any()
    tab.keyboard.press("ArrowLeft")
    np.testing.assert_array_equal(canvas(tab), first)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 140, box["y"] + 180)
    tab.mouse.up()
    np.testing.assert_array_equal(canvas(tab)[80:280, 100:240], first[100:300, 160:300])


def test_two_fingers_zoom(visit):
    tab = visit(**PHONE)
    give(tab, ("soft.png", png(blurry(900, 1300))))
    restored(tab)
    tab.wait_for_function("document.getElementById('scale').textContent === '100 %'")
    box = tab.locator("#view").bounding_box()
    touches = tab.context.new_cdp_session(tab)
    for kind, apart in (("touchStart", 30), ("touchMove", 60), ("touchMove", 90), ("touchEnd", None)):
        x, y = box["x"] + 80, box["y"] + 100  # beside the divider
        points = [] if apart is None else [{"x": x + apart / 2, "y": y, "id": 0}, {"x": x - apart / 2, "y": y, "id": 1}]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert tab.locator("#scale").text_content() == "300 %"


def test_it_opens_where_the_change_is_largest(visit):
    image = np.full((1000, 1600, 3), 128, np.uint8)
    image[850:950, 1450:1550] = np.kron(np.indices((25, 25)).sum(0) % 2, np.ones((4, 4)))[..., None] * 255
    tab = visit()
    give(tab, ("corner.png", png(image)))
    restored(tab)
    tab.wait_for_function("document.getElementById('scale').textContent === '100 %'")
    assert np.ptp(canvas(tab)) > 200  # the pattern is in view


def test_progress_preview_and_cancel(visit, service):
    service.go_on.clear()
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    tab.get_by_text("Restoring: 1 of 4 tiles, about 2 s left").wait_for()
    tab.get_by_text("after (preview)").wait_for()
    tab.get_by_role("button", name="Cancel").click()
    tab.locator("#photos small", has_text="cancelled").wait_for()
    assert not tab.locator("#running").is_visible()


def test_a_reload_in_the_middle_keeps_the_job(visit, service):
    service.go_on.clear()
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    tab.get_by_text("Restoring: 1 of 4 tiles").wait_for()
    jobs = len(service.jobs)
    tab.reload()
    tab.get_by_text("Restoring: 1 of 4 tiles").wait_for()
    assert tab.locator("#photos b").text_content() == "soft.png"
    service.go_on.set()
    restored(tab)
    set_range(tab, "strength", 0.5)
    tab.reload()  # and so do settings
    restored(tab)
    assert tab.locator("#strength-text").text_content() == "0.50"
    assert len(service.jobs) == jobs


def test_a_click_takes_the_blur_as_limit(visit):
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    tab.get_by_label("Take the blur here as limit").check()
    box = tab.locator("#view").bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2)
    assert tab.locator("#limit-text").text_content() == "6.0 px"  # at three quarters of the map, which ends at 8 px
    assert tab.locator("#limited").is_checked()
    assert tab.locator("#readout").text_content() == "blur here: 6.0 px"


def test_overlays_show_the_maps_and_their_scale(visit):
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    plain = canvas(tab)
    for label, high in (("Blur", "8.0 px"), ("Confidence", "certain")):
        tab.get_by_role("radio", name=label, exact=True).check()
        assert (canvas(tab) != plain).any()
        assert tab.locator("#legend-high").text_content() == high
    tab.get_by_role("radio", name="None", exact=True).check()
    np.testing.assert_array_equal(canvas(tab), plain)


def test_a_download_keeps_depth_profile_and_metadata(visit, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.fromarray(blurry()).save(tmp_path / "soft.tif", exif=exif, icc_profile=profile)
    deep = read_photo(tmp_path / "soft.tif")
    from dataclasses import replace

    write_photo(replace(deep, pixels=deep.pixels.astype(np.uint16) * 257 + 3), tmp_path / "deep.tif")
    tab = visit()
    give(tab, ("deep.tif", (tmp_path / "deep.tif").read_bytes()))  # a format that Chromium cannot show
    restored(tab)
    set_range(tab, "strength", 0.8)
    name, content = download(tab)
    assert name == "deep_deblurred.tif"
    (tmp_path / "result.tif").write_bytes(content)
    result = read_photo(tmp_path / "result.tif")
    assert result.pixels.dtype == np.uint16
    assert (result.pixels % 257 != 3).any()
    assert result.metadata.icc == profile
    assert Image.open(tmp_path / "result.tif").getexif()[0x010F] == "Maker"


def test_the_format_of_the_download_can_be_chosen(visit):
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    tab.get_by_label("Format").select_option("jpeg")
    name, content = download(tab)
    assert name == "soft_deblurred.jpg"
    assert Image.open(io.BytesIO(content)).format == "JPEG"


def test_several_photos_and_their_removal(visit, service):
    service.jobs.clear()
    tab = visit()
    give(tab, ("one.png", png(blurry())), ("two.png", png(blurry(180, 200))))
    tab.locator("#photos small", has_text="restored").nth(1).wait_for()
    assert tab.locator("[aria-current=true] b").text_content() == "one.png"
    tab.get_by_role("button", name="two.png").click()
    restored(tab)
    photo_on_canvas(tab, 180, 200)
    tab.get_by_role("button", name="Remove this photo").click()
    assert tab.locator("#photos b").all_text_contents() == ["one.png"]
    tab.get_by_role("button", name="Remove this photo").click()
    assert not tab.locator("#work").is_visible()
    for _ in range(100):  # the server deletes them too
        tab.wait_for_timeout(20 if service.jobs else 0)
    assert not service.jobs


def test_dropped_and_pasted_photos_are_taken(visit):
    tab = visit()
    for kind in ("drop", "paste"):
        script = """([kind, codes]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(codes)], `${kind}.png`, { type: "image/png" }));
            const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data, bubbles: true })
                : new ClipboardEvent(kind, { clipboardData: data, bubbles: true });
            document.body.dispatchEvent(event);
        }"""
        tab.evaluate(script, [kind, list(png(blurry(64, 80)))])
        tab.locator("#photos b", has_text=f"{kind}.png").wait_for()
    tab.locator("#photos small", has_text="restored").nth(1).wait_for()


def test_a_sample_is_restored(visit):
    tab = visit()
    tab.get_by_role("button", name="a cat").click()
    restored(tab)
    assert tab.locator("#photos b").text_content() == "chelsea.jpg"


def test_another_model_restores_the_photo_again(visit, service):
    tab = visit()
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    tab.get_by_label("Model").select_option("fdikp-base")
    tab.locator("#controls").wait_for(state="hidden")
    restored(tab)
    assert list(service.jobs.values())[-1].options["model"] == "fdikp-base"


REFUSALS = [
    (413, "too_large", "the request is larger than 64 MB", "send a smaller photo"),
    (503, "queue_full", "64 jobs are unfinished, which is the limit", "try again in a few seconds"),
    (507, "storage_full", "the disk of the service is nearly full", "try again later"),
]


@pytest.mark.parametrize(("status", "code", "detail", "hint"), REFUSALS, ids=[code for _, code, *_ in REFUSALS])
def test_a_refusal_is_shown_in_its_own_words(visit, service, status, code, detail, hint):
    service.refusal = (status, {"code": code, "detail": detail, "hint": hint})
    tab = visit(statuses=[status])
    give(tab, ("soft.png", png(blurry())))
    failure = tab.locator("#failure")
    failure.wait_for()
    assert failure.text_content() == f"{detail[0].upper()}{detail[1:]}. {hint[0].upper()}{hint[1:]}."
    assert failure.get_attribute("role") == "alert"


@pytest.mark.parametrize("content", [b"", b"no photo", png(blurry())[:300]], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_photo_is_refused(visit, content):
    tab = visit()
    give(tab, ("a<b>&.png", content))
    tab.locator("#failure").wait_for()
    assert tab.locator("#failure").text_content().startswith("The photo ")
    assert tab.locator("#photos b").text_content() == "a<b>&.png"
    assert not tab.locator("#controls").is_visible()


def test_a_result_that_has_expired_is_named(visit, service):
    tab = visit(statuses=[404])
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    service.jobs.clear()
    tab.reload()
    tab.get_by_text("This result is no longer on the server").wait_for()


def test_a_token_is_asked_for(visit, service):
    service.token = "s3cret"
    tab = visit(statuses=[401])
    give(tab, ("soft.png", png(blurry())))
    tab.get_by_label("access token").fill("s3cret")
    tab.get_by_role("button", name="Continue").click()
    restored(tab)
    assert not tab.locator("#failure").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("settings", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_violation(visit, scheme, settings):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    tab = visit(color_scheme=scheme, **settings)
    results = [axe.Axe().run(tab)]
    give(tab, ("soft.png", png(blurry())))
    restored(tab)
    tab.get_by_role("radio", name="Blur", exact=True).check()
    tab.get_by_label("Brush: keep here").check()
    results.append(axe.Axe().run(tab))
    serious = [v for result in results for v in result.response["violations"] if v["impact"] in ("serious", "critical")]
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in serious] == []
