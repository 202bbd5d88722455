"""From what a user names (files, folders, globs) to the photographs that are meant."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.cli.console import UsageError

SIDE_PICTURES = ("_blurmap", "_compare")
"""What is added to a photograph's name for the pictures that `deblur` writes beside its result."""


@dataclass(frozen=True, slots=True)
class Found:
    """One input."""

    path: Path
    """Where it is, as the user would write it."""

    place: Path
    """Where its result goes below an output folder: the tree is mirrored."""

    named: bool = False
    """The user named this very file."""

    error: str = ""
    """Why it cannot be used, in one line that names it; empty if it can."""


@dataclass(frozen=True)
class Search:
    """How folders are searched.

    Hidden names, links to folders (they may loop), the output folder and earlier results that lie beside their
    photograph are left out. What the user names is always taken.
    """

    is_photo: Callable[[Path], bool]
    """Whether a name looks like a photograph's."""

    output: Path | None = None
    """The output folder, which may lie inside an input folder."""

    suffixes: tuple[str, ...] = ()
    """What names of results end with, before the extension."""

    def find(self, inputs: Sequence[str]) -> list[Found]:
        """All photographs that the inputs mean, each once, in the order given and then by name.

        What cannot be used is among them, with its error. A glob that nothing matches raises UsageError.

        A folder that is the only input is mirrored as it is: `holiday/a.jpg` goes to `a.jpg` in the output folder. One
        of several inputs keeps its name, `holiday/a.jpg`, so that equal names in different folders do not meet. A glob
        is the folder before its first wildcard with only the matches in it.
        """
        once: dict[str, Found] = {}
        for name in inputs:
            for found in self._expand(name, alone=len(inputs) == 1):
                once.setdefault(os.path.abspath(found.path), found)  # noqa: PTH100 (links stay as they are)
        return list(once.values())

    def _expand(self, name: str, alone: bool) -> Iterator[Found]:
        path = Path(name)
        try:
            if path.is_dir():
                yield from self._below(path, [path], alone)
            elif path.is_file():
                yield Found(path, Path(path.name), named=True)
            elif os.path.lexists(path):
                yield _unusable(path, "not a regular file" if path.exists() else "a link to nothing")
            elif glob.has_magic(name):
                base, pattern = split_glob(path)
                matches = sorted(base.glob(pattern)) if base.is_dir() else []
                found = [*self._below(base, matches, alone)]
                if not found:
                    raise UsageError(f"{path}: no photograph matches")
                yield from found
            else:
                yield _unusable(path, "no such file or folder")
        except (OSError, ValueError) as error:  # too long a name, a null byte, no permission to look
            yield _unusable(path, str(getattr(error, "strerror", None) or error).lower())

    def _below(self, base: Path, starts: Iterable[Path], alone: bool) -> Iterator[Found]:
        """The photographs among `starts` and below them, to be mirrored relative to `base`."""
        prefix = Path() if alone else Path(base.resolve().name)
        stems: dict[Path, set[str]] = {}
        for start in starts:
            if start != base and not self._enters(start.parent, base):
                continue
            if start == base or (start.is_dir() and self._enters(start, base)):
                for path in self._walk(start):
                    if isinstance(path, OSError):
                        yield _unusable(Path(path.filename), f"cannot be read: {path.strerror}".lower())
                    else:
                        yield Found(path, prefix / path.relative_to(base))
            elif start.is_file():
                folder = start.parent
                if folder not in stems:
                    stems[folder] = {sibling.stem for sibling in folder.iterdir()}
                if self._wanted(start, stems[folder]):
                    yield Found(start, prefix / start.relative_to(base))

    def _walk(self, root: Path) -> Iterator[Path | OSError]:
        unreadable: list[OSError] = []
        for here, folders, names in os.walk(root, onerror=unreadable.append):
            folder = Path(here)
            folders[:] = sorted(name for name in folders if self._enters(folder / name, folder))
            stems = {Path(name).stem for name in names}
            for name in sorted(names):
                if self._wanted(folder / name, stems):
                    yield folder / name
        yield from unreadable

    def _enters(self, folder: Path, base: Path) -> bool:
        """Whether a search that began at `base` goes into `folder`."""
        while folder != base:
            if folder.name.startswith(".") or self._is_output(folder):
                return False
            folder = folder.parent
        return True

    def _wanted(self, path: Path, stems: set[str]) -> bool:
        if path.name.startswith(".") or not self.is_photo(path):
            return False
        markers = filter(None, {*self.suffixes, *SIDE_PICTURES})
        return not any(path.stem.endswith(m) and path.stem.removesuffix(m) in stems for m in markers)

    def _is_output(self, folder: Path) -> bool:
        return self.output is not None and self.output.exists() and folder.samefile(self.output)


def split_glob(pattern: Path) -> tuple[Path, str]:
    """The folder before the first wildcard, and the rest. A folder that has brackets in its name is no wildcard.

    >>> split_glob(Path("holiday/2024/**/*.jpg"))
    (PosixPath('holiday/2024'), '**/*.jpg')
    """
    base = Path(pattern.anchor)
    parts = pattern.parts[1:] if pattern.anchor else pattern.parts
    for i, part in enumerate(parts):
        if glob.has_magic(part) and not (base / part).exists():
            return base, "/".join(parts[i:])
        base /= part
    return base, ""


def _unusable(path: Path, reason: str) -> Found:
    return Found(path, Path(path.name), named=True, error=f"{path}: {reason}")
