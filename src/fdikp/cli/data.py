"""`fdikp data check`: validate a data set and report everything that is wrong with it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fdikp.cli import console
from fdikp.cli.console import UsageError
from fdikp.cli.model_options import Flag
from fdikp.errors import DataError

if TYPE_CHECKING:
    from fdikp.data import EvaluationSet

SHOWN_SIZES = 4
"""Number of image sizes that the summary lists."""


@dataclass(frozen=True)
class Options:
    """Validate a data set before you measure or train with it.

    Checks names, counterparts, sizes, bit depths, and whether files are
    damaged or truncated. Every fault is printed on its own line. The exit code
    is 1 if there are any. Pairs whose source has the pixels of its target are a
    warning: a network may learn from them to keep what is in focus, but
    measurements leave them out, because their PSNR is infinite.

    NAME is the kind of the data set, in any case: dpdd, lfdof, realdof, rtf,
    cuhk, pixeldp, kodak-rendered or pairs. With any other name the kind is
    recognised by the folder: one of these layouts, or your own pairs in
    source/ and target/ with the same names in both. Pairs may also be listed
    in a CSV file with the columns source,target and optionally group,name;
    paths in it are relative to the file.

    Examples:
      fdikp data check dpdd datasets/DPDD/
      fdikp data check mine my-pairs/ --deep
      fdikp data check mine pairs.csv
    """

    # The action: check.
    action: Annotated[Literal["check"], tyro.conf.Positional]

    # Name or kind of the data set.
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]

    # Folder of the data set, or a CSV file.
    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]

    # Split to check, if the set is divided: train, val or test.
    split: Literal["train", "val", "test"] = "test"

    # Decode every file, to find damaged data. Otherwise only float images are decoded; of others, the header is read.
    deep: Flag = False

    # Print one JSON object instead of lines.
    json: Flag = False


def run(options: Options) -> int:
    """Validate the set, print the report, and return the exit code."""
    from fdikp.data import open_set

    if not options.path:  # from an unset variable; it would mean the current folder
        raise UsageError("PATH is empty; give a path (. is the current folder)")
    faults: tuple[str, ...] = ()
    facts = {}
    try:
        facts = _facts(open_set(options.name, Path(options.path), options.split, deep=options.deep))
    except DataError as error:
        faults = error.faults
    if options.json:
        about = {"data": options.name, "path": options.path, "split": options.split}
        console.result(json.dumps({"ok": not faults, **about, **facts, "faults": faults}))
    else:
        for fault in faults:
            console.result(fault)
        for line in _lines(facts) if facts else ():
            console.result(line)
    if faults:
        console.problem(f"{options.name}: {len(faults)} fault{'s' * (len(faults) > 1)}")
    return 1 if faults else 0


def _facts(data: "EvaluationSet") -> dict[str, Any]:
    """The report on a valid set."""
    from fdikp.data.identical import identical_pairs

    sizes = Counter(f"{sample.width}x{sample.height}" for sample in data.samples)
    return {
        "kind": data.kind,
        "images": len(data.samples),
        "truth": all(sample.has_target for sample in data.samples),
        "sizes": dict(sizes.most_common()),
        "bits": max(sample.bits for sample in data.samples),
        "groups": dict(Counter(sample.group for sample in data.samples if sample.group)),
        "identical": list(identical_pairs(data.samples)),
        "notes": list(data.notes),
    }


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """The report as lines of text."""
    from fdikp.data import SETS

    title, truth = SETS[facts["kind"]].title, "with" if facts["truth"] else "without"
    yield f"{title}: {facts['images']} images {truth} ground truth, {facts['bits']} bit"
    sizes = [f"{size} ({count})" for size, count in facts["sizes"].items()]
    rest = [f"{len(sizes) - SHOWN_SIZES} other sizes"] if len(sizes) > SHOWN_SIZES else []
    yield f"sizes   {', '.join(sizes[:SHOWN_SIZES] + rest)}"
    if facts["groups"]:
        yield f"groups  {', '.join(f'{group} ({count})' for group, count in facts['groups'].items())}"
    yield from (f"note    {note}" for note in facts["notes"])
    if identical := facts["identical"]:
        count = f"{len(identical)} of {facts['images']} sources equal their targets"
        yield f"warning {count}, and are left out of measurements: {', '.join(identical)}"
