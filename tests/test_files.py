import errno
import os
import stat
from pathlib import Path

import pytest

from fdikp.files import atomic_write, attributes_of, cannot_be_written, set_permissions


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


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
@pytest.mark.parametrize(("asked", "given"), [(0o600, 0o600), (0o777, 0o777), (0o444, 0o444), (0o6755, 0o755)])
def test_permissions_are_those_asked_for_from_the_first_byte(tmp_path: Path, asked: int, given: int) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a", asked) as file:
            (temporary,) = tmp_path.iterdir()
            assert stat.S_IMODE(temporary.stat().st_mode) == given
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == given


def test_a_file_system_without_permissions_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    with atomic_write(tmp_path / "a", 0o600) as file:
        file.write(b"new")
    set_permissions(tmp_path / "a", 0o600)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_attributes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    path.chmod(0o640)
    os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    attributes = attributes_of(path)
    assert attributes is not None
    assert (attributes.accessed_ns, attributes.modified_ns) == (1_000_000_001, 2_000_000_002)
    assert attributes.permissions == 0o640 or os.name != "posix"


@pytest.mark.parametrize("name", ["gone", "a\0b", "x" * 5000])
def test_a_file_that_is_not_there_has_no_attributes(tmp_path: Path, name: str) -> None:
    assert attributes_of(tmp_path / name) is None


def test_an_error_without_advice_is_still_said() -> None:
    assert cannot_be_written("a", OSError(errno.EIO, "Input/output error")).endswith("Input/output error")
    assert cannot_be_written(Path("a"), OSError("odd")) == "a: cannot be written: odd"
