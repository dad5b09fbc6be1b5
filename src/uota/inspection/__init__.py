"""Which views of my images are outliers: from a run's arbiter, or from one that learns for some seconds."""

from uota.inspection.api import Inspection, inspect

__all__ = ["Inspection", "inspect"]
