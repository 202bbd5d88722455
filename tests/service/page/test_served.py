"""The page as `fdikp serve` has it, with a real network, a narrow one."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fdikp.service.app", reason="the extra serve is not installed")


@pytest.fixture
def url(calibrated_weights: Path, tmp_path: Path):
    command = [sys.executable, "-m", "fdikp", "serve", "--port", "0", "--data", "data", "--models", calibrated_weights]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    lines = iter(process.stderr.readline, "")
    found = next(filter(None, (re.search(r"listening on (http\S+)", line) for line in lines)), None)
    assert found, "the service did not start"
    yield found[1]
    process.terminate()
    process.communicate(timeout=60)


def test_a_photo_is_restored_and_downloaded_as_it_is_shown(browser, url):
    random = np.random.default_rng(0)
    before = np.kron(random.integers(40, 216, (20, 24, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    photo = io.BytesIO()
    Image.fromarray(before).save(photo, "PNG")
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    tab.set_default_timeout(60_000)
    faults = []
    tab.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(url)
    tab.locator("#file").set_input_files([{"name": "squares.png", "mimeType": "", "buffer": photo.getvalue()}])
    tab.locator("#controls").wait_for()
    move = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    tab.locator("#strength").evaluate(move, 1.6)
    limit = float(tab.locator("#limit").get_attribute("max")) / 2
    tab.locator("#limit").evaluate(move, limit)
    tab.locator("#divider").focus()
    tab.keyboard.press("Home")  # only "after"
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    tab.evaluate(frame)
    drawn = base64.b64decode(tab.evaluate("document.getElementById('view').toDataURL()").split(",")[1])
    shown = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB")).astype(int)
    top, left = (round((outer - inner) / 2) for outer, inner in zip(shown.shape[:2], before.shape[:2], strict=True))
    shown = shown[top : top + before.shape[0], left : left + before.shape[1]]
    with tab.expect_download() as started:
        tab.locator("#download").click()
    assert started.value.suggested_filename == "squares_deblurred.png"
    result = np.asarray(Image.open(started.value.path())).astype(int)
    assert np.abs(shown - result).max() <= 1
    assert np.abs(result - before).max() > 1
    assert (result == before).all(axis=-1).any()  # beyond the limit
    tab.close()
    assert faults == []
