import re

import pytest

from fdikp.data.layouts import Entry
from fdikp.data.manifest import read_manifest


def test_paths_start_where_the_manifest_lies(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("target,source,group,name,note\nsharp/1.png,blurred/a.png,near,first,!\n../x.png,/y/b.png,,,\n\n")
    listing = read_manifest(file)
    assert listing.faults == []
    first, second = listing.entries
    assert first == Entry("first", tmp_path / "blurred/a.png", tmp_path / "sharp/1.png", "near")
    assert second.name == "b" and second.group is None
    assert str(second.source) == "/y/b.png"


def test_spreadsheets_begin_with_a_mark(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_bytes(b'\xef\xbb\xbfsource,target\r\n"a, b.png",c.png\r\n')
    assert [entry.name for entry in read_manifest(file).entries] == ["a, b"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (b"", ["no column source and target"]),
        (b"source,sharp\na.png,b.png\n", ["no column target"]),
        (b"source,target\n", ["has no pairs"]),
        (b"source,target\na.png,\n,b.png\nc.png,d.png\ne.png\n",
         ["line 2 has no target", "line 3 has no source", "line 5"]),
        (b"source,target\n\"a.png,b.png\n", ["cannot be read.*save it as CSV"]),
        (b"source,target\n\xff.png,b.png\n", ["cannot be read.*UTF-8"]),
    ],
)  # fmt: skip
def test_every_fault_is_reported(tmp_path, text, faults):
    file = tmp_path / "pairs.csv"
    file.write_bytes(text)
    found = read_manifest(file).faults
    assert len(found) == len(faults)
    assert all(re.search(rf"pairs\.csv: .*{pattern}", fault) for pattern, fault in zip(faults, found, strict=True))
