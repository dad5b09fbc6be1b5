"""Where images come from: the embedded demo, scenes with known truth, folders, Fashion-MNIST's original files."""

from uota.data.folder import Folder, FolderOptions
from uota.data.opening import NAMES, open_source
from uota.data.scenes import SceneOptions, Scenes, Shown
from uota.data.source import InMemory, Source, Split, describe_skipped, say_skipped

__all__ = [
    "NAMES",
    "Folder",
    "FolderOptions",
    "InMemory",
    "SceneOptions",
    "Scenes",
    "Shown",
    "Source",
    "Split",
    "describe_skipped",
    "open_source",
    "say_skipped",
]
