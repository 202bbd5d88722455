"""Folders of results, by any method: which file belongs to which target, and what each scores."""

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
    """The pictures below one folder."""

    title: str
    """What it is called in tables and messages."""
    files: dict[str, Path]
    """By name: the path below the folder, without the extension."""


@dataclass(frozen=True)
class Case:
    """One picture and what every method made of it."""

    name: str
    target: Path
    source: Path | None
    outputs: dict[str, Path]
    """By the method's title."""

    @property
    def files(self) -> list[Path]:
        """All of them, the target first."""
        return [self.target, *([self.source] if self.source else []), *self.outputs.values()]


def gather(title: str, files: Iterable[tuple[Path, Path]]) -> Folder:
    """A folder of pictures, each given as its path below the folder and the path to open.

    Raises:
        DataError: some differ in nothing but the extension.
    """
    named: dict[str, Path] = {}
    faults = []
    for place, file in files:
        name = place.with_suffix("").as_posix()
        if named.setdefault(name, file) is not file:
            faults.append(f"{file}: {named[name].name} has the same name; remove one of them")
    raise_faults(faults)
    return Folder(title, named)


def ending(names: Collection[str], keys: Collection[str]) -> str | None:
    """What a method appends to names, such as `_deblurred`; "" if nothing, None if it may be several things.

    It is the ending that most names have. Two that as many have are ambiguous, but for the empty one.

    >>> ending(["a", "b"], ["a_out", "b_out"])
    '_out'
    >>> ending(["1", "10"], ["1_out", "10_out"])
    '_out'
    >>> ending(["a", "b"], ["a_x", "b_x", "a_y", "b_y"]) is None
    True
    """
    counts = Counter(key[len(name) :] for name in names for key in keys if key.startswith(name))
    most = max(counts.values(), default=0)
    often = [each for each, count in counts.items() if count == most]
    if "" in often or not often:
        return ""
    return often[0] if len(often) == 1 else None


def match(target: Folder, methods: Sequence[Folder], source: Folder | None = None) -> list[Case]:
    """A case for each picture, in the order of names; those of the source if there is one. A single target belongs to
    every source.

    Raises:
        DataError: pictures without a counterpart, or a folder whose files may be matched in several ways; all of them.
    """
    first = source or target
    faults: list[str] = []
    if source and len(target.files) == 1:
        targets = dict.fromkeys(source.files, next(iter(target.files.values())))
    else:
        targets = _matched(first, target, faults)
    outputs = {method.title: _matched(first, method, faults) for method in methods}
    raise_faults(faults)
    return [
        Case(
            name,
            targets[name],
            source.files[name] if source else None,
            {title: files[name] for title, files in outputs.items()},
        )
        for name in sorted(first.files)
    ]


def _matched(first: Folder, other: Folder, faults: list[str]) -> dict[str, Path]:
    """The files of `other` by the names of `first`; what is wrong is added to `faults`."""
    if first is other:
        return first.files
    captured = by_capture(first, other)
    if captured:
        return captured
    appended = ending(first.files, other.files)
    if appended is None:
        faults.append(f"{other.title}: several files for each picture of {first.title}; keep the results alone")
        return {}
    wanted = {name + appended: name for name in first.files}
    missing = [key for key in wanted if key not in other.files]
    stray = [file for key, file in other.files.items() if key not in wanted]
    faults += [f"{other.title}: no picture {key} for {first.files[wanted[key]]}; add or remove it" for key in missing]
    faults += [f"{file}: no picture of that name in {first.title}; add or remove it" for file in stray]
    return {wanted[key]: file for key, file in other.files.items() if key in wanted}


def by_capture(first: Folder, other: Folder) -> dict[str, Path] | None:
    """The files of `other` by the names of `first`, if their names are DPDD's, which names source and target by two
    captures, one taken after the other; None if they are not."""
    orders = [sorted(folder.files, key=_capture) for folder in (first, other)]
    numbers = [[_capture(name) for name in order] for order in orders]
    if len(orders[0]) != len(orders[1]) or set(numbers[0]) & set(numbers[1]):
        return None
    near = (0 < abs(a - b) <= MAX_NUMBER_GAP and min(a, b) >= 0 for a, b in zip(*numbers, strict=True))
    return {a: other.files[b] for a, b in zip(*orders, strict=True)} if all(near) else None


