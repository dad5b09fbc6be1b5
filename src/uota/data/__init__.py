"""Where images come from: the embedded demo, scenes with known truth, folders and groups, shards, Fashion-MNIST."""

from uota.data.demo.scenes import SceneOptions, Scenes, Shown
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import Folder
from uota.data.files.groups import Groups, warn_left_out
from uota.data.open import NAMES, open_groups, open_source
from uota.data.packed.source import PackedSource
from uota.data.source import (
    Source,
    Split,
    TensorSource,
    describe_skipped,
    labels_of,
    warn_many_unreadable,
    warn_skipped,
)
from uota.data.unreadable import found_unreadable, unreadable_so_far

__all__ = [
    "NAMES",
    "Folder",
    "FolderOptions",
    "Groups",
    "PackedSource",
    "SceneOptions",
    "Scenes",
    "Shown",
    "Source",
    "Split",
    "TensorSource",
    "describe_skipped",
    "found_unreadable",
    "labels_of",
    "open_groups",
    "open_source",
    "unreadable_so_far",
    "warn_left_out",
    "warn_many_unreadable",
    "warn_skipped",
]
