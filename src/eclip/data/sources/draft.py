"""What a source hands to the build: studies that still wait for their files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk
from eclip.data.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A study as its table tells it; a worker process adds pixels, report and what is measured in pixels.

    Attributes:
        study: All that is known without opening its own files; its text stands in for a missing report.
        image_file: The image.
        file: The table that lists it, for rejections.
        row: Where in that table.
        report_file: A report in MIMIC-CXR's form, to be read into report, findings, impression and text.
        annotate: Reads annotations that need the image's size; picklable.
    """

    study: Study
    image_file: Path
    file: str
    row: str
    report_file: Path | None = None
    annotate: Callable[[Shrunk], tuple[Annotation, ...]] | None = None

    def rejected(self, reason: str) -> Rejection:
        """Give this draft up."""
        return Rejection(self.file, self.row, reason)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a source offers.

    Attributes:
        total: How many drafts and rejections will come, for the progress bar.
        drafts: They, in the table's order.
        skipped: Why rows are not asked for (lateral views), and how many.
    """

    total: int
    drafts: Iterator[Draft | Rejection]
    skipped: dict[str, int] = field(default_factory=dict)
