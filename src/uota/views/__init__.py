"""View presets, the parameters of each view, and the pipeline from images to view tensors."""

from uota.views.batch import UnfinishedViews, Views
from uota.views.parameters import ViewParameters
from uota.views.photometric import unnormalise
from uota.views.pipeline import CropDataset, ViewDataset, ViewPipeline, evaluation_view, identity_collate, make_views
from uota.views.presets import PRESETS, find_preset
from uota.views.view_preset import SIZE_NAMES, ViewPreset, ViewSizePreset

__all__ = [
    "PRESETS",
    "SIZE_NAMES",
    "CropDataset",
    "UnfinishedViews",
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
