"""What an expert left on an image: where they looked, what they said, what they outlined.

All coordinates are fractions of the image's width and height, origin at the top left, so they survive resizing;
all times are seconds from the start of the reading.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gaze", "box", "ellipse", "mask", "pointer"]
KINDS: tuple[Kind, ...] = ("gaze", "box", "ellipse", "mask", "pointer")


@dataclass(frozen=True, slots=True)
class Fixation:
    """A moment in which the eye (or a pointer) rested.

    Attributes:
        x: Fraction of the image width; may lie outside [0, 1].
        y: Fraction of the image height; may lie outside [0, 1].
        start: Seconds from the start of the reading.
        end: Seconds from the start of the reading.
        sigma_x: Spread of foveal vision as a fraction of the image width (REFLACX: one degree of visual angle);
            None where the recording does not say.
        sigma_y: The same as a fraction of the image height.
        visible: (x0, y0, x1, y1), the part of the image that was on the screen (zoom and pan).
    """

    x: float
    y: float
    start: float
    end: float
    sigma_x: float | None = None
    sigma_y: float | None = None
    visible: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def duration(self) -> float:
        """Seconds; never negative."""
        return max(0.0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A dictated sentence and the seconds in which it was spoken."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Region:
    """An outline on the image.

    Attributes:
        points: Corners as (x, y). A box or ellipse has two (top left, bottom right of its extent);
            a polygon three or more.
        mask: A PNG whose non-zero pixels are inside, as large as the image or scaled to it; empty for outlines.
    """

    points: tuple[tuple[float, float], ...] = ()
    mask: bytes = b""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One reader's one annotation of one image: a scan path with its dictation, or a labelled region.

    Attributes:
        kind: What it is.
        reader: Who made it, as far as the dataset tells.
        label: What it marks; "" for all that was looked at.
        fixations: Of a gaze or pointer, in the order of time.
        sentences: What was dictated meanwhile.
        region: Of a box, ellipse or mask.
        certainty: Probability from 0 to 1 that the reader gave to the finding; None where they did not say.
    """

    kind: Kind
    reader: str = ""
    label: str = ""
    fixations: tuple[Fixation, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    region: Region | None = None
    certainty: float | None = None
