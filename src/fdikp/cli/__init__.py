"""The command line, `fdikp SUBCOMMAND ...`: a file for each subcommand.

A subcommand is a module of this package with two names: `Options`, a frozen dataclass whose docstring and field
comments are its `--help`, and `run(options)`, which does the work and returns the exit code. One whose defaults depend
on its arguments has `parse(args, prog)` in place of `Options`. To add one, write the module and name it in
`SUBCOMMANDS`. Import what is heavy (torch, pyvips, matplotlib, numpy) inside functions: `--help` must be instant.
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

SUBCOMMANDS = {
    "deblur": "restore out-of-focus photos",
    "analyse": "draw what the network predicted for one photo: kernels, blur map, coefficients",
    "render": "render out-of-focus images from sharp ones, for training and evaluation",
    "train": "train or fine-tune a network on real pairs or on rendered defocus",
    "average": "average the weights of trained models",
    "data": "check a data set: names, pairs, sizes, damaged files",
    "evaluate": "measure models on data sets, under a named protocol",
    "compare": "score and rank folders of results of any methods",
    "reproduce": "reproduce the paper's tables and figures",
    "benchmark": "time models on this machine, beside its peak speed and other models",
    "doctor": "check this installation: devices, formats, weights, speed",
}
"""What each subcommand is for, in one line; the keys are also the names of the modules."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0: success. 1: something failed, and one line on stderr says what. 2: the command line is wrong.
    130, 143, 141: stopped by Ctrl-C, by SIGTERM, by the end of whatever reads our output.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        with stoppable():
            code = _run(args)
            sys.stdout.flush()
            return code
    except SystemExit as stop:  # raised by the option parser, after --help and after an error
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as stop:
        console.problem("stopped")
        return stop_code(stop)
    except BrokenPipeError:
        console.close_stdout()
        return 141
    except Exception as error:
        console.problem(console.explain(error))
        return 2 if getattr(error, "code", None) in ("request_invalid", "no_photo_found") else 1


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
    if name not in SUBCOMMANDS:
        close = difflib.get_close_matches(name, SUBCOMMANDS, n=1) or ["deblur"]
        raise console.UsageError(
            f"there is no subcommand '{name}'; did you mean 'fdikp {close[0]}'? The others are {', '.join(SUBCOMMANDS)}"
        )
    subcommand = import_module(f"fdikp.cli.{name}")
    prog = f"fdikp {name}"
    if hasattr(subcommand, "parse"):
        options = subcommand.parse(args[1:], prog)
    else:
        options = parse(subcommand.Options, args[1:], prog)
    code: int = subcommand.run(options)
    return code


def overview() -> str:
    """What `fdikp --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    subcommands = "\n".join(f"  {name:{width}}  {purpose}" for name, purpose in SUBCOMMANDS.items())
    return (
        "usage: fdikp SUBCOMMAND ...\n\n"
        "Restore out-of-focus photos.\n\n"
        f"subcommands:\n{subcommands}\n\n"
        "examples:\n"
        "  fdikp deblur photo.jpg                  write photo_deblurred.jpg\n"
        "  fdikp deblur holiday/ -o fixed/         restore a folder and all folders below it\n"
        "  fdikp analyse photo.jpg -o analysis/    draw kernels, blur map and coefficients\n"
        "  fdikp render sharp/ -o pairs/           render pairs of sharp and out-of-focus images\n"
        "  fdikp train --from fdikp-lite --data my-pairs/    fine-tune on your own pairs\n\n"
        "'fdikp SUBCOMMAND --help' explains a subcommand, 'fdikp --version' prints the version."
    )


def parse(options: Any, args: Sequence[str], prog: str) -> Any:
    """Parse arguments into an instance of the dataclass `options`; exit after `--help` and after an error.

    tyro wants all positional arguments side by side and does not know `--`. Shell users expect otherwise, so here every
    argument after `--` is a path, even if it starts with a dash, and inputs may stand on both sides of an option.
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
    return cli()  # prints what is wrong, and exits


def as_written(text: str) -> str:
    """Text whose line breaks tyro keeps: it joins lines that begin with a letter, except the first of a paragraph."""
    paragraphs = (paragraph.replace("\n", "\n  ") for paragraph in text.split("\n\n"))
    return "\n\n".join(paragraphs)
