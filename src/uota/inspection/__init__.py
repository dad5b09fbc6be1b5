"""Find the outlier views of any images, with a run's arbiter or with one trained on the spot for a few seconds."""

from uota.inspection.api import Inspection, inspect

__all__ = ["Inspection", "inspect"]
