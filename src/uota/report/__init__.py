"""Pictures of what the arbiter saw."""

from uota.report.gallery import draw_gallery

__all__ = ["draw_gallery"]
