"""What a dataset of readings gives: one image with its annotations, or the reason why a row was left out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from eclip.annotations.annotation import Annotation

ImageSize = Callable[[str], tuple[int, int] | None]
"""From an image's id to (width, height) of the original in pixels; None where the image is unknown."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that cannot be used.

    Attributes:
        file: Path of the file it stands in.
        row: "line 17", an id, or "" for the whole file.
        reason: What is wrong with it.
    """

    file: str
    row: str
    reason: str


Reject = Callable[[Rejection], None]
"""Where readers leave what they cannot use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One image, and what one or more readers left on it.

    Attributes:
        image_id: DICOM id.
        study_id: Without the leading "s".
        patient_id: Without the leading "p".
        split: train, validate, test, or "" where the dataset has none.
        annotations: One of kind "gaze" for each reader, and labelled regions.
        text: What was dictated, by the first reader if there are several.
        labels: 1 present, 0 absent, -1 uncertain; not listed = not mentioned.
        sex: Of the patient, as the table spells it: "F".
        age: Of the patient, as the table spells it: "20 - 30".
    """

    image_id: str
    study_id: str
    patient_id: str
    split: str
    annotations: tuple[Annotation, ...]
    text: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    sex: str = ""
    age: str = ""


def first_told(values: Iterable[str]) -> str:
    """Of what several readings say the first that is not blank, or ""."""
    return next(filter(None, values), "")
