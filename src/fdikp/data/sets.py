"""Data sets for evaluation: opened by name and folder, and validated completely before anything runs on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast, get_args

import numpy as np

from fdikp.data import layouts
from fdikp.data.faults import try_map
from fdikp.data.headers import Header, read_header
from fdikp.data.layouts import Layout
from fdikp.data.listing import Entry, Listing, Split
from fdikp.data.pairs import size_mismatch
from fdikp.data.readers import read_unit
from fdikp.errors import DataError

Pixels = tuple[np.ndarray, np.ndarray | None]
"""Source and target, each upright RGB [H, W, 3], float32 in 0..1; the target is None without ground truth."""


@dataclass(frozen=True)
class Sample:
    """One image of an evaluation set. It can be sent to other processes."""

    name: str
    """Name without folder and suffix, unique in the set."""
    group: str | None
    """A part of the set that is also reported separately, such as DPDD's `indoor`."""
    height: int
    width: int
    bits: int
    """Bits per sample in the source's file."""
    has_target: bool
    """Whether there is ground truth."""
    files: tuple[Path, Path] | None
    """Source and target on disk; None without ground truth, or if the source is rendered."""
    reader: Callable[[], Pixels]

    def load(self) -> Pixels:
        """Read or render source and target, each [H, W, 3] float32 in 0..1, exact for 16 bits.

        Raises:
            DataError: a file is damaged, or has changed since the set was opened.
        """
        return self.reader()


@dataclass(frozen=True)
class EvaluationSet:
    """A validated data set for evaluation."""

    name: str
    """The user's name for it."""
    kind: str
    """A key of `SETS`."""
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    """Facts that matter for its scores, such as that it is only a part of the published set."""


@dataclass(frozen=True)
class DataSetKind:
    """A published data set, or the user's own pairs."""

    title: str
    layout: Layout
    expected: str
    """Description of its folder, with `{split}`, for error messages."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of images in each published split. A set with `test` alone has no splits."""
    aligned: bool = False
    """Whether source and target are aligned to the pixel, as metrics such as overshoot require. Own pairs are assumed
    to be; the two exposures of a published real pair are about a pixel apart."""


SETS: dict[str, DataSetKind] = {
    "pixeldp": DataSetKind("PixelDP", layouts.pixeldp, "test_c/source/ without test_c/target/"),
    "dpdd": DataSetKind(
        "DPDD",
        layouts.dpdd,
        "{split}_c/source/ and {split}_c/target/, or inputC/ and target/",
        {"train": 350, "val": 74, "test": 76},
    ),
    "lfdof": DataSetKind(
        "LFDOF",
        layouts.lfdof,
        "{split}_data/input/IMG_x/ and {split}_data/ground_truth/",
        {"train": 11261, "test": 725},
    ),
    "rtf": DataSetKind("RTF", layouts.rtf, "image/0/image_NN.png and GT/sharp_NN.png", {"test": 22}),
    "kodak-rendered": DataSetKind(
        "Kodak, rendered", layouts.kodak, "kodim01.png, kodim02.png ...", {"test": 24}, aligned=True
    ),
    "pairs": DataSetKind("own pairs", layouts.own_pairs, "source/ and target/, or is a CSV file", aligned=True),
    "realdof": DataSetKind("RealDOF", layouts.realdof, "source/NN.png and target/NN.png", {"test": 50}),
    "cuhk": DataSetKind("CUHK", layouts.cuhk, "photos in one folder", {"test": 704}),
}
"""Every kind of set, in the order in which folders are recognised. The last two cannot be told from other pairs and
other images: they are recognised by name only."""

_BY_NAME_ONLY = ("realdof", "cuhk")


