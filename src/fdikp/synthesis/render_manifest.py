"""The record of a rendered set: manifest.json beside its pairs, from which an interrupted run continues."""

import hashlib
import json
import platform
import re
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fdikp
from fdikp.errors import PhotoError
from fdikp.files import atomic_write, cannot_be_written

if TYPE_CHECKING:
    from fdikp.synthesis.dataset import RenderedSet

NAME = "manifest.json"

SAVE_EVERY = 10.0
"""Seconds between two saves; pairs that are not in the file are rendered again after a crash."""


class DifferentSetError(PhotoError):
    """The folder holds a set that was rendered in another way."""


@dataclass
class RenderManifest:
    """The finished pairs of a set."""

    pairs: "RenderedSet"
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    saved: float = 0.0

    @cached_property
    def header(self) -> dict[str, Any]:
        """What all pairs have in common. Sets with equal `made_with` hold the same pairs."""
        return _header(self.pairs)

    @classmethod
    def open(cls, pairs: "RenderedSet", *, overwrite: bool) -> "RenderManifest":
        """Start a set in its folder, or continue the one in it.

        Args:
            pairs: the set.
            overwrite: delete the pairs in the folder first.

        Raises:
            DifferentSetError: the folder holds a set that was rendered in another way.
            PhotoError: the folder holds other files, or cannot be used.
        """
        manifest = cls(pairs)
        earlier = _read(pairs.folder)
        if earlier is not None and not overwrite:
            manifest._continue(earlier)
        try:
            if overwrite:
                for file in pairs.folder.glob("*/*.png"):
                    if re.fullmatch(r"(source|target|radius)/\d{6,}\.png", file.relative_to(pairs.folder).as_posix()):
                        file.unlink()
            for file in pairs.files(0).values():
                file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhotoError(cannot_be_written(error.filename, error)) from error
        manifest.save()
        return manifest

    def _continue(self, earlier: dict[str, Any]) -> None:
        """Adopt the rows of an earlier run of the same set."""
        before, now = earlier["made_with"], self.header["made_with"]
        hint = "pass overwrite=True to render them again, or choose another folder"
        if before.keys() != now.keys():
            raise DifferentSetError(
                f"{self.pairs.folder}: holds pairs made by a version of fdikp with other settings", hint=hint
            )
        for name, value in now.items():
            if before[name] != value:
                raise DifferentSetError(
                    f"{self.pairs.folder}: holds pairs made with {name} {_short(before[name])}, now {_short(value)}",
                    hint=hint,
                )
        for row in earlier.get("pairs", []):
            self.rows[int(Path(row["file"]).stem)] = row

    def has(self, number: int) -> bool:
        """Whether a pair is finished and all of its files exist."""
        return number in self.rows and all(file.is_file() for file in self.pairs.files(number).values())

    def add(self, number: int, row: dict[str, Any]) -> None:
        """Record a finished pair."""
        self.rows[number] = row
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the file, with the pairs in order."""
        rows = [self.rows[number] for number in sorted(self.rows)]
        path = self.pairs.folder / NAME
        try:
            with atomic_write(path) as file:
                file.write(json.dumps({**self.header, "pairs": rows}, indent=1).encode() + b"\n")
        except OSError as error:
            raise PhotoError(cannot_be_written(path, error)) from error
        self.saved = time.monotonic()


def _header(pairs: "RenderedSet") -> dict[str, Any]:
    import torch

    from fdikp.synthesis.dataset import RADIUS_UNIT

    names = hashlib.sha256()
    for path in pairs.photos:
        names.update(f"{path.name}\0{path.stat().st_size}\n".encode(errors="surrogateescape"))
    return {
        "made_with": {
            "fdikp": fdikp.__version__,
            "photos": len(pairs.photos),
            "photos_sha256": names.hexdigest(),
            "seed": pairs.seed,
            "size": pairs.size,
            "depth": pairs.depth,
            "radius_maps": pairs.radius_maps,
            **asdict(pairs.settings),
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "radius_map_unit_pixels": RADIUS_UNIT,
    }


def _read(folder: Path) -> dict[str, Any] | None:
    """The manifest in a folder; None if the folder is empty or missing."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return None
        content = json.loads((folder / NAME).read_bytes())
    except FileNotFoundError:
        raise PhotoError(f"{folder}: holds files, but no rendered set; choose another folder") from None
    except ValueError:
        raise PhotoError(f"{folder / NAME}: is not the manifest of a rendered set; choose another folder") from None
    except OSError as error:
        raise PhotoError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if not isinstance(content, dict) or not isinstance(content.get("made_with"), dict):
        raise PhotoError(f"{folder / NAME}: is not the manifest of a rendered set; choose another folder")
    return content


def _short(value: object) -> str:
    return str(value) if len(str(value)) < 20 else f"{str(value)[:12]}…"
