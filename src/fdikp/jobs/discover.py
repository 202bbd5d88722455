"""Find the photos that a list of inputs (files, folders, globs) stands for."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.errors import PhotoError, PhotoNotFoundError, RequestError
from fdikp.imaging.formats import is_photo_path
from fdikp.jobs.request import PREVIEW_SUFFIX, RESULT_SUFFIX, SIDE_IMAGES


@dataclass(frozen=True, slots=True)
class InputPath:
    """One file among the inputs."""

    path: Path
    """The file, as the user would write it."""

    place: Path
    """Where its result goes below an output folder: the input tree is mirrored."""

    named: bool = False
    """Whether the user named this very file."""

    error: PhotoError | None = None
    """Why the file cannot be used; None if it can."""


@dataclass(frozen=True)
class InputFinder:
    """How folders are searched.

    Hidden names, links to folders (they may loop), the output folder, masks, and earlier results that lie beside their
    photo are left out. A file that the user names is always taken.
    """

    is_photo: Callable[[Path], bool] = is_photo_path
    """Whether a file in a folder is taken, by its name."""

    output: Path | None = None
    """The output folder, which may lie inside an input folder."""

    suffixes: tuple[str, ...] = (RESULT_SUFFIX,)
    """What the names of earlier results end with, before the extension."""

    mask: Path | None = None
    """The mask, or the folder of masks, which may lie inside an input folder."""

    def find(self, inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[InputPath]:
        """Every photo that the inputs stand for, once, in the order of the inputs and then by name.

        A folder that is the only input is mirrored without its own name: `holiday/a.jpg` goes to `a.jpg` in the output
        folder. One of several inputs keeps its name, `holiday/a.jpg`, so that equal names in different folders do not
        collide. A glob counts as the folder before its first wildcard, with only the matching files in it.

        Args:
            inputs: files, folders and globs; or one of them.

        Returns:
            Usable and unusable files; the latter have an `error`.

        Raises:
            RequestError: a glob matches no photo.
        """
        names = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
        by_path: dict[str, InputPath] = {}
        for name in names:
            for found in self._expand(name, alone=len(names) == 1):
                by_path.setdefault(os.path.abspath(found.path), found)  # noqa: PTH100 (keeps links as they are)
        return list(by_path.values())

    def _expand(self, name: str, alone: bool) -> Iterator[InputPath]:
        path = Path(name)
        try:
            if path.is_dir():
                yield from self._below(path, [path], alone)
            elif path.is_file():
                yield InputPath(path, Path(path.name), named=True)
            elif os.path.lexists(path):
                yield _unusable(path, "not a regular file" if path.exists() else "a link to nothing")
            elif glob.has_magic(name):
                base, pattern = split_glob(path)
                matches = sorted(base.glob(pattern)) if base.is_dir() else []
                found = [*self._below(base, matches, alone)]
                if not found:
                    raise RequestError(f"{path}: no photo matches", code="no_photo_found")
                yield from found
            else:
                yield InputPath(
                    path, Path(path.name), named=True, error=PhotoNotFoundError(f"{path}: no such file or folder")
                )
        except (OSError, ValueError) as error:  # the name is too long or has a null byte, or a folder is not readable
            yield _unusable(path, str(getattr(error, "strerror", None) or error).lower())

    def _below(self, base: Path, starts: Iterable[Path], alone: bool) -> Iterator[InputPath]:
        """The photos among `starts` and below them, mirrored relative to `base`."""
        prefix = Path() if alone else Path(base.resolve().name)
        stems_by_folder: dict[Path, set[str]] = {}
        for start in starts:
            if start != base and not self._may_enter(start.parent, base):
                continue
            if start == base or (start.is_dir() and self._may_enter(start, base)):
                for path in self._walk(start):
                    if isinstance(path, OSError):
                        yield _unusable(Path(path.filename), f"cannot be read: {path.strerror}".lower())
                    else:
                        yield InputPath(path, prefix / path.relative_to(base))
            elif start.is_file():
                folder = start.parent
                if folder not in stems_by_folder:
                    stems_by_folder[folder] = {sibling.stem for sibling in folder.iterdir()}
                if self._takes(start, stems_by_folder[folder]):
                    yield InputPath(start, prefix / start.relative_to(base))

    def _walk(self, root: Path) -> Iterator[Path | OSError]:
        """The photos below a folder, then an error for each folder that cannot be read."""
        unreadable: list[OSError] = []
        for here, folders, names in os.walk(root, onerror=unreadable.append):
            folder = Path(here)
            folders[:] = sorted(name for name in folders if self._may_enter(folder / name, folder))
            stems = {Path(name).stem for name in names}
            for name in sorted(names):
                if self._takes(folder / name, stems):
                    yield folder / name
        yield from unreadable

    def _may_enter(self, folder: Path, base: Path) -> bool:
        """Whether a search that started at `base` enters `folder`."""
        while folder != base:
            if folder.name.startswith(".") or _is_same(folder, self.output) or _is_same(folder, self.mask):
                return False
            folder = folder.parent
        return True

    def _takes(self, path: Path, stems: set[str]) -> bool:
        """Whether a file in a folder, whose files have these stems, is a photo and no earlier result."""
        if path.name.startswith(".") or not self.is_photo(path) or _is_same(path, self.mask):
            return False
        suffixes = filter(None, {*self.suffixes, PREVIEW_SUFFIX, *(suffix for suffix, _ in SIDE_IMAGES.values())})
        return not any(path.stem.endswith(s) and path.stem.removesuffix(s) in stems for s in suffixes)


def split_glob(pattern: Path) -> tuple[Path, str]:
    """The folder before the first wildcard, and the rest. An existing folder with brackets in its name is no wildcard.

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


def _is_same(path: Path, other: Path | None) -> bool:
    """Whether two paths, the first of which exists, lead to one file or folder."""
    return other is not None and other.exists() and path.samefile(other)


def _unusable(path: Path, reason: str) -> InputPath:
    error = PhotoError(f"{path}: {reason}", code="photo_unreadable")
    return InputPath(path, Path(path.name), named=True, error=error)
