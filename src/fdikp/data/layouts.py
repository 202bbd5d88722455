"""Folder layouts of data sets: which images belong to a set, and which sharp image to which blurred one.

A layout is a function from a folder and a split to a `Listing`, or None if the folder does not have that layout. It
does not raise: whatever does not match is a fault in the listing, so that all faults can be reported at once.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from fdikp.data.groups import dpdd_groups
from fdikp.data.listing import Entry, Listing, Split, images_in, number_of
from fdikp.data.manifest import read_manifest

MAX_NUMBER_GAP = 3
"""Largest difference of the file numbers of a DPDD pair, whose images were taken one after the other."""


Layout = Callable[[Path, Split | None], Listing | None]
"""From a folder, and a split, or None for a folder that is not divided into splits."""


def dpdd(folder: Path, split: Split | None) -> Listing | None:
    """DPDD (Abuolaim and Brown 2020), centre view. Pairs follow the order of names, whose numbers differ slightly.

    As released: `test_c/source/1P0A0917.png` and `test_c/target/1P0A0916.png`. As repacked by Restormer: `inputC/` and
    `target/`, or both with the suffix `_crops`; in the folder itself, or below `test/` or `test_crops/`.
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
    """LFDOF (Ruan et al. 2021): all `test_data/input/IMG_x/*.png` belong to `test_data/ground_truth/IMG_x.png`."""
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
        names = {scene.name for scene in scenes}
        unmatched = [file for name, file in targets.items() if name not in names]
        listing.faults += [f"{file}: no folder {file.stem} in {inputs}; copy the data set again" for file in unmatched]
        return listing
    return None


def realdof(folder: Path, split: Split | None) -> Listing | None:
    """RealDOF (Lee et al. 2021): `source/01.png` and `target/01.png`. A test set: the split is ignored."""
    for root in _roots(folder, "RealDOF"):
        if (root / "source").is_dir():
            return _by_name(root)
    return None


def rtf(folder: Path, split: Split | None) -> Listing | None:
    """RTF (D'Andrès et al. 2016): `image/0/image_01.png` and `GT/sharp_01.png`. A test set: the split is ignored."""
    for root in _roots(folder, "RTF", "RTFDataset"):
        sources, targets = root / "image" / "0", root / "GT"
        if sources.is_dir():
            return _matched(sources, targets, number_of, "number")
    return None


def cuhk(folder: Path, split: Split | None) -> Listing | None:
    """CUHK (Shi et al. 2014): a flat folder of photos without ground truth; photos with motion blur are left out."""
    for root in _roots(folder, "CUHK"):
        files = images_in(root, []) if root.is_dir() else []
        defocused = [file for file in files if file.name.startswith("out_of_focus")]
        if files:
            return Listing([Entry(file.stem, file) for file in defocused or files])
    return None


def pixeldp(folder: Path, split: Split | None) -> Listing | None:
    """PixelDP, the smartphone photos of Abuolaim and Brown 2020: `test_c/source/*.png`, without ground truth."""
    for root in _roots(folder, "PixelDP"):
        sources = root / "test_c" / "source"
        if sources.is_dir() and not (root / "test_c" / "target").is_dir():
            listing = Listing()
            listing.entries = [Entry(file.stem, file) for file in images_in(sources, listing.faults)]
            return listing
    return None


def kodak(folder: Path, split: Split | None) -> Listing | None:
    """The Kodak set, `kodim01.png` ...: sharp images, to be rendered out of focus with their numbers as seeds."""
    for root in _roots(folder, "kodak24", "kodak"):
        files = sorted(root.glob("kodim*.png"))
        if files:
            unnumbered = [file for file in files if not re.fullmatch(r"kodim\d+", file.stem)]
            faults = [f"{file}: has no number to use as its seed; rename or remove it" for file in unnumbered]
            return Listing([Entry(file.stem, file) for file in files], faults)
    return None


