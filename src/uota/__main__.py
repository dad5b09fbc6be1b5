"""`python -m uota` is `uota`."""

import sys

from uota.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
