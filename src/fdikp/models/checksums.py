"""The sha256 of the shipped weights: a file beside them, `SHA256SUMS`, which `sha256sum --check` reads too."""

import re
from collections.abc import Mapping
from pathlib import Path

from fdikp.errors import WeightsError
from fdikp.files import atomic_write

NAME = "SHA256SUMS"
SUFFIX = ".safetensors"

_LINE = re.compile(rf"([0-9a-f]{{64}}) [ *]([^/\\]+){re.escape(SUFFIX)}")


def read_checksums(folder: Path) -> dict[str, str]:
    """The hexadecimal sha256 of each model in a folder, by the model's name, in the order of the file.

    Raises:
        WeightsError: the file is missing or malformed.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise WeightsError(f"{path}: cannot be read: {reason}; reinstall fdikp") from None
    matches = [_LINE.fullmatch(line) for line in lines]
    if not matches or None in matches:
        raise WeightsError(f"{path}: is not a list of sha256 as sha256sum writes it; reinstall fdikp")
    return {match[2]: match[1] for match in matches if match}


def write_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    """Write the list that `read_checksums` reads.

    Raises:
        OSError: the file cannot be written.
    """
    lines = [f"{digest}  {name}{SUFFIX}\n" for name, digest in checksums.items()]
    with atomic_write(folder / NAME) as file:
        file.write("".join(lines).encode())