def own_pairs(folder: Path, split: Split | None) -> Listing | None:
    """The user's own pairs: `source/NAME.*` and `target/NAME.*`, or a CSV manifest.

    A single image in `target/` belongs to all sources. The two folders lie in the folder itself, or in its subfolders
    `train`, `val` and `test`. A manifest has no splits.
    """
    if folder.suffix.lower() == ".csv" and folder.is_file():
        return None if split else read_manifest(folder)
    base = folder / split if split else folder
    return _by_name(base) if (base / "source").is_dir() and (base / "target").is_dir() else None


def _roots(folder: Path, *names: str) -> Iterator[Path]:
    """Possible roots of a data set: the given folder, and its subfolders with one of these names."""
    yield folder
    for name in names:
        if (folder / name).is_dir():
            yield from _roots(folder / name, *(other for other in names if other != name))


def _dpdd_folders(root: Path, split: Split | None) -> Iterator[tuple[Path, Path]]:
    """Possible folders of DPDD's sources and targets."""
    if split:
        yield root / f"{split}_c" / "source", root / f"{split}_c" / "target"
    parts = (root / split, root / f"{split}_crops") if split else (root,)
    for base in (base for part in parts for base in (part, part / "DPDD")):
        for crops in ("", "_crops"):
            yield base / f"inputC{crops}", base / f"target{crops}"


def _by_capture(sources: Path, targets: Path) -> Listing:
    """Pairs in the order of names, whose numbers must be close to each other."""
    listing = Listing()
    blurred, sharp = (images_in(folder, listing.faults) for folder in (sources, targets))
    if listing.faults:
        return listing
    if len(blurred) == len(sharp):
        listing.entries = [Entry(s.stem, s, t) for s, t in zip(blurred, sharp, strict=True)]
        for s, t in zip(blurred, sharp, strict=True):
            if not _near(s, t):
                listing.faults.append(
                    f"{s} does not belong to {t.name}: their numbers are too far apart; copy the data set again"
                )
        return listing
    listing.faults.append(
        f"{sources.parent}: {len(blurred)} images in {sources.name} but {len(sharp)} in {targets.name}; "
        "copy the data set again"
    )
    listing.entries = [Entry(s.stem, s, min(sharp, key=lambda t: abs(number_of(s) - number_of(t)))) for s in blurred]
    for files, others in ((blurred, sharp), (sharp, blurred)):
        for file in files:
            if not any(_near(file, other) for other in others):
                where = targets.name if files is blurred else sources.name
                listing.faults.append(f"{file}: no image in {where} has a number within {MAX_NUMBER_GAP} of its own")
    return listing


def _near(one: Path, other: Path) -> bool:
    return abs(number_of(one) - number_of(other)) <= MAX_NUMBER_GAP


def _by_name(base: Path) -> Listing:
    """Pairs of `source/` and `target/` with equal names; a single target belongs to all sources."""
    return _matched(base / "source", base / "target", _stem, "name", single=True)


def _matched(
    sources: Path, targets: Path, key: Callable[[Path], str | int], what: str, *, single: bool = False
) -> Listing:
    """Pairs with equal keys. A file without a counterpart is a fault."""
    listing = Listing()
    blurred, sharp = (images_in(folder, listing.faults) for folder in (sources, targets))
    if single and len(sharp) == 1:
        listing.entries = [Entry(s.stem, s, sharp[0]) for s in blurred]
        return listing
    by_key = _by_key(sharp, key, listing.faults)
    listing.entries = [Entry(s.stem, s, by_key.get(key(s))) for s in blurred]
    if blurred and sharp:
        source_keys = {key(s) for s in blurred}
        unmatched = [(s, targets) for s in blurred if key(s) not in by_key]
        unmatched += [(t, sources) for t in sharp if key(t) not in source_keys]
        listing.faults += [f"{file}: no image of that {what} in {where}; add or remove it" for file, where in unmatched]
    return listing


def _by_key(files: list[Path], key: Callable[[Path], str | int], faults: list[str]) -> dict[str | int, Path]:
    """Targets by key. Two targets with the same key are a fault."""
    by_key: dict[str | int, Path] = {}
    for file in files:
        if key(file) in by_key:
            faults.append(f"{file}: another target has the same name, {by_key[key(file)].name}; remove one")
        by_key.setdefault(key(file), file)
    return by_key


def _stem(file: Path) -> str:
    return file.stem
