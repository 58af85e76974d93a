"""Oracle: what was written into a tree with CheXpert's own columns."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.data.sources.chexpert import CheXpert
from eclip.errors import InputError
from fabricated import chexpert

VIEWS = {
    ("Frontal", "AP"): "AP",
    ("Frontal", "PA"): "PA",
    ("Frontal", "LL"): "LL",
    ("Lateral", ""): "LATERAL",
}


@pytest.fixture
def root(tmp_path):
    chexpert.write(tmp_path / "chexpert", single=1)
    return tmp_path / "chexpert"


def values(labels):
    return {name: int(float(cell)) for name, cell in labels.items()}


def expected(rows, split):
    """(image id, study id, patient id, split, view, sex, age, labels)."""
    for path, sex, age, side, projection, labels in rows:
        _, patient, study, view = path.split("/")
        yield (
            f"{patient}/{study}/{view}", f"{patient}/{study}", patient, split, VIEWS[side, projection],
            {"Male": "M", "Female": "F"}.get(sex, ""), age, values(labels),
        )  # fmt: skip


def told(studies):
    return [(s.image_id, s.study_id, s.patient_id, s.split, s.view, s.sex, s.age, s.labels) for s in studies]


@pytest.mark.parametrize(
    ("cell", "view"), [("RL", "LATERAL"), (" AP ", "AP"), ("", "FRONTAL"), ("?", "FRONTAL")]
)
def test_a_projection_becomes_a_view_that_a_store_knows(root, cell, view):
    table = root / "train.csv"
    table.write_text(table.read_text().replace(",LL,", f",{cell},"))
    studies = {study.image_id: study for study in drain(CheXpert(root=root))[0]}
    assert studies["patient00002/study1/view1_frontal"].view == view


TEST = [
    (f"{study}/view1_frontal", study, study[:12], "test", "FRONTAL", "", None, values(labels))
    for study, labels in chexpert.TEST.items()
]


@pytest.mark.parametrize("release", ["CheXpert-v1.0-small", "CheXpert-v1.0"])
@pytest.mark.parametrize("views", ["frontal", "all"])
def test_all_images_come_with_all_that_is_known(tmp_path, release, views):
    chexpert.write(tmp_path, single=1, release=release)
    source = CheXpert(root=tmp_path, views=views)
    studies, rejections = drain(source)
    train = [*chexpert.TRAIN, *chexpert.singles(1)]
    written = [*expected(train, "train"), *expected(chexpert.VALID, "validate"), *TEST]
    wanted = [row for row in written if views == "all" or row[4] != "LATERAL"]
    assert rejections == []
    assert told(studies) == wanted
    assert {study.text for study in studies} == {""}
    laterals = sum(row[4] == "LATERAL" for row in written)
    assert laterals == 3
    selection = source.select()
    assert selection.skipped == ({} if views == "all" else {"lateral view": laterals})
    assert selection.total == len(wanted)
    assert list(selection.drafts()) == list(source.select().drafts())


def test_pixels_are_those_of_the_path(root):
    paths = {
        row[0].partition("/")[2]: row[0] for row in (*chexpert.TRAIN, *chexpert.singles(1), *chexpert.VALID)
    }
    paths |= {f"{study}/view1_frontal": f"test/{study}/view1_frontal" for study in chexpert.TEST}
    for study in drain(CheXpert(root=root))[0]:
        difference = decode(study.image).astype(int) - chexpert.pixels(paths[study.image_id])
        assert np.abs(difference).mean() < 6  # two JPEG encodings of noise
        assert (study.original_height, study.original_width) == (24, 32)


def test_the_root_may_be_the_folder_above_a_release(tmp_path):
    chexpert.write(tmp_path / "CheXpert-v1.0-small", single=1)
    studies, _ = drain(CheXpert(root=tmp_path))
    assert len(studies) == 14
    chexpert.write(tmp_path / "CheXpert-v1.0", single=1)
    with pytest.raises(InputError, match=r"holds CheXpert-v1.0 and CheXpert-v1.0-small; name one"):
        CheXpert(root=tmp_path).select()


def test_test_labels_are_found_or_named_or_absent(root):
    def tests():
        return [study.image_id for study in drain(CheXpert(root=root))[0] if study.split == "test"]

    wanted = [row[0] for row in TEST]
    (root / "groundtruth.csv").rename(root / "test" / "groundtruth.csv")
    assert tests() == wanted
    (root / "test" / "groundtruth.csv").rename(root.parent / "labels.csv")
    assert tests() == []
    studies, _ = drain(CheXpert(root=root, test_labels=root.parent / "labels.csv"))
    assert told(studies)[-2:] == TEST


def test_reports_in_the_form_of_chexpert_plus(root):
    studies, rejections = drain(CheXpert(root=root, views="all", reports=root / "reports.csv"))
    assert rejections == []
    paths = {"/".join(row[0].split("/")[1:]): row[0] for row in (*chexpert.TRAIN, *chexpert.VALID)}
    assert sum(study.image_id in paths for study in studies) == 10
    for study in studies:
        if path := paths.get(study.image_id):
            assert study.report == f"NARRATIVE:\nchest\nIMPRESSION:\n1. none in {path}"
            assert (study.findings, study.impression) == ("", f"1. none in {path}")
            assert study.text == f"1. none in {path}"
        else:
            assert (study.report, study.text) == ("", "")


def test_rows_that_cannot_be_used_are_listed_with_file_row_and_reason(root):
    wrong = [
        ("train/patient00011/study1/../../../../etc/passwd", "Male", 50, "Frontal", "AP", {}),
        ("train/patient00012/study1/view1_frontal", "Male", 50, "Oblique", "AP", {}),
        ("train/patient00013/study1/view1_frontal", "Male", 50, "Frontal", "AP", {"Edema": "maybe"}),
        ("train/patient00014/study1/view1_frontal", "Male", 50, "Frontal", "AP", {}),
        chexpert.TRAIN[0],
    ]
    chexpert.write_images(root / "train.csv", wrong)
    with (root / "train.csv").open("a") as file:
        file.write("one,two\n")
    (root / "valid" / "patient64541" / "study1" / "view1_frontal.jpg").write_bytes(b"not an image")
    (root / "test" / "patient64742" / "study1" / "view1_frontal.jpg").unlink()
    (root / "test" / "patient64742" / "study1" / "view2_lateral.jpg").unlink()
    studies, rejections = drain(CheXpert(root=root))
    assert [study.image_id for study in studies] == [
        "patient00001/study1/view1_frontal", "patient64542/study1/view1_frontal",
        "patient64741/study1/view1_frontal",
    ]  # fmt: skip
    reasons = {(rejection.file, rejection.row): rejection.reason for rejection in rejections}
    wanted = {
        ("train.csv", "row 2"): "path is 'CheXpert-v1.0-small/train/patient00011/study1/../",
        ("train.csv", "row 3"): "Frontal/Lateral is 'Oblique'; expected Frontal or Lateral",
        ("train.csv", "row 4"): "label 'Edema' is 'maybe'",
        ("train.csv", "row 5"): "no such file",
        ("train.csv", "row 7"): "2 cells, expected 19",
        ("valid.csv", "row 2"): "not an image",
        ("groundtruth.csv", "row 3"): "no such file",
    }
    assert len(reasons) == len(rejections) == len(wanted)
    for (name, row), reason in wanted.items():
        assert reason in reasons[str(root / name), row]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "5x200", "ids": "chexpert_5x200.csv"}, "give one of them"),
        ({"subset": "5x200", "views": "all"}, "--views and --test-labels have no effect"),
        ({"ids": "chexpert_5x200.csv", "test_labels": "groundtruth.csv"}, "have no effect"),
        ({"seed": 1}, "--subset 5x200 only"),
        ({"subset": "8x200", "per_class": 20}, "--subset 5x200 only"),
        ({"queries": "."}, "--subset 8x200 only"),
        ({"subset": "5x200"}, "1 images have Atelectasis as their only finding; 200 a class"),
        ({"root": "gone"}, "gone: no such folder"),
        ({"root": "train"}, "train: no train.csv; expected the folder of CheXpert"),
        ({"reports": "gone.csv"}, "gone.csv: no such file"),
        ({"test_labels": "gone.csv"}, "gone.csv: no such file"),
        ({"subset": "8x200", "queries": "train"}, "neither image-retrieval nor text-retrieval"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(root, options, message):
    options = {
        k: root / v if k in {"root", "ids", "reports", "test_labels", "queries"} else v
        for k, v in options.items()
    }
    with pytest.raises(InputError, match=message) as error:
        CheXpert(**{"root": root} | options).select()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("table", ["train.csv", "valid.csv"])
def test_a_missing_table_or_column_is_told_in_one_line(root, table):
    text = (root / table).read_text()
    (root / table).write_text(text.replace("Pleural Other", "Other Pleura", 1))
    with pytest.raises(InputError, match=f"{table}: no column 'Pleural Other'; there are: Path, Sex"):
        CheXpert(root=root).select()
    (root / table).unlink()
    with pytest.raises(InputError, match=f"no {table}|{table}: no such file"):
        CheXpert(root=root).select()


FILES = {
    "train.csv": {},
    "valid.csv": {},
    "groundtruth.csv": {},
    "reports.csv": {"reports": "reports.csv"},
    "chexpert_5x200.csv": {"ids": "chexpert_5x200.csv", "reports": "chexpert_5x200.csv"},
    "image-retrieval/candidate.csv": {"subset": "8x200"},
    "image-retrieval/query.csv": {"subset": "8x200"},
    "text-retrieval/query.csv": {"subset": "8x200"},
}
NOT_TOUCHED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("chexpert")
    chexpert.write(root, single=1)
    return root


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, suppress_health_check=NOT_TOUCHED)
@given(data=st.data())
def test_a_broken_file_gives_studies_and_rejections_or_one_clear_error(sound, name, data):
    file = sound / name
    content = file.read_bytes()
    options = {key: sound / value if key != "subset" else value for key, value in FILES[name].items()}
    try:
        file.write_bytes(data.draw(broken(content)))
        stands(CheXpert(root=sound, **options), name="chexpert")
    finally:
        file.write_bytes(content)


@settings(max_examples=60, suppress_health_check=NOT_TOUCHED)
@given(data=st.data())
def test_a_draw_stands_a_broken_table(sound, data):
    file = sound / "train.csv"
    content = file.read_bytes()
    try:
        file.write_bytes(data.draw(broken(content)))
        stands(CheXpert(root=sound, subset="5x200", per_class=1), name="chexpert")
    finally:
        file.write_bytes(content)
