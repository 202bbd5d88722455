"""Jobs need no torch, and their three steps run in three processes."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fdikp.jobs import DeblurRequest, run

BLOCK_TORCH = "import sys; sys.modules['torch'] = None\n"

NUMPY_ENGINE = """
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from fdikp.inference.results import Restoration
from fdikp.jobs import DeblurRequest, run

class Engine:
    descriptor = SimpleNamespace(name="negative", sha256="")
    def restore(self, photo, *, strength, selection, blur_map, progress, cancel):
        weight = selection.spatial_weight(photo.height, photo.width)[..., None] > 0.5
        pixels = np.where(weight, 255 - photo.pixels, photo.pixels)
        return Restoration(photo.with_pixels(pixels), *np.ones((2, *weight.shape[:2])), (), 1)

request = DeblurRequest(
    Path(sys.argv[1]), regions=["0,0,50%,100%"], blur_map=Path("map.png"), compare=Path("compare.jpg")
)
print(run(request, Engine()).to_json())
"""

STEP = """
import pickle, sys
from fdikp.jobs import read, restore, write
value = pickle.load(sys.stdin.buffer)
pickle.dump({call}, sys.stdout.buffer)
"""


def python(code: str, *args: object, given: bytes = b"", folder: Path | None = None) -> bytes:
    """What a new process prints."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, cwd=folder).stdout


def test_a_whole_job_without_torch(photo_file, tmp_path, files):
    line = python(BLOCK_TORCH + NUMPY_ENGINE, photo_file(), folder=tmp_path)
    assert b'"status": "ok"' in line
    assert files() == ["a.png", "a_deblurred.png", "compare.jpg", "map.png"]


@pytest.mark.parametrize("name", ["a.jpg", "missing.jpg"])
def test_three_steps_in_three_processes(photo_file, tmp_path, calibrated_weights, name):
    """Only the process in the middle has a model, the others have no torch; the files are those of one process."""
    from fdikp import load_model

    photo_file("a.jpg", (90, 150)), photo_file("mask.png", (90, 150))

    def request(folder: Path) -> DeblurRequest:
        return DeblurRequest(
            tmp_path / name,
            folder / "b.jpg",
            mask=tmp_path / "mask.png",
            regions=("10%,0,80%,100%",),
            max_blur=8,
            blur_map=folder / "map.png",
            compare=folder / "compare.jpg",
        )

    arguments = (calibrated_weights, "cpu", "float32")
    load = "__import__('fdikp').load_model(*sys.argv[1:], tile=64)"
    value = pickle.dumps(request(tmp_path / "three"))
    value = python(BLOCK_TORCH + STEP.format(call="read(value)"), given=value)
    value = python(STEP.format(call=f"restore(value, {load})"), *arguments, given=value)
    value = python(BLOCK_TORCH + STEP.format(call="write(value)"), given=value)
    apart = pickle.loads(value)
    together = run(request(tmp_path / "one"), load_model(*arguments, tile=64))
    assert (apart.status, apart.code, apart.tiles) == (together.status, together.code, together.tiles)
    if name == "missing.jpg":
        assert apart.code == "photo_not_found"
        return
    assert apart.status == "ok" and apart.tiles > 1
    for path in sorted((tmp_path / "one").iterdir()):
        assert (tmp_path / "three" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "three").iterdir())) == 3
