"""Views that know how they were made: presets, their parameters, and the pipeline from images to tensors."""

from uota.views.parameters import ViewParameters
from uota.views.photometric import unnormalise
from uota.views.pipeline import ViewDataset, ViewPipeline, Views, evaluation_view, keep, make_views
from uota.views.presets import GROUP_NAMES, PRESETS, GroupPreset, ViewPreset, find_preset

__all__ = [
    "GROUP_NAMES",
    "PRESETS",
    "GroupPreset",
    "ViewDataset",
    "ViewParameters",
    "ViewPipeline",
    "ViewPreset",
    "Views",
    "evaluation_view",
    "find_preset",
    "keep",
    "make_views",
    "unnormalise",
]
