"""Folders of images that any methods made: match their files to targets, and score them."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fdikp.data import image_size, read_image
from fdikp.data.faults import raise_faults
from fdikp.data.layouts import MAX_NUMBER_GAP
from fdikp.errors import DataError
from fdikp.evaluation.results import ImageResult
from fdikp.imaging import as_unit
from fdikp.metrics.lpips import LPIPS

if TYPE_CHECKING:
    from fdikp.evaluation.protocols import Protocol


@dataclass(frozen=True)
class Folder:
    """The images in a folder and its subfolders."""

    title: str
    """Its name in tables and messages."""
    files: dict[str, Path]
    """By name, which is the path relative to the folder without the extension."""


@dataclass(frozen=True)
class MatchedImage:
    """A target, its source, and the output of each method."""

    name: str
    target: Path
    source: Path | None
    outputs: dict[str, Path]
    """By the title of the method's folder."""

    @property
    def files(self) -> list[Path]:
        """All its files, the target first."""
        return [self.target, *([self.source] if self.source else []), *self.outputs.values()]


def gather(title: str, files: Iterable[tuple[Path, Path]]) -> Folder:
    """A folder from pairs of paths: relative to the folder, and the one to open.

    Raises:
        DataError: files differ in the extension alone.
    """
    named: dict[str, Path] = {}
    faults = []
    for relative, file in files:
        name = relative.with_suffix("").as_posix()
        if named.setdefault(name, file) is not file:
            faults.append(f"{file}: {named[name].name} has the same name; remove one of them")
    raise_faults(faults)
    return Folder(title, named)


def common_suffix(names: Collection[str], keys: Collection[str]) -> str | None:
    """The suffix that a method appends to names, such as `_deblurred`; "" if none, None if ambiguous.

    It is the suffix that turns most names into keys. A tie is ambiguous, unless the empty suffix is among the first.

    >>> common_suffix(["a", "b"], ["a_out", "b_out"])
    '_out'
    >>> common_suffix(["1", "10"], ["1_out", "10_out"])
    '_out'
    >>> common_suffix(["a", "b"], ["a_x", "b_x", "a_y", "b_y"]) is None
    True
    """
    counts = Counter(key[len(name) :] for name in names for key in keys if key.startswith(name))
    highest = max(counts.values(), default=0)
    most_frequent = [suffix for suffix, count in counts.items() if count == highest]
    if "" in most_frequent or not most_frequent:
        return ""
    return most_frequent[0] if len(most_frequent) == 1 else None


@dataclass(frozen=True)
class Matching:
    """The images that all folders have, and what some folders lack."""

    images: list[MatchedImage]
    missing: list[tuple[str, list[str]]]
    """The title of each folder that lacks images, and their names."""
    strays: list[tuple[str, list[str]]]
    """The title of each folder with files that belong to no image, and those files."""
    faults: list[str]
    """A line for each missing image and each stray file."""


def match(target: Folder, methods: Sequence[Folder], source: Folder | None = None) -> Matching:
    """Match the files of all folders by name, sorted by the names of the sources, or targets without sources.

    A method may append a suffix to any of its names. A single target belongs to every source.

    Raises:
        DataError: a folder has several files for an image, or no image is in all folders; lists all of them.
    """
    first = source or target
    unusable: list[str] = []
    matches: list[dict[str, Path]] = []
    missing: list[tuple[str, list[str]]] = []
    strays: list[tuple[str, list[str]]] = []
    faults: list[str] = []
    for folder in (target, *methods):
        if folder is target and source and len(target.files) == 1:
            found = dict.fromkeys(source.files, next(iter(target.files.values())))
        else:
            found = _matched(first, folder, unusable)
        matches.append(found)
        if lacks := [name for name in first.files if name not in found]:
            missing.append((folder.title, lacks))
            faults += [f"{folder.title}: no image for {first.files[name]}; add or remove it" for name in lacks]
        matched = set(found.values())
        if extra := [file for file in folder.files.values() if file not in matched]:
            strays.append((folder.title, [file.name for file in extra]))
            faults += [f"{file}: no image of that name in {first.title}; add or remove it" for file in extra]
    raise_faults(unusable)
    images = [
        MatchedImage(
            name,
            matches[0][name],
            source.files[name] if source else None,
            {method.title: found[name] for method, found in zip(methods, matches[1:], strict=True)},
        )
        for name in sorted(first.files)
        if all(name in found for found in matches)
    ]
    if not images:
        raise DataError(f"{first.title}: none of its images is in all folders; give results of the same images")
    return Matching(images, missing, strays, faults)


def _matched(first: Folder, other: Folder, unusable: list[str]) -> dict[str, Path]:
    """The files of `other` by the names of `first`; `unusable` receives a line if none or several belong to a name."""
    if first is other:
        return first.files
    captured = by_capture(first, other)
    if captured:
        return captured
    suffix = common_suffix(first.files, other.files)
    keys = {name: name + (suffix or "") for name in first.files if name + (suffix or "") in other.files}
    used = set(keys.values())
    twice = []
    for key in other.files:
        name = None if key in used else _owner(key, first.files)
        if name is not None and keys.setdefault(name, key) is not key:
            twice.append(
                f"{other.files[key]}: {other.files[keys[name]].name} belongs to {first.files[name].name} too; "
                "keep one of them"
            )
    if twice and suffix is None:
        twice = [f"{other.title}: several files for each image of {first.title}; keep only the results"]
    unusable += twice
    if not keys:
        unusable.append(f"{other.title}: no file has the name of an image of {first.title}; give results of its images")
    return {name: other.files[key] for name, key in keys.items()}


