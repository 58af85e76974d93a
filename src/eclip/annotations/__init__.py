"""What experts left on images, as maps of where they looked; readers of the public gaze datasets."""

from eclip.annotations.annotation import KINDS, Annotation, Fixation, Kind, Region, Sentence
from eclip.annotations.heatmap import heatmap, render, render_regions

__all__ = [
    "KINDS",
    "Annotation",
    "Fixation",
    "Kind",
    "Region",
    "Sentence",
    "heatmap",
    "render",
    "render_regions",
]
