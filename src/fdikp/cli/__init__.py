"""The command line, `fdikp SUBCOMMAND ...`: a file for each subcommand.

A subcommand is a module of this package with two names: `Options`, a frozen dataclass whose docstring and field
comments are its `--help`, and `run(options)`, which does the work and returns the exit code. If it has a function
`parse(args, prog)`, that makes the options, as where defaults depend on arguments. To add one, write the module and
name it in `SUBCOMMANDS`. Import what is heavy (torch, pyvips, matplotlib, numpy) inside functions: `--help` must be
instant.
"""

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

import fdikp
from fdikp.cli import console
from fdikp.cli.parsing import parse
from fdikp.cli.stopping import stop_code, stoppable

PHOTOS = {
    "deblur": "restore out-of-focus photos",
    "analyse": "draw what the network predicted for one photo: kernels, blur map, coefficients",
    "serve": "serve a page and an HTTP API that restore photos",
    "doctor": "check this installation: devices, formats, weights, speed",
}
TRAINING = {
    "render": "render out-of-focus images from sharp ones, for training and evaluation",
    "train": "train or fine-tune a network on real pairs or on rendered defocus",
    "average": "average the weights of trained models",
    "calibrate": "calibrate the blur map of a model on rendered defocus",
    "data": "check a data set: names, pairs, sizes, damaged files",
    "evaluate": "measure models on data sets, under a named protocol",
    "compare": "score and rank folders of results of any methods",
    "reproduce": "reproduce the paper's tables and figures",
    "benchmark": "time models on this machine, beside its peak speed and other models",
}
SUBCOMMANDS = PHOTOS | TRAINING
"""What each subcommand is for, in one line; the keys are also the names of the modules."""

COMMAND_LINE_FAULTS = ("request_invalid", "no_photo_found", "model_unknown", "device_unusable", "over_memory_budget")
"""Codes of errors that mean, where one ends the run, that the command line is wrong."""


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
        return 2 if getattr(error, "code", None) in COMMAND_LINE_FAULTS else 1


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
        raise console.UsageError(_unknown(args))
    subcommand = import_module(f"fdikp.cli.{name}")
    prog = f"fdikp {name}"
    if hasattr(subcommand, "parse"):
        options = subcommand.parse(args[1:], prog)
    else:
        options = parse(subcommand.Options, args[1:], prog)
    # doctor reports the kernels itself
    with console.notes(shown=name != "doctor" and not getattr(options, "quiet", False)):
        code: int = subcommand.run(options)
    return code


def _unknown(args: list[str]) -> str:
    """What is wrong with a command line that begins with no subcommand."""
    name = args[0]
    if os.path.exists(name) or "." in name:  # noqa: PTH110 (a name may hold what no Path can)
        return f"{name}: is not a subcommand; did you mean: {shlex.join(['fdikp', 'deblur', *args])}"
    close = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
    hint = f"did you mean 'fdikp {close[0]}'?" if close else f"choose one of {', '.join(SUBCOMMANDS)}"
    return f"there is no subcommand '{name}'; {hint}"


def overview() -> str:
    """What `fdikp --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    photos, training = (
        "\n".join(f"  {name:{width}}  {purpose}" for name, purpose in group.items()) for group in (PHOTOS, TRAINING)
    )
    return (
        "usage: fdikp SUBCOMMAND ...\n\n"
        "Restore out-of-focus photos.\n\n"
        f"photos:\n{photos}\n\n"
        f"training and measuring:\n{training}\n\n"
        "examples:\n"
        "  fdikp deblur photo.jpg                  write photo_deblurred.jpg\n"
        "  fdikp deblur holiday/ -o fixed/         restore a folder and all folders below it\n"
        "  fdikp analyse photo.jpg -o analysis/    draw kernels, blur map and coefficients\n"
        "  fdikp render sharp/ -o pairs/           render pairs of sharp and out-of-focus images\n"
        "  fdikp train --from fdikp-lite --data my-pairs/    fine-tune on your own pairs\n\n"
        "'fdikp SUBCOMMAND --help' explains a subcommand, 'fdikp --version' prints the version."
    )
