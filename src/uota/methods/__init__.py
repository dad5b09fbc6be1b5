"""Self-supervised methods: a file each, with the whole algorithm in it."""

from uota.methods.simclr import SimCLR
from uota.methods.swav import SwAV

METHODS: dict[str, type[SwAV] | type[SimCLR]] = {"swav": SwAV, "simclr": SimCLR}

__all__ = ["METHODS", "SimCLR", "SwAV"]
