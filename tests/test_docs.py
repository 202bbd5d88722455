"""What the build of the documentation does not check: it is complete, and links hold in the repository too."""

import re
import sys
from pathlib import Path

import pytest

from fdikp import cli

ROOT = Path(__file__).parents[1]
MARKDOWN = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "research").glob("*.md")]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name}: {target}#{anchor}"


def test_every_subcommand_has_a_section() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    subcommands = re.findall(r"^  ([a-z]+)  ", cli.overview().partition("examples:")[0], flags=re.MULTILINE)
    assert subcommands
    assert re.findall(r"^## fdikp ([a-z]+)$", page, flags=re.MULTILINE) == subcommands


RULED = """usage: fdikp toy [-h]
                 INPUT

Toy with photos.

Two lines of
one paragraph.

positional arguments
--------------------------
 INPUT  A photo.

compute options
--------------------------
 Where and how.
 --------------------------
 -h, --help  show this
 --tile INT, -t INT
             Side of tiles
             in pixels.
"""

INDENTED = """usage: fdikp toy [-h]
                 INPUT

Toy with photos.

Two lines of
one paragraph.

positional arguments:
  INPUT    A photo.

compute options:
  Where and how.

  -h, --help  show this
  --tile INT, -t INT
           Side of tiles
           in pixels.
"""


@pytest.mark.parametrize("text", [RULED, INDENTED], ids=["tyro", "argparse"])
def test_options_are_taken_from_the_printed_help(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_extensions")
    sys.modules.pop("program_help", None)
    import program_help

    help = program_help.parse(text)
    assert help.usage == "fdikp toy [-h] INPUT"
    assert [paragraph.split() for paragraph in help.description] == [
        ["Toy", "with", "photos."],
        ["Two", "lines", "of", "one", "paragraph."],
    ]
    arguments, compute = help.groups
    assert (arguments.title, arguments.about) == ("positional arguments", "")
    assert arguments.options == (program_help.Option("INPUT", "A photo."),)
    assert (compute.title, compute.about) == ("compute options", "Where and how.")
    assert compute.options[1] == program_help.Option("--tile INT, -t INT", "Side of tiles in pixels.")
    shown = list(program_help.markdown("fdikp toy", help))
    assert "Two lines of one paragraph." in shown
    assert "```{option} --tile INT, -t INT" in shown and not any("--help" in line for line in shown)