def _capture(name: str) -> int:
    """The number in a name of DPDD's, such as 1P0A0917; -1 if it is none."""
    number = re.search(r"1P0A(\d+)", name)
    return int(number[1]) if number else -1


def check(cases: Sequence[Case], protocol: "Protocol", data: str = "") -> list[tuple[int, int]]:
    """Height and width of each case as the protocol prepares it, from the files' headers.

    Raises:
        DataError: files that cannot be read, that have neither the size of their target nor the one that the
            protocol makes of it, or that are too small for it; all of them.
    """

    @cache
    def prepared(height: int, width: int) -> tuple[int, int]:
        blank = torch.zeros(1, 3, height, width)
        height, width = protocol.prepare(blank, None, data)[0].shape[-2:]
        return height, width

    sizes: dict[Path, tuple[int, int]] = {}
    faults: list[str] = []
    found: list[tuple[int, int]] = []
    for file in dict.fromkeys(file for case in cases for file in case.files):
        try:
            sizes[file] = image_size(file)
        except DataError as error:
            faults += error.faults
    for case in cases:
        if case.target not in sizes:
            continue
        size = sizes[case.target]
        try:
            found.append(prepared(*size))
        except DataError as error:
            faults.append(f"{case.target}: {error}")
            continue
        allowed = {file: {size} if file == case.source else {size, found[-1]} for file in case.files}
        faults += [
            f"{file} is {_shown(sizes[file])} but its target {case.target.name} {_shown(size)}; "
            "pictures that are compared must have one size"
            for file in case.files
            if file in sizes and sizes[file] not in allowed[file]
        ]
    raise_faults(faults)
    return found


def score_folders(
    cases: Sequence[Case],
    protocol: "Protocol",
    lpips: LPIPS | None = None,
    data: str = "",
    done: Callable[[], None] = lambda: None,
) -> tuple[ImageResult, ...]:
    """What each method's picture of each case scores, and its input where there is a source.

    `data` is what the results call the set, and what the protocol goes by; `done` is called after each case. No more
    than the pictures of one case are held.

    Raises:
        DataError: pictures that are damaged within or not finite; all of them.
    """
    results: list[ImageResult] = []
    faults: list[str] = []
    for case in cases:
        try:
            target = _unit(case.target)
            before, _ = _scores(case.source, target, protocol, lpips, data) if case.source else ({}, target)
        except DataError as error:
            faults += error.faults
        else:
            for title, file in case.outputs.items():
                try:
                    after, scored = _scores(file, target, protocol, lpips, data)
                except DataError as error:
                    faults += error.faults
                    continue
                height, width = (int(side) for side in scored.shape[-2:])
                results.append(
                    ImageResult(title, data, case.name, None, width, height, dict(before), dict(after), None)
                )
        done()
    raise_faults(list(dict.fromkeys(faults)))
    return tuple(results)


def _scores(
    file: Path, target: Tensor, protocol: "Protocol", lpips: LPIPS | None, data: str
) -> tuple[Mapping[str, float], Tensor]:
    """The scores of a file, and the target as it was scored."""
    picture = _unit(file)
    if picture.shape == target.shape:
        picture, target = (protocol.prepare(image, None, data)[0] for image in (picture, target))
    else:  # a method that saved what the protocol had prepared for it
        target = protocol.prepare(target, None, data)[0]
    with torch.inference_mode():
        scores = protocol.score(picture, target, lpips, data)
    return scores, protocol.scored(target, data)


def _unit(file: Path) -> Tensor:
    """[1, 3, H, W] float32, 0..1 but for a float file, which may go beyond."""
    pixels = as_unit(read_image(file))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
