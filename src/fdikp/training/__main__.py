"""`python -m fdikp.training RECIPE ...` is `fdikp train RECIPE ...`, on machines that have little installed too."""

import sys

from fdikp.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