def open_set(
    name: str, path: Path, split: str = "test", kind: str | None = None, *, deep: bool = False
) -> EvaluationSet:
    """Open and validate a data set.

    Args:
        name: the user's name for the set. A key of `SETS`, in any case, determines its kind; for other names the folder
            does.
        path: its folder or the parent of its folder; for own pairs also a CSV file.
        split: `train`, `val` or `test`, if the set is divided into splits.
        kind: a key of `SETS`, if neither name nor folder determine it.
        deep: decode every file. Otherwise only float images are decoded, which may hold NaN; of others, the header is
            read.

    Raises:
        DataError: the set cannot be used as it is; `faults` has a line for each reason.
    """
    path = Path(path)
    if kind is not None and kind not in SETS:
        raise DataError(f"{kind}: no such kind of data set; choose among {', '.join(SETS)}")
    if split not in get_args(Split):
        raise DataError(f"{split}: no such split; choose train, val or test")
    kind, listing = _recognise(path, cast(Split, split), kind or name.lower())
    headers, faults = _inspect(listing.entries, deep)
    faults = [*listing.faults, *_name_faults(listing.entries), *faults]
    if faults:
        more = f"; and {len(faults) - 1} more faults: fdikp data check lists them" if len(faults) > 1 else ""
        raise DataError(faults[0] + more, faults)
    notes = [*listing.notes]
    published = SETS[kind].counts.get(split if len(SETS[kind].counts) > 1 else "test")
    if published and len(listing.entries) != published:
        notes.append(
            f"{len(listing.entries)} images where {SETS[kind].title} has {published}: "
            "scores are not comparable with published ones"
        )
    samples = (_sample(entry, headers[entry.source], rendered=kind == "kodak-rendered") for entry in listing.entries)
    return EvaluationSet(name, kind, tuple(samples), tuple(notes))


def _recognise(path: Path, split: Split, kind: str) -> tuple[str, Listing]:
    """The kind of a set and the listing of its folder. `kind` may be any name."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give the folder of a data set")
    kinds = [kind] if kind in SETS else [key for key in SETS if key not in _BY_NAME_ONLY]
    for key in kinds:
        listing = SETS[key].layout(path, split) or SETS[key].layout(path, None)
        if listing is not None:
            return key, listing
    if kind in SETS:
        expected = SETS[kind].expected.format(split=split)
        raise DataError(f"{path}: is not laid out as {SETS[kind].title}, which has {expected}")
    raise DataError(
        f"{path}: no data set with a known layout; give source/ and target/ or a CSV file, "
        f"or name the set by its kind: {', '.join(SETS)}"
    )


def _name_faults(entries: list[Entry]) -> list[str]:
    """Faults of names: not unique, or not usable as a file name."""
    first: dict[str, Entry] = {}
    faults = []
    for entry in entries:
        if not entry.name or set(entry.name) & set("/\\\0") or entry.name in (".", ".."):
            faults.append(f"{entry.source}: is named '{entry.name}', which cannot be a file name; choose another name")
        elif first.setdefault(entry.name, entry) is not entry:
            other = first[entry.name].source
            faults.append(f"{entry.source}: has the same name as {other}; rename or remove one")
    return faults


def _inspect(entries: list[Entry], deep: bool) -> tuple[dict[Path, Header], list[str]]:
    """The header of every readable file, and the faults of the files."""
    files = list(dict.fromkeys(file for e in entries for file in (e.source, e.target) if file))
    results = dict(zip(files, try_map(read_header, files), strict=True))
    headers = {file: header for file, header in results.items() if isinstance(header, Header)}
    faults = [str(error) for error in results.values() if isinstance(error, DataError)]
    decoded = [file for file, header in headers.items() if deep or header.floating]
    faults += [str(error) for error in try_map(_decode, decoded) if error]
    for entry in entries:
        source, target = headers.get(entry.source), entry.target and headers.get(entry.target)
        if entry.target and source and target:
            source_size, target_size = (source.height, source.width), (target.height, target.width)
            if source_size != target_size:
                faults.append(size_mismatch(entry.source, source_size, entry.target, target_size))
    depths = [header.bits for header in headers.values()]
    usual = max(depths, key=depths.count, default=8)
    faults += [
        f"{file}: has {header.bits} bits per sample, but most of the set has {usual}; "
        "convert it, or copy the data set again"
        for file, header in headers.items()
        if header.bits != usual
    ]
    return headers, faults


def _decode(file: Path) -> None:
    read_unit(file)


def _sample(entry: Entry, header: Header, rendered: bool) -> Sample:
    reader = partial(_render, entry.source) if rendered else partial(_read, entry.source, entry.target)
    has_target = rendered or entry.target is not None
    files = (entry.source, entry.target) if entry.target and not rendered else None
    return Sample(entry.name, entry.group, header.height, header.width, header.bits, has_target, files, reader)


def _read(source: Path, target: Path | None) -> Pixels:
    return read_unit(source), read_unit(target) if target else None


def _render(sharp: Path) -> Pixels:
    """An image of the Kodak benchmark, rendered out of focus, and its target."""
    from fdikp.synthesis.kodak import kodak_pair

    pair = kodak_pair(sharp)
    source, target = (np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in (pair.blurred, pair.target))
    return source, target
