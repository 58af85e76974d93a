"""What a source is, and what it hands to the build: studies that still wait for their files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk
from eclip.data.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A study as its table tells it; a worker process adds pixels, report and what is measured in pixels.

    Attributes:
        study: All that is known without opening its own files; its text stands in for a missing report.
            View, sex and age that are blank are taken from the image's header (DICOM).
        image_file: The image.
        file: The table that lists it, for rejections.
        row: Where in that table.
        report_file: A report in MIMIC-CXR's form, to be read into report, findings, impression and text.
        annotate: Reads annotations that need the image's size, a rejection for each that cannot be used. Picklable,
            with a repr that is the same in every process (a frozen dataclass): a resumed build compares it.
    """

    study: Study
    image_file: Path
    file: str
    row: str
    report_file: Path | None = None
    annotate: Callable[[Shrunk], tuple[Annotation | Rejection, ...]] | None = None

    def rejected(self, reason: str) -> Rejection:
        """Give this draft up."""
        return Rejection(self.file, self.row, reason)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a source offers.

    Attributes:
        total: How many drafts and rejections will come, for the progress bar.
        drafts: Gives them in the table's order, the same ones whenever it is called.
        skipped: Why rows are not asked for (lateral views), and how many.
        subset: Of a drawn subset, group (a class, "image queries") to what was drawn for it: ids, or texts. The
            manifest lists it.
    """

    total: int
    drafts: Callable[[], Iterator[Draft | Rejection]]
    skipped: dict[str, int] = field(default_factory=dict)
    subset: dict[str, list[str]] = field(default_factory=dict)


class Source(Protocol):
    """A dataset of one kind: a frozen dataclass whose fields are the options of `eclip data build KIND`.

    Its docstring is the help of the command; field names with "_" become flags with "-".
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def select(self) -> Selection:
        """Read the tables, not yet the images.

        Raises:
            InputError: A folder, table, column or option that is missing or wrong.
        """
        ...
