"""`python -m fdikp.training RECIPE ...`: `fdikp train` on machines where only the packages that training needs are."""

import sys

from fdikp.errors import FdikpError, TrainingError
from fdikp.terminal import draw
from fdikp.training.command import parse, run
from fdikp.training.options import with_flags


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code: 0, or 1 for an error, or 2 for wrong arguments."""
    try:
        request = parse(arguments, "python -m fdikp.training")
    except TrainingError as error:
        print(f"fdikp: {with_flags(str(error))}", file=sys.stderr)
        return 2
    try:
        result = run(request)
    except FdikpError as error:
        print(f"fdikp: {with_flags(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fdikp: stopped", file=sys.stderr)
        return 130
    if result.text and sys.stdout.isatty():
        draw(result.text)
    elif result.text:
        print(result.text)
    if result.note:
        print(f"fdikp: {result.note}", file=sys.stderr)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
