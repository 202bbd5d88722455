"""Find the photos that a list of inputs (files, folders, globs) stands for."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fdikp.errors import ErrorCode, PhotoError, PhotoNotFoundError
from fdikp.imaging.formats import is_photo_path
from fdikp.jobs.request import PREVIEW_SUFFIX, RESULT_SUFFIX, SIDE_IMAGES
from fdikp.jobs.skipped import SkippedFile, skipped_file


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


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search finds."""

    photos: list[InputPath]
    """Every photo, once, in the order of the inputs and then by name. Those that cannot be used have an `error`."""

    skipped: list[SkippedFile]
    """Files in folders that look like photos and are not taken."""


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
        """The photos that `search` finds."""
        return self.search(inputs).photos

    def search(self, inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Findings:
        """Every photo that the inputs stand for, and what is left out.

        A folder that is the only input is mirrored without its own name: `holiday/a.jpg` goes to `a.jpg` in the output
        folder. One of several inputs keeps its name, `holiday/a.jpg`, so that equal names in different folders do not
        collide. A glob counts as the folder before its first wildcard, with only the matching files in it.

        Args:
            inputs: files, folders and globs; or one of them.

        Returns:
            What is found. A missing file, a folder without any photo and a glob that matches none are photos with an
            `error`; the other inputs are not affected.
        """
        names = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
        photos: dict[str, InputPath] = {}
        skipped: dict[str, SkippedFile] = {}
        for name in names:
            for found in self._expand(name, alone=len(names) == 1):
                place = os.path.abspath(found.path)  # noqa: PTH100 (keeps links as they are)
                if isinstance(found, InputPath):
                    photos.setdefault(place, found)
                else:
                    skipped[place] = found
        taken = {*photos, *map(os.path.abspath, names)}
        return Findings([*photos.values()], [one for place, one in skipped.items() if place not in taken])

    def _expand(self, name: str, alone: bool) -> Iterator[InputPath | SkippedFile]:
        path = Path(name)
        try:
            if path.is_dir():
                found = [*self._below(path, [path], alone)]
                yield from found or [_unusable(path, "no photo in it", "no_photo_found")]
            elif path.is_file():
                yield InputPath(path, Path(path.name), named=True)
            elif os.path.lexists(path):
                yield _unusable(path, "not a regular file" if path.exists() else "a link to nothing")
            elif glob.has_magic(name):
                base, pattern = split_glob(path)
                matches = sorted(base.glob(pattern)) if base.is_dir() else []
                found = [*self._below(base, matches, alone)]
                yield from found or [_unusable(path, "no photo matches", "no_photo_found")]
            else:
                yield InputPath(
                    path, Path(path.name), named=True, error=PhotoNotFoundError(f"{path}: no such file or folder")
                )
        except (OSError, ValueError) as error:  # the name is too long or has a null byte, or a folder is not readable
            yield _unusable(path, str(getattr(error, "strerror", None) or error).lower())

    def _below(self, base: Path, starts: Iterable[Path], alone: bool) -> Iterator[InputPath | SkippedFile]:
        """The photos among `starts` and below them, mirrored relative to `base`."""
        prefix = Path() if alone else Path(base.resolve().name)
        stems_by_folder: dict[Path, set[str]] = {}
        for start in starts:
            if start != base and not self._may_enter(start.parent, base):
                continue
            found: Iterable[Path | SkippedFile | OSError | None] = ()
            if start == base or (start.is_dir() and self._may_enter(start, base)):
                found = self._walk(start)
            elif start.is_file():
                folder = start.parent
                if folder not in stems_by_folder:
                    stems_by_folder[folder] = {sibling.stem for sibling in folder.iterdir()}
                found = [self._judge(start, stems_by_folder[folder])]
            for one in found:
                if isinstance(one, Path):
                    yield InputPath(one, prefix / one.relative_to(base))
                elif isinstance(one, OSError):
                    yield _unusable(Path(one.filename), f"cannot be read: {one.strerror}".lower())
                elif one is not None:
                    yield one

    def _walk(self, root: Path) -> Iterator[Path | SkippedFile | OSError | None]:
        """The photos and the skipped files below a folder, then an error for each folder that cannot be read."""
        unreadable: list[OSError] = []
        for here, folders, names in os.walk(root, onerror=unreadable.append):
            folder = Path(here)
            folders[:] = sorted(name for name in folders if self._may_enter(folder / name, folder))
            links = [folder / name for name in folders if (folder / name).is_symlink()]
            yield from (SkippedFile(link, "folder_link", "folder") for link in links)
            stems = {Path(name).stem for name in names}
            for name in sorted(names):
                yield self._judge(folder / name, stems)
        yield from unreadable

    def _may_enter(self, folder: Path, base: Path) -> bool:
        """Whether a search that started at `base` enters `folder`."""
        while folder != base:
            if folder.name.startswith(".") or _is_same(folder, self.output) or _is_same(folder, self.mask):
                return False
            folder = folder.parent
        return True

    def _judge(self, path: Path, stems: set[str]) -> Path | SkippedFile | None:
        """A file in a folder, whose files have these stems: a photo to take, or not; None if it is no photo at all."""
        if _is_same(path, self.mask):
            return None
        hidden = path.name.startswith(".")
        suffixes = filter(None, {*self.suffixes, PREVIEW_SUFFIX, *(suffix for suffix, _ in SIDE_IMAGES.values())})
        result = any(path.stem.endswith(s) and path.stem.removesuffix(s) in stems for s in suffixes)
        if hidden or result or not self.is_photo(path):
            return skipped_file(path, hidden=hidden, earlier_result=result)
        return path


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


def _unusable(path: Path, reason: str, code: ErrorCode = "photo_unreadable") -> InputPath:
    error = PhotoError(f"{path}: {reason}", code=code)
    return InputPath(path, Path(path.name), named=True, error=error)
