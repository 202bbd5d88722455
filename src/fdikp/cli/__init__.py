"""The command line, `fdikp VERB ...`: a file for each verb.

A verb is a module of this package with two names: `Options`, a frozen dataclass whose docstring and field comments are
its `--help`, and `run(options)`, which does the work and returns the exit code. A verb whose defaults depend on its
arguments has `parse(args, prog)` in place of `Options`. To add one, write the module and name it in `VERBS`. Verbs
import what is heavy (torch, pyvips, matplotlib, numpy) inside functions: help must be instant.
"""

import difflib
import inspect
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import fdikp
from fdikp.cli import console
from fdikp.cli.stopping import stop_code, stoppable

VERBS = {
    "deblur": "bring photographs back into focus",
    "analyse": "show what the network saw and did in one photograph",
    "render": "make out-of-focus pictures of sharp ones, to train and measure with",
    "train": "train or fine-tune a network, on real pairs or on rendered defocus",
    "average": "take the mean of trained weights",
    "data": "check a data set: names, pairs, sizes, damaged files",
    "evaluate": "measure models on data sets, under a named protocol",
    "compare": "score and rank folders of results, by any methods",
    "reproduce": "the paper's tables and figures",
    "benchmark": "time models here, beside what the machine can do and beside others",
    "doctor": "check this installation: devices, formats, weights, speed",
}
"""What each verb is for; the key is the module's name too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0: all went right. 1: something failed, and one line on stderr says what. 2: the command line is wrong.
    130, 143, 141: stopped by Ctrl-C, by SIGTERM, by the reader of our output.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        with stoppable():
            code = _run(args)
            sys.stdout.flush()
            return code
    except SystemExit as stop:  # the option parser's way to say "help shown" or "wrong"
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as stop:
        console.problem("stopped")
        return stop_code(stop)
    except BrokenPipeError:
        console.close_stdout()
        return 141
    except Exception as error:
        console.problem(console.explain(error))
        return 2 if isinstance(error, console.UsageError) else 1


def _run(args: list[str]) -> int:
    name = args[0] if args else ""
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name in ("-V", "--version"):
        print(f"fdikp {fdikp.__version__}")
        return 0
    if not name:
        print(overview(), file=sys.stderr)
        return 2
    if name not in VERBS:
        close = difflib.get_close_matches(name, VERBS, n=1) or ["deblur"]
        raise console.UsageError(
            f"there is no verb '{name}', only {', '.join(VERBS)}; did you mean 'fdikp {close[0]}'?"
        )
    verb = import_module(f"fdikp.cli.{name}")
    prog = f"fdikp {name}"
    options = verb.parse(args[1:], prog) if hasattr(verb, "parse") else parse(verb.Options, args[1:], prog)
    code: int = verb.run(options)
    return code


def overview() -> str:
    """What `fdikp --help` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:{width}}  {purpose}" for name, purpose in VERBS.items())
    return (
        "usage: fdikp VERB ...\n\n"
        "Brings out-of-focus photographs back into focus.\n\n"
        f"verbs:\n{verbs}\n\n"
        "examples:\n"
        "  fdikp deblur photo.jpg                  writes photo_deblurred.jpg\n"
        "  fdikp deblur holiday/ -o fixed/         a folder and all below it\n"
        "  fdikp analyse photo.jpg -o analysis/    kernels, blur map and coefficients as pictures\n"
        "  fdikp render sharp/ -o pairs/           pairs of sharp and out-of-focus pictures\n"
        "  fdikp train --from fdikp-lite --data my-pairs/    fine-tunes on pairs of your own\n\n"
        "'fdikp VERB --help' explains each verb, 'fdikp --version' says which fdikp this is."
    )


def parse(options: Any, args: Sequence[str], prog: str) -> Any:
    """Turn arguments into an instance of the dataclass `options`, or exit as its help and errors ask.

    tyro wants all positional arguments side by side and has no `--`. Both are what a shell user expects, so here what
    follows `--` is a path even where it starts with a dash, and inputs may stand on both sides of an option.
    """
    import tyro

    cut = args.index("--") if "--" in args else len(args)
    literal = [f"./{path}" if path.startswith("-") else path for path in args[cut + 1 :]]
    args = [*args[:cut], *literal]
    description = as_written(inspect.cleandoc(options.__doc__ or ""))
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    cli = partial(tyro.cli, options, prog=prog, description=description, args=args, config=config)
    parsed, stray = cli(return_unknown_args=True)
    if not stray:
        return parsed
    if hasattr(parsed, "inputs") and not any(argument.startswith("-") for argument in stray):
        return replace(parsed, inputs=(*parsed.inputs, *stray))
    return cli()  # which says what is wrong, and exits


def as_written(text: str) -> str:
    """Text whose lines tyro leaves as they are: those after a paragraph's first must not begin with a letter."""
    paragraphs = (paragraph.replace("\n", "\n  ") for paragraph in text.split("\n\n"))
    return "\n\n".join(paragraphs)
