"""Oracles: layouts written by hand; any file gives a layout or one line that names it."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_files import TRIED, broken
from eclip.data.sources.lab.layout import CODES, CellMarks, CodedLabels, FileMarks, Layout, NamedLabels
from eclip.data.sources.lab.layout_file import read_layout
from eclip.errors import InputError
from fabricated import lab


def read(tmp_path, text):
    path = tmp_path / "lab.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_layout(path)


def test_everything_that_a_file_can_say(tmp_path):
    assert read(tmp_path, lab.MAPPING) == Layout(
        table=tmp_path / "tables/studien.csv",
        root=tmp_path,
        separator=";",
        encoding="cp1252",
        columns={
            "image": "Datei", "text": "Befund", "patient": "Patient", "study": "Untersuchung", "split": "Menge",
            "view": "Aufnahme", "sex": "Geschlecht", "age": "Alter",
        },
        labels=(
            CodedLabels(
                columns={"Ödem": "Edema", "Erguss": "Pleural Effusion"},
                codes={"ja": 1, "1": 1, "nein": 0, "0": 0, "?": -1},
            ),
            CodedLabels(columns={"zone A": "zone A"}, codes={"1": 1, "2": 1, "3": 1, "0": 0}),
            NamedLabels(
                columns=("Diagnose 1", "Diagnose 2"), separator=",", rename={"Rundherd": "Lung Lesion"}
            ),
        ),
        marks=(
            CellMarks(format="boxes", column="Kästen", reader="Dr. A"),
            CellMarks(format="masks", column="Lungen"),
            CellMarks(format="fixations", column="Blick", reader="Dr. B"),
            CellMarks(format="fixations", column="Zeiger", kind="pointer"),
            FileMarks(format="mask-folder", path=tmp_path / "masks"),
            FileMarks(format="coco", path=tmp_path / "coco.json", reader="Dr. C"),
            FileMarks(format="labelme", path=tmp_path / "labelme"),
            FileMarks(format="narratives", path=tmp_path / "narratives.jsonl"),
        ),
    )  # fmt: skip


def test_scalars_are_what_is_written(tmp_path):
    text = (
        "labels: {columns: a, present: [yes, on, 0x1, 1.0], absent: [no, null, ~, ''], uncertain: 2020-01-01}"
    )
    (labels,) = read(tmp_path, text).labels
    assert labels.columns == {"a": "a"}
    assert labels.codes == {
        "yes": 1, "on": 1, "0x1": 1, "1": 1, "no": 0, "null": 0, "~": 0, "": 0, "2020-01-01": -1,
    }  # fmt: skip


def test_short_forms(tmp_path):
    layout = read(tmp_path, "labels: [A, {columns: B}]\nannotations: {masks: [m, n]}")
    assert layout.labels == ("A", CodedLabels(columns={"B": "B"}, codes=CODES))
    assert [marks.column for marks in layout.marks] == ["m", "n"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected table"),
        ("# nothing\n", "empty"),
        ("- a", "line 1: expected keys .table, root"),
        ("table: a\nimages: b", "line 2: 'images' is not a key here; the keys are table, root, separator"),
        ("table: a\ntable: b", "line 2: 'table' comes twice"),
        ("table: [a]", "line 1: expected a text or number"),
        ("table:", "line 1: '': expected a text"),
        ('table: "a\\0b"', "is not the name of a file"),
        ("separator: ab", "separator is 'ab'; expected one character"),
        ("columns: {image: a, report: b}", "'report' is not a key here; the keys are image, text, patient"),
        ("columns: image", "expected keys"),
        ("labels:\n- {present: [1]}", "line 2: expected either columns"),
        ("labels:\n- {columns: [a], names: [b]}", "line 2: expected either columns"),
        ("labels:\n- names: a\n  present: [1]", "line 3: 'present' does not go with 'names'"),
        ("labels:\n- columns: a\n  rename: {b: c}", "line 3: 'rename' does not go with 'columns'"),
        ("labels:\n- columns: {a: [b]}", "expected a text"),
        ("labels:\n- columns: a\n  present: [1]\n  absent: [1.0]", "line 4: '1' has two meanings"),
        ("annotations:\n- coco: a\n  labelme: b", "line 2: expected one of boxes, masks, fixations, mask-folder"),
        ("annotations:\n- reader: a", "line 2: expected one of"),
        ("annotations:\n- fixations: a\n  kind: mouse", "line 3: kind is 'mouse'"),
        ("annotations:\n- boxes: a\n  kind: gaze", "line 3: kind is 'gaze'.*only of fixations"),
        ("a: &x [1]\nb: *x", "not YAML that can be read .*aliases"),
        ("a: [", "not YAML"),
        ("[" * 50_000, "not YAML"),
        ("table: !!python/object/apply:os.system [ls]", "expected a text or number"),
        (b"\xff\xfe\x00", "not YAML"),
        ("#" * 300_000, "larger than 200,000 bytes"),
    ],
    ids=range(27),
)  # fmt: skip
def test_wrong_files_are_told_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"lab\.yaml.*{message}") as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yaml: cannot be read"):
        read_layout(tmp_path / "gone.yaml")


@settings(max_examples=200)
@given(st.one_of(broken(lab.MAPPING.encode()), st.text("[]{}:,-? &*!|>'\"#%@ab\n\t\\x").map(str.encode)))
def test_any_file_gives_a_layout_or_an_error(tmp_path_factory, content):
    TRIED["csv: mapping"] += 1
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert isinstance(read_layout(path), Layout)
