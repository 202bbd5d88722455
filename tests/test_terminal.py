"""Tables on a terminal of any width: everything in them is there, and no number is cut."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from fdikp.evaluation.tables import grid
from fdikp.terminal import cells, column_widths, draw

HEAD = ("model", "size", "parameters", "PSNR", "time relative to the first", "worst image")
ROWS = (
    ("fdikp-lite", "1680×1120", "700,983", "23.45 → 24.56", "", "1P0A0917 (−0.25 dB)"),
    ("runs/a/weights", "512×512", "5,520,215", "23.45 → –", "×1.23 (1.20 to 1.26)", "a|b with spaces"),
)
SHA256 = "41b0" * 16
DOCUMENT = f"# table1, proxy\n\n**Results**\n\n{grid(HEAD, ROWS)}\n\n- weights: sha256 {SHA256}\n- tile: 512\n"


def test_columns_stand_below_each_other_on_a_wide_terminal(shown):
    lines = shown(150, lambda: draw(DOCUMENT)).splitlines()
    head = next(line for line in lines if line.startswith("model"))
    assert [line.rstrip() for line in lines[:3]] == ["table1, proxy", "", "Results"]
    rows = lines[lines.index(head) + 1 :][:2]
    for n, name in enumerate(HEAD):
        start, end = head.index(name), head.index(name) + len(name)
        for row, line in zip(ROWS, rows, strict=True):
            left, right = line[start:].startswith(row[n]), line[:end].endswith(row[n])
            assert left or right, name
    assert rows[0].index("1680×1120") > rows[0].index("fdikp-lite")
    assert "|" not in "".join(lines).replace("a|b", "") and "**" not in "".join(lines)


@pytest.mark.parametrize("width", [200, 110, 80, 60, 40, 30, 20])
def test_no_value_is_cut_at_any_width(shown, width):
    text = shown(width, lambda: draw(DOCUMENT))
    table = text[: text.index("weights: sha256")]
    assert "…" not in text and "..." not in text
    assert all(cell_len(line) <= width for line in table.splitlines())
    for row in ROWS:
        for number in re.findall(r"[\d.,×]*\d", " ".join(row)):
            if width >= 30 or len(number) <= width // 2:
                assert number in table, number
    assert SHA256 in text  # the terminal wraps it, so that it can be copied as one


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(8, 120),
    rows=st.lists(st.lists(st.text("ab1.| é漢\\−×", max_size=12), min_size=3, max_size=3), min_size=1, max_size=4),
)
def test_every_character_is_there(shown, width, rows):
    text = shown(width, lambda: draw(grid(("x", "yy", "zzz"), rows)))
    expected = Counter("".join("".join(row) for row in rows).replace(" ", ""))
    assert not expected - Counter(text)
    assert "…" not in text


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.text("ab 1"), min_size=2, max_size=2), min_size=1, max_size=4),
    available=st.integers(1, 60),
)
def test_widths_fit_and_hold_every_word(rows, available):
    widths = column_widths(rows, available)
    words = [max(len(word) for row in rows for word in row[n].split() or [""]) for n in range(2)]
    if widths is None:
        assert sum(words) + 2 > available
    else:
        assert sum(widths) + 2 <= available
        assert all(width >= word for width, word in zip(widths, words, strict=True))


def test_cells_are_what_a_grid_was_made_of():
    row = ("a|b", "", r"c\|d", "e")
    assert cells(grid(("w", "x", "y", "z"), [row]).splitlines()[-1]) == list(row)


def test_what_an_encoding_lacks_does_not_stop_a_program(shown):
    text = shown(150, lambda: draw(DOCUMENT), encoding="ascii")
    assert r"1680\xd71120" in text and "fdikp-lite" in text
