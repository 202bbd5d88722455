"""A directive that documents a subcommand of `fdikp` from what its `--help` prints.

The program is run while the documentation is built, so that a page never says something else than the program does.
Every option becomes an `option` of Sphinx, which can be linked to.
"""

import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from fdikp.cli import main

WIDTH = 400
"""Columns of the terminal that `--help` is printed to, so that hardly an option's text is wrapped."""

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")


@dataclass(frozen=True)
class Option:
    """An option or a positional argument: how it is written, and what it does."""

    signature: str
    text: str


@dataclass(frozen=True)
class Group:
    """Options under one title."""

    title: str
    about: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Help:
    """What `--help` prints, in parts."""

    usage: str
    description: tuple[str, ...]
    """Paragraphs, with the line breaks that they were printed with."""
    groups: tuple[Group, ...]


def parse(text: str) -> Help:
    """Take a printed help apart: usage, description, and groups of options.

    tyro rules off the title of each group, argparse ends it with a colon; both indent the options.
    """
    if start := re.search(r"^\S.*\n-{10,}$", text, flags=re.MULTILINE):
        groups = [_ruled(block) for block in re.split(r"\n\n+(?=\S)", text[start.start() :].strip())]
    elif start := re.search(r"^(positional arguments|options):$", text, flags=re.MULTILINE):
        groups = [_indented(block) for block in re.split(r"\n\n(?=\S)", text[start.start() :].strip())]
    else:
        groups = []
    head = text[: start.start()] if start else text
    usage, *description = re.split(r"\n\n+", head.strip())
    return Help(" ".join(usage.removeprefix("usage: ").split()), tuple(description), tuple(groups))


def _ruled(block: str) -> Group:
    """A group as tyro prints it; a second rule follows what the group is about."""
    title, _, *rows = block.splitlines()
    rows = [row[1:] for row in rows]
    rule = next((number + 1 for number, row in enumerate(rows) if row and not row.strip("-")), 0)
    return Group(title, " ".join(rows[: max(rule - 1, 0)]), _options(rows[rule:]))


def _indented(block: str) -> Group:
    """A group as argparse prints it; an empty row follows what the group is about."""
    title, *rows = block.splitlines()
    rows = [row[2:] for row in rows]
    rule = rows.index("") + 1 if "" in rows else 0
    return Group(title.removesuffix(":"), " ".join(rows[: max(rule - 1, 0)]), _options(rows[rule:]))


def _options(rows: list[str]) -> tuple[Option, ...]:
    """Options from rows of which those that continue an option are indented."""
    options: list[Option] = []
    for row in filter(None, rows):
        if row.startswith(" "):
            last = options.pop()
            options.append(Option(last.signature, f"{last.text} {row.strip()}".strip()))
        else:
            signature, _, text = row.partition("  ")
            options.append(Option(signature, text.strip()))
    return tuple(options)


def markdown(program: str, help: Help) -> Iterator[str]:
    """The lines of a section that has the parts of a help."""
    yield from ("```text", help.usage, "```", "")
    for paragraph in help.description:
        lines = [line.removeprefix("  ") for line in paragraph.splitlines()]
        if any("  " in line for line in lines) or lines[0] == "Examples:":
            title, *block = lines
            yield from (escape(title), "", "```text", *block, "```", "")
        else:
            yield from (escape(" ".join(lines)), "")
    yield from (f"```{{program}} {program}", "```", "")
    for group in help.groups:
        options = [option for option in group.options if not option.signature.startswith("-h")]
        yield from (f"**{escape(group.title.capitalize())}**", "", escape(group.about), "") if options else ()
        for option in options:
            yield from (f"```{{option}} {option.signature}", escape(option.text), "```", "")


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return MARKDOWN.sub(r"\\\1", text)


def printed(arguments: list[str]) -> str:
    """What `fdikp ARGUMENTS --help` prints."""
    os.environ["COLUMNS"] = str(WIDTH)
    stdout = TextIOWrapper(BytesIO(), encoding="utf-8")
    with redirect_stdout(stdout):
        code = main([*arguments, "--help"])
    if code:
        raise ExtensionError(f"fdikp {' '.join(arguments)} --help: exit code {code}")
    stdout.seek(0)
    return stdout.read()


class ProgramHelp(SphinxDirective):
    """`{program-help} deblur`: usage, description and options of `fdikp deblur`.

    With `:literal:` the help is shown as it is printed; with `:no-options:` its options are left out.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"literal": bool, "no-options": bool}  # noqa: RUF012  (as docutils declares it)

    def run(self) -> list[nodes.Node]:
        """Run the program and parse what it prints, at every build: Sphinx does not know what the page depends on."""
        self.env.note_reread()
        text = printed(self.arguments[0].split())
        program = f"fdikp {self.arguments[0]}"
        if "literal" in self.options:
            return self.parse_text_to_nodes(f"```text\n{text}\n```")
        help = parse(text)
        if "no-options" in self.options:
            help = Help(help.usage, help.description, ())
        elif not any(group.options for group in help.groups):
            raise self.error(f"{program} --help: no options found; has the layout of its help changed?")
        return self.parse_text_to_nodes("\n".join(markdown(program, help)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this when it loads the extension."""
    app.add_directive("program-help", ProgramHelp)
    return {"parallel_read_safe": True}
