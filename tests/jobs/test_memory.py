"""A memory budget chooses the tile, and the largest photo."""

import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fdikp.errors import FdikpError
from fdikp.jobs import DeblurRequest, run
from fdikp.jobs.memory import PROCESS_BYTES, RESERVED_BYTES, plan_memory

MIB = 2**20


@dataclass(frozen=True)
class Model:
    name: str = "square"
    min_tile: int = 64
    size_multiple: int = 16

    def working_memory(self, tile: int) -> int:
        return 10 * MIB + tile**2 * 1000


@given(st.integers(0, 3 * 2**30), st.integers(4, 80).map(lambda n: 16 * n))
def test_the_largest_tile_that_leaves_room_for_a_photo(budget, largest):
    def left(tile: int) -> int:
        return budget - PROCESS_BYTES - Model().working_memory(tile)

    if left(64) < RESERVED_BYTES:
        with pytest.raises(FdikpError, match="square: needs at least ") as raised:
            plan_memory(Model(), budget, largest)
        assert raised.value.code == "over_memory_budget"
        return
    plan = plan_memory(Model(), budget, largest)
    assert plan.tile % 16 == 0 and 64 <= plan.tile <= largest
    assert plan.photo_bytes == left(plan.tile) >= RESERVED_BYTES
    assert plan.tile == largest or left(plan.tile + 16) < RESERVED_BYTES


@pytest.mark.parametrize(
    ("mode", "per_pixel", "blur_map"),
    [("L", 2 + 12, False), ("RGB", 6 + 12, False), ("RGB", 6 + 12 + 8, True), ("I;16", 4 + 12, False)],
)
def test_photos_that_need_more_than_is_left_are_refused(engine, tmp_path, mode, per_pixel, blur_map):
    source = tmp_path / "a.png"
    Image.new(mode, (30, 20)).save(source)
    request = DeblurRequest(source, blur_map=tmp_path / "map.png" if blur_map else None, existing="replace")
    # Before it is decoded, a photo is taken for one of three channels with 8 bits
    needed = 600 * max(per_pixel, 26 if blur_map else 18)
    assert run(replace(request, max_bytes=needed), engine).status == "ok"
    result = run(replace(request, max_bytes=needed - 1), engine)
    assert (result.status, result.code) == ("failed", "over_memory_budget")


def test_deep_photos_are_refused_after_decoding(engine, tmp_path):
    import numpy as np

    from fdikp.imaging import Photo, write_photo

    source = tmp_path / "a.tif"
    write_photo(Photo(np.zeros((20, 30, 3), np.uint16)), source)
    assert run(DeblurRequest(source, max_bytes=600 * 24), engine).status == "ok"
    request = DeblurRequest(source, max_bytes=600 * 24 - 1, existing="replace")
    assert run(request, engine).code == "over_memory_budget"


def test_a_mask_counts_after_it_is_read(engine, photo_file):
    request = DeblurRequest(photo_file("a.png"), mask=photo_file("mask.png"), existing="replace")
    assert run(replace(request, max_bytes=600 * 19), engine).status == "ok"
    result = run(replace(request, max_bytes=600 * 19 - 1), engine)
    assert (result.status, result.code) == ("failed", "over_memory_budget")


def test_a_preview_needs_less_than_the_whole_photo(engine, photo_file):
    request = DeblurRequest(photo_file("a.png", (200, 300)), preview=30, existing="replace")
    needed = 200 * 300 * 6 + 30 * 30 * 18
    assert run(replace(request, max_bytes=needed), engine).status == "ok"
    assert run(replace(request, max_bytes=needed - 1), engine).code == "over_memory_budget"
    assert run(replace(request, preview=None, max_bytes=200 * 300 * 18 - 1), engine).code == "over_memory_budget"


def test_a_pixel_limit_below_the_budget_stays_a_pixel_limit(engine, photo_file):
    request = DeblurRequest(photo_file(), max_pixels=599, max_bytes=10**9)
    assert run(request, engine).code == "too_many_pixels"


MEASURED = """
import re, sys
from fdikp.cli import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("budget", [450, 700])
def test_a_process_stays_within_its_budget(photo_file, tmp_path, budget):
    """The peak resident size of `fdikp deblur --memory`. That of a process's child in rusage begins at its parent's."""
    photo_file("a.jpg", (400, 600))
    options = ["deblur", "a.jpg", "--memory", f"{budget}M", "--blur-map", "--quiet", "--device", "cpu"]
    command = [sys.executable, "-c", MEASURED, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 <= budget
