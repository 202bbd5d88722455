"""A function in a child process: its result comes back, and whatever it does ends the child alone."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdikp.errors import FdikpError
from fdikp.imaging import read_photo
from fdikp.service.child import Limits, run_limited

LIMITS = Limits(memory=2**30, seconds=30)


@pytest.mark.parametrize("shape", [(0,), (3,), (300, 500, 3)], ids=str)
def test_arrays_come_back_and_can_be_written(shape: tuple[int, ...]) -> None:
    array = run_limited(LIMITS, np.ones, shape, np.uint16)
    assert (array.shape, array.dtype, array.flags.writeable) == (shape, np.uint16, True)
    assert (array == 1).all()


def test_arguments_arrive() -> None:
    given = np.random.default_rng(0).random((200, 300))
    assert np.array_equal(run_limited(LIMITS, np.flip, given, axis=1), given[:, ::-1])
    assert run_limited(LIMITS, os.getpid) != os.getpid()


@pytest.mark.parametrize(
    ("function", "args", "limits", "code", "message"),
    [
        (int, ("x",), LIMITS, "internal_error", "unexpected ValueError: invalid literal"),
        (read_photo, ("nothing.jpg",), LIMITS, "photo_not_found", "nothing.jpg: no such file"),
        (bytearray, (2**31,), LIMITS, "over_memory_budget", "takes more than the 1024 MiB of memory"),
        (time.sleep, (60,), Limits(2**30, 0.3), "timed_out", "took too long; send a smaller photo"),
        (os.abort, (), LIMITS, "photo_damaged", "its codec died"),
        (os._exit, (0,), LIMITS, "photo_damaged", "its codec died"),
    ],
    ids=["exception", "typed error", "memory", "time", "abort", "exit"],
)
def test_a_fault_of_a_child_is_an_error(
    function: Callable[..., Any], args: tuple[Any, ...], limits: Limits, code: str, message: str
) -> None:
    with pytest.raises(FdikpError) as caught:
        run_limited(limits, function, *args)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_a_result_is_not_copied_in_the_child() -> None:
    assert len(run_limited(Limits(2**29, 30), np.ones, 2**27, np.uint8)) == 2**27  # 128 MiB, twice too much


def test_a_child_writes_no_larger_file(tmp_path: Path) -> None:
    for allowed in (0, 100):
        with pytest.raises(FdikpError, match="file too large"):
            run_limited(Limits(2**30, 30, file_bytes=allowed), Path.write_bytes, tmp_path / "a", bytes(101))
    assert run_limited(Limits(2**30, 30, file_bytes=101), Path.write_bytes, tmp_path / "a", bytes(101)) == 101
