"""How data sets lie on disk: which pictures belong to a set, and which sharp picture to which blurred one.

A layout is a function from a folder and a split to a `Listing`, or None where the folder is not of that layout. It
raises nothing: what does not match is among the listing's faults, so that all of them can be told at once.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from fdikp.data.groups import dpdd_groups
from fdikp.data.listing import Entry, Listing, Split, images_in, number_of
from fdikp.data.manifest import read_manifest

MAX_NUMBER_GAP = 3
"""DPDD: source and target were taken one after the other; their file numbers differ by no more than this."""


Layout = Callable[[Path, Split | None], Listing | None]
"""Given a folder, and a split or None for a folder that is not divided into splits."""


def dpdd(folder: Path, split: Split | None) -> Listing | None:
    """DPDD (Abuolaim and Brown 2020), centre view, paired in the order of names, for names differ by a capture or two.

    As released: `test_c/source/1P0A0917.png` and `test_c/target/1P0A0916.png`. As Restormer repacks it: `inputC/` and
    `target/`, or these with `_crops`; in the folder itself, or below `test/` or `test_crops/`.
    """
    for root in _roots(folder, "DPDD", "dd_dp_dataset_png", "dd_dp_dataset_canon"):
        for sources, targets in _dpdd_folders(root, split):
            if sources.is_dir():
                listing = _by_capture(sources, targets)
                if split == "test":
                    names = [(e.source.stem, e.target.stem) for e in listing.entries if e.target]
                    groups = dpdd_groups((root, sources.parent), names, listing.faults, listing.notes)
                    listing.entries = [replace(entry, group=groups.get(entry.name)) for entry in listing.entries]
                return listing
    return None


def lfdof(folder: Path, split: Split | None) -> Listing | None:
    """LFDOF (Ruan et al. 2021): `test_data/input/IMG_x/*.png`, all to `test_data/ground_truth/IMG_x.png`."""
    for root in _roots(folder, "LFDOF"):
        inputs, truth = root / f"{split}_data" / "input", root / f"{split}_data" / "ground_truth"
        if not inputs.is_dir():
            continue
        listing = Listing()
        targets = _by_key(images_in(truth, listing.faults), _stem, listing.faults)
        if not targets:
            return listing
        scenes = sorted(scene for scene in inputs.iterdir() if scene.is_dir() and not scene.name.startswith("."))
        for scene in scenes:
            sources = images_in(scene, listing.faults)
            listing.entries += [Entry(file.stem, file, targets.get(scene.name)) for file in sources]
            if scene.name not in targets:
                listing.faults.append(f"{scene}: no {scene.name}.png in {truth}; copy the data set again")
        known = {scene.name for scene in scenes}
        alone = [file for name, file in targets.items() if name not in known]
        listing.faults += [f"{file}: no folder {file.stem} in {inputs}; copy the data set again" for file in alone]
        return listing
    return None


def realdof(folder: Path, split: Split | None) -> Listing | None:
    """RealDOF (Lee et al. 2021): `source/01.png` and `target/01.png`; it is a test set, whatever the split."""
    for root in _roots(folder, "RealDOF"):
        if (root / "source").is_dir():
            return _by_name(root)
    return None


def rtf(folder: Path, split: Split | None) -> Listing | None:
    """RTF (D'Andrès et al. 2016): `image/0/image_01.png` and `GT/sharp_01.png`; a test set, whatever the split."""
    for root in _roots(folder, "RTF", "RTFDataset"):
        sources, targets = root / "image" / "0", root / "GT"
        if sources.is_dir():
            return _matched(sources, targets, number_of, "number")
    return None


def cuhk(folder: Path, split: Split | None) -> Listing | None:
    """CUHK (Shi et al. 2014): a flat folder of photographs, without ground truth; those blurred by motion left out."""
    for root in _roots(folder, "CUHK"):
        files = images_in(root, []) if root.is_dir() else []
        defocused = [file for file in files if file.name.startswith("out_of_focus")]
        if files:
            return Listing([Entry(file.stem, file) for file in defocused or files])
    return None


def pixeldp(folder: Path, split: Split | None) -> Listing | None:
    """The smartphone pictures of Abuolaim and Brown 2020, `test_c/source/*.png`, without ground truth."""
    for root in _roots(folder, "PixelDP"):
        sources = root / "test_c" / "source"
        if sources.is_dir() and not (root / "test_c" / "target").is_dir():
            listing = Listing()
            listing.entries = [Entry(file.stem, file) for file in images_in(sources, listing.faults)]
            return listing
    return None


def kodak(folder: Path, split: Split | None) -> Listing | None:
    """The Kodak set, `kodim01.png` ...: sharp pictures, to be rendered out of focus with their numbers as seeds."""
    for root in _roots(folder, "kodak24", "kodak"):
        files = sorted(root.glob("kodim*.png"))
        if files:
            odd = [f for f in files if not re.fullmatch(r"kodim\d+", f.stem)]
            faults = [f"{file}: has no number, which would be its seed; rename or remove it" for file in odd]
            return Listing([Entry(file.stem, file) for file in files], faults)
    return None


def own_pairs(folder: Path, split: Split | None) -> Listing | None:
    """Pairs of one's own: `source/NAME.*` and `target/NAME.*`, a single target belonging to all; or a CSV manifest.

    The two folders lie in the folder itself, or in `train`, `val` and `test` in it. A manifest is not divided.
    """
    if folder.suffix.lower() == ".csv" and folder.is_file():
        return None if split else read_manifest(folder)
    base = folder / split if split else folder
    return _by_name(base) if (base / "source").is_dir() and (base / "target").is_dir() else None


def _roots(folder: Path, *names: str) -> Iterator[Path]:
    """Where a data set may begin: in the folder given, or in one of these names in it."""
    yield folder
    for name in names:
        if (folder / name).is_dir():
            yield from _roots(folder / name, *(other for other in names if other != name))


def _dpdd_folders(root: Path, split: Split | None) -> Iterator[tuple[Path, Path]]:
    """Where DPDD's sources and targets may lie."""
    if split:
        yield root / f"{split}_c" / "source", root / f"{split}_c" / "target"
    parts = (root / split, root / f"{split}_crops") if split else (root,)
    for base in (base for part in parts for base in (part, part / "DPDD")):
        for crops in ("", "_crops"):
            yield base / f"inputC{crops}", base / f"target{crops}"


def _by_capture(sources: Path, targets: Path) -> Listing:
    """Pairs in the order of names, whose numbers must be near each other."""
    listing = Listing()
    blurred, sharp = (images_in(folder, listing.faults) for folder in (sources, targets))
    if listing.faults:
        return listing
    if len(blurred) == len(sharp):
        listing.entries = [Entry(s.stem, s, t) for s, t in zip(blurred, sharp, strict=True)]
        for s, t in zip(blurred, sharp, strict=True):
            if not _near(s, t):
                listing.faults.append(f"{s} does not belong to {t.name}: their numbers are too far apart")
        return listing
    listing.faults.append(
        f"{sources.parent}: {len(blurred)} pictures in {sources.name} but {len(sharp)} in {targets.name}; "
        "copy the data set again"
    )
    listing.entries = [Entry(s.stem, s, min(sharp, key=lambda t: abs(number_of(s) - number_of(t)))) for s in blurred]
    for files, others in ((blurred, sharp), (sharp, blurred)):
        for file in files:
            if not any(_near(file, other) for other in others):
                where = targets.name if files is blurred else sources.name
                listing.faults.append(f"{file}: no picture in {where} has a number within {MAX_NUMBER_GAP} of its own")
    return listing


def _near(one: Path, other: Path) -> bool:
    return abs(number_of(one) - number_of(other)) <= MAX_NUMBER_GAP


def _by_name(base: Path) -> Listing:
    """Pairs of `source/` and `target/` with one name; a single target belongs to all."""
    return _matched(base / "source", base / "target", _stem, "name", single=True)


def _matched(
    sources: Path, targets: Path, key: Callable[[Path], str | int], what: str, *, single: bool = False
) -> Listing:
    """Pairs whose keys are equal. A counterpart that is missing on either side is a fault."""
    listing = Listing()
    blurred, sharp = (images_in(folder, listing.faults) for folder in (sources, targets))
    if single and len(sharp) == 1:
        listing.entries = [Entry(s.stem, s, sharp[0]) for s in blurred]
        return listing
    by_key = _by_key(sharp, key, listing.faults)
    listing.entries = [Entry(s.stem, s, by_key.get(key(s))) for s in blurred]
    if blurred and sharp:
        known = {key(s) for s in blurred}
        alone = [(s, targets) for s in blurred if key(s) not in by_key]
        alone += [(t, sources) for t in sharp if key(t) not in known]
        listing.faults += [f"{file}: no picture of that {what} in {where}; add or remove it" for file, where in alone]
    return listing


def _by_key(files: list[Path], key: Callable[[Path], str | int], faults: list[str]) -> dict[str | int, Path]:
    """Targets by their names without suffix, or by another key; that two have one is a fault."""
    found: dict[str | int, Path] = {}
    for file in files:
        if key(file) in found:
            faults.append(f"{file}: another target has the same name, {found[key(file)].name}; remove one")
        found.setdefault(key(file), file)
    return found


def _stem(file: Path) -> str:
    return file.stem
