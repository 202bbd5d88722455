"""`fdikp serve` as a program, with a real network: its bytes, its documentation, its end."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data

from fdikp.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "service.md"
BASE = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    Image.fromarray(data.coffee()[100:148, 200:264]).save(folder / "photo.jpg", quality=92)
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(folder / "face.png")
    return folder


@pytest.fixture(scope="module")
def service(folder: Path, calibrated_weights: Path) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The program, its URL, and what it prints until it listens."""
    options = ["--port", "0", "--models", str(calibrated_weights), "--device", "cpu", "--min-free", "0M"]
    command = [sys.executable, "-m", "fdikp", "serve", *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = until_listening(process.stderr)
        url = lines[-1].removeprefix("listening on ").rstrip("/")
        while httpx.get(f"{url}/readyz").status_code != 200:
            assert process.poll() is None
            time.sleep(0.05)
        yield process, url, lines
        process.kill()


def until_listening(stream: IO[str]) -> list[str]:
    lines: list[str] = []
    while not lines or not lines[-1].startswith("listening on "):
        line = stream.readline()
        assert line, lines
        lines.append(line.rstrip("\n"))
    return lines


def test_the_bytes_are_those_of_the_command_line(
    service: tuple[object, str, list[str]], folder: Path, tmp_path: Path, calibrated_weights: Path
) -> None:
    _, url, lines = service
    assert any("64 unfinished jobs" in line for line in lines)
    photo = (folder / "photo.jpg").read_bytes()
    answer = httpx.post(f"{url}/v1/deblur", content=photo, timeout=60)
    assert answer.status_code == 200, answer.text
    output = tmp_path / "cli.jpg"
    model = ["--model", str(calibrated_weights), "--device", "cpu"]
    assert main(["deblur", str(folder / "photo.jpg"), "-o", str(output), *model, "--quiet"]) == 0
    assert answer.content == output.read_bytes() != photo
    assert answer.headers["x-model"] == "tiny"


CURL = [line for block in blocks("bash") for line in block.splitlines()]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("command", CURL)
def test_each_curl_command_of_the_page(command: str, service: tuple[object, str, list[str]], folder: Path) -> None:
    words = shlex.split(command.replace(BASE, service[1]))
    assert words[0] == "curl" and "--fail" in words
    done = subprocess.run([*words, "--silent", "--show-error"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    if "-o" not in words:
        assert done.stdout
    elif words[words.index("-o") + 1].endswith(".json"):
        assert json.loads((folder / "job.json").read_text())["secret"]
    else:
        assert Image.open(folder / words[words.index("-o") + 1]).size == (64, 48)


def test_the_examples_of_the_page_run_in_turn(service: tuple[object, str, list[str]], folder: Path) -> None:
    code = "\n".join(blocks("python")).replace(BASE, service[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "display").size == Image.open(folder / "before").size == (64, 48)


def test_sigterm_ends_it(service: tuple[subprocess.Popen[str], str, list[str]], folder: Path) -> None:
    """The last test: the others use the same service."""
    process = service[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert process.stderr is not None
    *log, last = process.stderr.read().splitlines()
    assert last == "stopped"
    assert all(json.loads(line)["request_id"] for line in log)
    assert not list((folder / "fdikp-data" / "uploads").iterdir())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--port", "70000"], "fdikp: --port 70000: must be between 0 and 65535"),
        (["--max-body", "much"], "fdikp: --max-body much: must be a number with a unit, such as 800M or 2G"),
        (["--tokens", "none.txt"], "fdikp: --tokens none.txt: no such file or directory; write one token"),
        (["--models", "none"], "fdikp: none: no model of this name and no such file"),
        (["--keep", "0"], "fdikp: --keep 0.0: must be a number of seconds above 0"),
    ],
)
def test_options_that_are_refused(
    options: list[str], line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *options] if "--port" not in options else ["serve", *options]) in (1, 2)
    assert capfd.readouterr().err.splitlines()[-1].startswith(line)
