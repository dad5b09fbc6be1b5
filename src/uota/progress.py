"""Where progress is shown: on stderr, so that what is printed is what was found."""

from rich.console import Console

PROGRESS = Console(stderr=True)
