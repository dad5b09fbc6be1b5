"""Where images come from: the embedded demo, scenes with ground truth, folders, groups, shards, Fashion-MNIST."""

from uota.data.demo.scenes import SceneOptions, Scenes, Shown
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import Folder
from uota.data.files.groups import Groups
from uota.data.memory import SequenceSource, TensorSource
from uota.data.open import NAMES, open_groups, open_source
from uota.data.packed.source import PackedSource
from uota.data.report import describe_skipped, warn_left_out, warn_many_unreadable, warn_skipped
from uota.data.source import MinimalSource, Source, Split, as_source, labels_of

__all__ = [
    "NAMES",
    "Folder",
    "FolderOptions",
    "Groups",
    "MinimalSource",
    "PackedSource",
    "SceneOptions",
    "Scenes",
    "SequenceSource",
    "Shown",
    "Source",
    "Split",
    "TensorSource",
    "as_source",
    "describe_skipped",
    "labels_of",
    "open_groups",
    "open_source",
    "warn_left_out",
    "warn_many_unreadable",
    "warn_skipped",
]
