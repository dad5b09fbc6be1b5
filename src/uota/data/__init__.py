"""Where images come from: the embedded demo, scenes with known truth, folders and groups, shards, Fashion-MNIST."""

from uota.data.demo.scenes import SceneOptions, Scenes, Shown
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import Folder
from uota.data.files.groups import Groups, say_left_out
from uota.data.open import NAMES, open_groups, open_source
from uota.data.packed.source import Packed
from uota.data.source import InMemory, Source, Split, describe_skipped, labels_of, say_skipped, warn_unreadable
from uota.data.unreadable import found_unreadable, unreadable_so_far

__all__ = [
    "NAMES",
    "Folder",
    "FolderOptions",
    "Groups",
    "InMemory",
    "Packed",
    "SceneOptions",
    "Scenes",
    "Shown",
    "Source",
    "Split",
    "describe_skipped",
    "found_unreadable",
    "labels_of",
    "open_groups",
    "open_source",
    "say_left_out",
    "say_skipped",
    "unreadable_so_far",
    "warn_unreadable",
]
