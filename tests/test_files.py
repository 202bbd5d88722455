import errno
import os
import stat
from pathlib import Path

import pytest

from fdikp.files import atomic_write, cannot_be_written


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"earlier")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"earlier"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()])
def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"earlier")
    with pytest.raises(type(failure)), atomic_write(path) as file:
        file.write(b"half")
        raise failure
    assert path.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"earlier")
    link = tmp_path / "link"
    link.symlink_to("real")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "a") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_an_error_without_advice_is_still_said() -> None:
    assert cannot_be_written("a", OSError(errno.EIO, "Input/output error")).endswith("Input/output error")
    assert cannot_be_written(Path("a"), OSError("odd")) == "a: cannot be written: odd"
