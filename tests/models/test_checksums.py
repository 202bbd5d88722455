"""The list of the shipped files' sha256."""

import shutil
import subprocess
from pathlib import Path

import pytest

from fdikp.errors import WeightsError
from fdikp.models.checksums import NAME, read_checksums, write_checksums
from fdikp.models.descriptor import FOLDER, SHIPPED


def test_it_round_trips(tmp_path: Path) -> None:
    checksums = {"b": "0" * 64, "a model": "f" * 64}
    write_checksums(tmp_path, checksums)
    assert list(read_checksums(tmp_path).items()) == list(checksums.items())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_agrees() -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", NAME], cwd=FOLDER, check=True)
    assert read_checksums(FOLDER) == SHIPPED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is not a list of sha256"),
        (b"0" * 63 + b"  a.safetensors\n", "is not a list of sha256"),
        (b"0" * 64 + b"  a.pt\n", "is not a list of sha256"),
        (b"0" * 64 + b"  ../a.safetensors\n", "is not a list of sha256"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_a_damaged_list(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as error:
        read_checksums(tmp_path)
    assert str(error.value).endswith("reinstall fdikp") and "\n" not in str(error.value)
