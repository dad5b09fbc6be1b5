"""Views that know how they were made: presets, their parameters, and the pipeline from images to tensors."""

from uota.views.parameters import ViewParameters
from uota.views.photometric import unnormalise
from uota.views.pipeline import ViewDataset, ViewPipeline, Views, evaluation_view, identity_collate, make_views
from uota.views.presets import GROUP_NAMES, PRESETS, ViewPreset, ViewSizePreset, find_preset

__all__ = [
    "GROUP_NAMES",
    "PRESETS",
    "ViewDataset",
    "ViewParameters",
    "ViewPipeline",
    "ViewPreset",
    "ViewSizePreset",
    "Views",
    "evaluation_view",
    "find_preset",
    "identity_collate",
    "make_views",
    "unnormalise",
]
