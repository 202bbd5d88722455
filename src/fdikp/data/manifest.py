"""The user's own pairs listed in a CSV file. The images may lie anywhere."""

import csv
from pathlib import Path

from fdikp.data.listing import Entry, Listing

COLUMNS = ("source", "target", "group", "name")
"""Columns of a manifest. Group and name are optional; other columns are ignored."""


def read_manifest(file: Path) -> Listing:
    """The pairs of a manifest, in its order. Paths are relative to the manifest's folder.

    A pair without a name takes the name of its source, without suffix. Lines that cannot be read are faults.
    """
    listing = Listing()
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:  # spreadsheets write a byte order mark
            reader = csv.DictReader(text, strict=True)
            missing = [column for column in COLUMNS[:2] if column not in (reader.fieldnames or ())]
            if missing:
                listing.faults.append(f"{file}: no column {' and '.join(missing)}; start it with {','.join(COLUMNS)}")
                return listing
            for row in reader:
                source, target, group, name = ((row.get(column) or "").strip() for column in COLUMNS)
                if not source or not target:
                    what = "target" if source else "source"
                    listing.faults.append(f"{file}: line {reader.line_num} has no {what}; add it or remove the line")
                    continue
                pair = file.parent / source, file.parent / target
                listing.entries.append(Entry(name or pair[0].stem, *pair, group or None))
    except (OSError, ValueError, csv.Error) as error:
        listing.faults.append(f"{file}: cannot be read: {error}; save it as CSV in UTF-8")
        return listing
    if not listing.entries and not listing.faults:
        listing.faults.append(f"{file}: has no pairs; add a line for each")
    return listing