def _owner(key: str, names: Collection[str]) -> str | None:
    """The name that a file's name is, or is with a suffix such as `_deblurred`; the longest of several.

    >>> _owner("a_b_out", ["a", "a_b"]), _owner("a_2", ["a"]), _owner("ab", ["a"])
    ('a_b', None, None)
    """
    if key in names:
        return key
    owners = [name for name in names if key.startswith(name) and _SUFFIX.fullmatch(key[len(name) :])]
    return max(owners, key=len, default=None)


_SUFFIX = re.compile(r"[^0-9A-Za-z/][^/]*[A-Za-z][^/]*")
"""A suffix that a single file may have: from a separator on, and more than a number, which tells photos apart."""


def by_capture(first: Folder, other: Folder) -> dict[str, Path] | None:
    """The files of `other` by the names of `first` if both are named as in DPDD, else None.

    DPDD names source and target of a pair by the numbers of two captures, one taken shortly after the other.
    """
    orders = [sorted(folder.files, key=_capture) for folder in (first, other)]
    numbers = [[_capture(name) for name in order] for order in orders]
    if len(orders[0]) != len(orders[1]) or set(numbers[0]) & set(numbers[1]):
        return None
    near = (0 < abs(a - b) <= MAX_NUMBER_GAP and min(a, b) >= 0 for a, b in zip(*numbers, strict=True))
    return {a: other.files[b] for a, b in zip(*orders, strict=True)} if all(near) else None


def _capture(name: str) -> int:
    """The number in a DPDD name such as 1P0A0917, or -1."""
    number = re.search(r"1P0A(\d+)", name)
    return int(number[1]) if number else -1


def check(images: Sequence[MatchedImage], protocol: "Protocol", data: str = "") -> list[tuple[int, int]]:
    """Height and width of each image as the protocol prepares it, from the files' headers.

    Raises:
        DataError: files cannot be read, are too small for the protocol, or have neither the size of their target nor
            its prepared size; lists all of them.
    """

    @cache
    def prepared(height: int, width: int) -> tuple[int, int]:
        blank = torch.zeros(1, 3, height, width)
        height, width = protocol.prepare(blank, None, data)[0].shape[-2:]
        return height, width

    sizes: dict[Path, tuple[int, int]] = {}
    faults: list[str] = []
    prepared_sizes: list[tuple[int, int]] = []
    for file in dict.fromkeys(file for image in images for file in image.files):
        try:
            sizes[file] = image_size(file)
        except DataError as error:
            faults += error.faults
    for image in images:
        if image.target not in sizes:
            continue
        size = sizes[image.target]
        try:
            prepared_sizes.append(prepared(*size))
        except DataError as error:
            faults.append(f"{image.target}: {error}")
            continue
        allowed = {file: {size} if file == image.source else {size, prepared_sizes[-1]} for file in image.files}
        faults += [
            f"{file} is {_size_text(sizes[file])} but its target {image.target.name} {_size_text(size)}; "
            "compare images of one size"
            for file in image.files
            if file in sizes and sizes[file] not in allowed[file]
        ]
    raise_faults(faults)
    return prepared_sizes


def score_folders(
    images: Sequence[MatchedImage],
    protocol: "Protocol",
    lpips: LPIPS | None = None,
    data: str = "",
    done: Callable[[], None] = lambda: None,
) -> tuple[ImageResult, ...]:
    """Score the output of each method for each image, and the source if there is one.

    Only the files of one image are in memory at a time.

    Args:
        images: the matched files.
        protocol: how images are scored.
        lpips: the LPIPS metric; without it that score is left out.
        data: name of the set in the results, and its kind for the protocol's rules.
        done: called after each image.

    Raises:
        DataError: files are damaged or hold values that are not finite; lists all of them.
    """
    results: list[ImageResult] = []
    faults: list[str] = []
    for image in images:
        try:
            target = _unit(image.target)
            before, _ = _scores(image.source, target, protocol, lpips, data) if image.source else ({}, target)
        except DataError as error:
            faults += error.faults
        else:
            for title, file in image.outputs.items():
                try:
                    after, scored = _scores(file, target, protocol, lpips, data)
                except DataError as error:
                    faults += error.faults
                    continue
                height, width = (int(side) for side in scored.shape[-2:])
                results.append(
                    ImageResult(title, data, image.name, None, width, height, dict(before), dict(after), None)
                )
        done()
    raise_faults(list(dict.fromkeys(faults)))
    return tuple(results)


def _scores(
    file: Path, target: Tensor, protocol: "Protocol", lpips: LPIPS | None, data: str
) -> tuple[Mapping[str, float], Tensor]:
    """The scores of a file, and the scored part of its target."""
    output = _unit(file)
    if output.shape == target.shape:
        output, target = (protocol.prepare(image, None, data)[0] for image in (output, target))
    else:  # the method saved its result at the prepared size
        target = protocol.prepare(target, None, data)[0]
    with torch.inference_mode():
        scores = protocol.score(output, target, lpips, data)
    return scores, protocol.scored(target, data)


def _unit(file: Path) -> Tensor:
    """[1, 3, H, W] float32 in 0..1; float files may exceed that range."""
    pixels = as_unit(read_image(file))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
