"""Oracle: columns listed by hand."""

from pathlib import Path

from eclip.data.sources.lab.layout import CellMarks, CodedLabels, FileMarks, Layout, NamedLabels


def test_all_columns_that_a_layout_names_must_be_there():
    layout = Layout(
        columns={"image": "a", "text": "b"},
        labels=("c", CodedLabels(columns={"d": "D"}), NamedLabels(columns=("e", "f"))),
        marks=(CellMarks(format="boxes", column="g"), FileMarks(format="coco", path=Path("h"))),
    )
    assert layout.all_columns() == ["a", "b", "c", "d", "e", "f", "g"]
