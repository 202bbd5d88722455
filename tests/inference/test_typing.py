"""The types that `mypy --strict` infers for each kind of image."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CALLS = """
import io
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from typing_extensions import assert_type

from fdikp import Photo, load_model
from fdikp.imaging.selection import Region, Selection

model = load_model("fdikp-lite", tile=256)
u8: npt.NDArray[np.uint8] = np.zeros((4, 4, 3), np.uint8)
any_array: np.ndarray = u8
photo = Photo(u8)


def arrays() -> Generator[npt.NDArray[np.uint8], None, None]:
    yield u8


def paths_and_photos(images: list[Path | Photo], text: str, file: BinaryIO) -> None:
    assert_type(model(images), Iterator[Photo])
    assert_type(model(text), Photo)
    assert_type(model(file), Photo)


assert_type(model(photo), Photo)
assert_type(model("a.jpg", strength=0.5), Photo)
assert_type(model(Path("a.jpg")), Photo)
assert_type(model(io.BytesIO(b"")), Photo)
assert_type(model(open("a.jpg", "rb")), Photo)
assert_type(model(b""), bytes)
assert_type(model(bytearray()), bytes)
assert_type(model(memoryview(b"")), bytes)
assert_type(model(Image.new("RGB", (4, 4))), Image.Image)
assert_type(model(torch.zeros(3, 4, 4), cancel=lambda: False), torch.Tensor)
assert_type(model(u8).dtype, np.dtype[np.uint8])
assert_type(model(np.zeros((2, 4, 4, 3), np.float32)).dtype, np.dtype[np.float32])
assert_type(model(any_array).tobytes(), bytes)
assert_type(model(["a.jpg", "b.jpg"]), Iterator[Photo])
assert_type(model(Path().glob("*.jpg")), Iterator[Photo])
assert_type(model([photo]), Iterator[Photo])
assert_type(model((b"", b"")), Iterator[bytes])
assert_type(model([Image.new("RGB", (4, 4))]), Iterator[Image.Image])
assert_type(model([torch.zeros(3, 4, 4)]), Iterator[torch.Tensor])
assert_type(next(model(arrays())).shape, tuple[Any, ...])
assert_type(model("a.jpg", mask="mask.png", regions=["1,2,3,4", (1, 2, 3, 4)], max_blur=4), Photo)
assert_type(model(u8, mask=u8[..., 0], regions=[Region.parse("1,2,3,4")], min_blur=1.5).dtype, np.dtype[np.uint8])
assert_type(model(["a.jpg"], mask=Image.new("L", (4, 4))), Iterator[Photo])
assert_type(model.preview("a.jpg"), Photo)
assert_type(model.preview(b"", 800, max_blur=3), bytes)
assert_type(model.preview(u8, long_side=800).shape, tuple[Any, ...])
assert_type(model.preview(Image.new("L", (4, 4))), Image.Image)
assert_type(model.restore(photo, selection=Selection(max_blur=4)).photo, Photo)
assert_type(model.analyse(b"", max_blur=4).blur_map is None, bool)
assert_type(model.restore(photo).blur_map is None, bool)
assert_type(list(model.restore_bands(photo))[0][0], int)
assert_type(model.restore(photo).photo, Photo)
assert_type(model.analyse("a.jpg").image, Photo)
assert_type(model.analyse(b"").image, bytes)
assert_type(model.analyse(torch.zeros(3, 4, 4), strength=0.5).image, torch.Tensor)
assert_type(model.analyse(u8).image.shape, tuple[Any, ...])

model(None)  # refused
model.analyse(["a.jpg"])  # refused
model(3)  # refused
model([1, 2])  # refused
model("a.jpg", 0.5)  # refused
model("a.jpg", strength="half")  # refused
model("a.jpg", mask=3)  # refused
model("a.jpg", max_blur="4")  # refused
model("a.jpg", radius=4)  # refused
model.preview(["a.jpg"])  # refused
"""


def test_each_kind_has_its_type_and_others_are_errors(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    file = tmp_path / "calls.py"
    file.write_text(CALLS)
    # With the project's settings, so that the cache of an earlier check of the project is used
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", str(file)],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    wrong_lines = {int(error.split(":")[1]) for error in errors}
    refused_lines = {n for n, line in enumerate(CALLS.splitlines(), 1) if "# refused" in line}
    assert wrong_lines == refused_lines, done.stdout
