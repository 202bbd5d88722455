"""Parse the arguments of a subcommand with tyro. Ours are the layout of its help page, and errors of one line."""

import contextlib
import difflib
import inspect
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fdikp.cli.console import UsageError


def parse(options: Any, args: Sequence[str], prog: str) -> Any:
    """Parse arguments into an instance of the dataclass `options`; print its help page and exit if they ask for it.

    tyro wants all positional arguments side by side and does not know `--`. Shell users expect otherwise, so here every
    argument after `--` is a path, even if it starts with a dash, and inputs may stand on both sides of an option.

    Raises:
        UsageError: the arguments do not fit `options`.
    """
    cut = args.index("--") if "--" in args else len(args)
    if not {"-h", "--help"}.isdisjoint(args[:cut]):
        print(help_page(options, prog))
        raise SystemExit(0)
    paths = [f"./{path}" if path.startswith("-") else path for path in args[cut + 1 :]]
    printed = io.StringIO()
    try:
        parsed, stray = _call_tyro(options, [*args[:cut], *paths], prog, printed)
    except SystemExit as stop:
        if stop.code:
            raise UsageError(f"{in_one_line(printed.getvalue())} (see {prog} --help)") from None
        print(printed.getvalue())  # a completion script
        raise
    dashed = next((argument for argument in stray if argument.startswith("-")), None)
    if dashed is None and stray and hasattr(parsed, "inputs"):
        return replace(parsed, inputs=(*parsed.inputs, *stray))
    if dashed is not None:
        flags = re.findall(r"--[a-z][a-z-]*", help_page(options, prog))
        close = difflib.get_close_matches(dashed.partition("=")[0], flags, n=1, cutoff=0.75)
        hint = f"did you mean {close[0]}?" if close else f"see {prog} --help"
        raise UsageError(f"{dashed}: there is no such option; {hint}")
    if stray:
        usage = help_page(options, prog).partition("\n")[0]
        raise UsageError(f"{stray[0]}: is one argument too many; {usage}")
    return parsed


def with_value(args: Sequence[str], flag: str, default: str) -> list[str]:
    """The arguments, with a default after each `flag` that is not followed by a number: tyro's options need a value.

    >>> with_value(["--preview", "a.jpg", "--preview", "800", "--", "--preview"], "--preview", "1024")
    ['--preview', '1024', 'a.jpg', '--preview', '800', '--', '--preview']
    """
    cut = args.index("--") if "--" in args else len(args)
    filled: list[str] = []
    for argument, following in pairwise([*args[:cut], ""]):
        filled.append(argument)
        if argument == flag and not re.fullmatch(r"[+-]?\d+(\.\d*)?", following):
            filled.append(default)
    return [*filled, *args[cut:]]


def help_page(options: Any, prog: str) -> str:
    """The usage, then the docstring of `options` as it is written, then tyro's list of options."""
    printed = io.StringIO()
    with contextlib.suppress(SystemExit):
        _call_tyro(options, ["--help"], prog, printed)
    lines = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    usage, _, listed = lines.partition("\n\n")
    # After an option without a hint on its default tyro leaves a space, which may become a line of its own
    listed = re.sub(r"\n\n(?= )", "\n", textwrap.dedent(listed)).strip("\n")
    return f"{usage}\n\n{inspect.cleandoc(options.__doc__)}\n\n{listed}"


def _call_tyro(options: Any, args: Sequence[str], prog: str, printed: io.StringIO) -> tuple[Any, list[str]]:
    """The parsed options, and the arguments that fit none of them. What tyro prints goes to `printed`."""
    import tyro

    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        parsed, stray = tyro.cli(options, prog=prog, description="", args=args, config=config, return_unknown_args=True)
    return parsed, stray


def in_one_line(printed: str) -> str:
    """What tyro prints about wrong arguments, as one line. A message of another form keeps tyro's words.

    >>> in_one_line("Missing argument\\n-----\\nMissing value for argument '-o/--output'. Expected 1 values.\\n")
    '--output: needs a value'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯]", "", printed)
    # A title, the message, and more about the option, divided by rules
    sections = re.split(r"^.*(?:-{5}|─{5}).*$", plain, flags=re.MULTILINE)
    lines = [line for line in sections[min(1, len(sections) - 1)].splitlines() if line.strip()]
    text = " ".join(line.strip() for line in lines)
    if text.startswith("Missing from"):
        names = [line.rpartition(", ")[2].strip() for line in lines[1:] if _indent(line) == _indent(lines[1])]
        return f"{_listed(names, 'and')} {'are' if len(names) > 1 else 'is'} missing"
    if match := re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.", text):
        choices = sorted({*re.findall(r"'([^']*)'", match[3])} - {"None"})
        return f"{_flag(match[2])} {match[1]}: choose {_listed(choices, 'or')}"
    if match := re.fullmatch(r"Missing value for argument '(.*?)'.*", text):
        return f"{_flag(match[1])}: needs a value"
    if match := re.fullmatch(r"Error parsing (\S+): .*(int\(\)|float).*: '(.*)'", text):
        return f"{_flag(match[1])} {match[3]}: must be a {'whole ' * (match[2] == 'int()')}number"
    return text or "the command line is wrong"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _flag(names: str) -> str:
    """The long one of an option's names, `-o/--output`."""
    return names.rpartition("/")[2]


def _listed(words: Sequence[str], conjunction: str) -> str:
    """Words as a list in a sentence.

    >>> _listed(["png", "tiff", "webp"], "or")
    'png, tiff or webp'
    """
    return f" {conjunction} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
