"""`python -m fdikp` is the command line."""

import sys

from fdikp.cli import main

sys.exit(main())
