"""Oracle: what was written into a tree with MIMIC-CXR-JPG's own columns."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_trees as trees
from broken_files import broken, drain, stands
from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.sources.subset import COMPETITION
from eclip.data.store import Store
from eclip.errors import InputError
from fabricated import mimic_cxr as fabricated

NUMBERS = range(10)
LABELS = {0: {"Edema": "1.0", "Fracture": "0.0", "Pneumonia": "-1.0"}, 2: {"No Finding": "1.0"}}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mimic").mkdir()
    return trees.write_mimic(tmp_path / "mimic", NUMBERS, laterals=(10, 11), labels=LABELS)


def built(root, **options):
    manifest = build(MimicCxr(root=root, **options), root.parent / "store", workers=1)
    return manifest, {study.image_id: study for study in Store.open(root.parent / "store")}


def edit(path, change):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(frame).to_csv(path, index=False)


@pytest.mark.parametrize("zipped", [True, False])
def test_all_frontal_images_come_with_all_that_is_known(tmp_path, zipped):
    root = tmp_path / "mimic"
    root.mkdir()
    trees.write_mimic(root, NUMBERS, laterals=(10, 11), labels=LABELS, zipped=zipped)
    manifest, studies = built(root)
    assert list(studies) == [trees.dicom_id(n) for n in NUMBERS]
    for number, study in enumerate(studies.values()):
        assert study.patient_id == trees.patient(number)
        assert study.study_id == trees.study(number)
        assert study.split == trees.split(number)
        assert study.view == ("PA", "AP")[number % 2]
        assert study.findings == f"The lungs are clear in study {number}."
        assert study.impression == "No acute process."
        assert study.text == f"{study.findings} {study.impression}"
        assert study.report == trees.REPORT.format(study=number)
        assert (study.height, study.width, study.original_height, study.original_width) == (60, 80, 60, 80)
        assert study.labels == {name: int(float(cell)) for name, cell in LABELS.get(number, {}).items()}
        difference = np.abs(decode(study.image).astype(int) - trees.gray(number))
        assert difference.mean() < 6  # two JPEG encodings of noise
    assert manifest["skipped"] == {"not a frontal view (AP, PA)": 2}
    assert manifest["rejected"] == []


@pytest.mark.parametrize("below", ["files", "."])
def test_reports_may_lie_in_another_folder(root, below):
    reports = root.parent / "mimic-cxr-reports"
    for file in root.glob("files/**/*.txt"):
        target = reports / below / file.relative_to(root / "files")
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    _, studies = built(root, reports=reports)
    assert len(studies) == len(NUMBERS)


def test_rows_that_cannot_be_used_are_listed_with_file_row_and_reason(root):
    def path(number, suffix):
        return Path(root, trees.folder(number) + suffix)

    path(0, ".txt").unlink()
    path(1, ".txt").write_text(" \n \n")
    path(2, f"/{trees.dicom_id(2)}.jpg").write_bytes(b"not an image")
    path(3, f"/{trees.dicom_id(3)}.jpg").unlink()
    edit(root / "mimic-cxr-2.0.0-split.csv.gz", lambda f: f[f["dicom_id"] != trees.dicom_id(4)])
    edit(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        lambda f: f.assign(Edema=f["Edema"].where(f["study_id"] != trees.study(5), "maybe")),
    )
    edit(root / "mimic-cxr-2.0.0-metadata.csv.gz", lambda f: pd.concat([f, f.iloc[[6]]]))
    manifest, studies = built(root)
    assert list(studies) == [trees.dicom_id(n) for n in (5, 6, 7, 8, 9)]
    assert studies[trees.dicom_id(5)].labels == {}
    told = {(Path(r["file"]).name, r["row"]): r["reason"] for r in manifest["rejected"]}
    expected = {0: "no report", 1: "empty report", 2: "not an image", 3: "no such file", 4: "table of splits"}
    for number, reason in (expected | {6: "came before"}).items():
        assert reason in told.pop(("mimic-cxr-2.0.0-metadata.csv.gz", trees.dicom_id(number)))
    reason = "label 'Edema' is 'maybe'; expected 1, 0, -1 or blank"
    assert told == {("mimic-cxr-2.0.0-chexpert.csv.gz", "row 7"): reason}


def test_readings_join_the_images_they_belong_to(root):
    egd, reflacx = root.parent / "egd", root.parent / "reflacx"
    egd.mkdir()
    trees.write_egd(egd, {2: [(40, 15, 0.5, 0.25)], trees.dicom_id(3)[:-5]: [(1, 1, 0, 1)]})
    trees.write_reflacx(reflacx, [(2, [(20, 30, 1.0, 1.5)]), (2, [(8, 6, 0.0, 0.5)]), (99, [(1, 1, 0, 1)])])
    manifest, studies = built(root, gaze=(f"egd-cxr={egd}", f"reflacx={reflacx}"))
    gaze = [a for a in studies[trees.dicom_id(2)].annotations if a.kind == "gaze"]
    places = [(a.fixations[0].x, a.fixations[0].y, a.fixations[0].start, a.fixations[0].end) for a in gaze]
    np.testing.assert_allclose(
        places, [(0.5, 0.25, 0.5, 0.75), (0.25, 0.5, 1.0, 1.5), (0.1, 0.1, 0.0, 0.5)], atol=1e-6
    )
    assert manifest["counts"]["annotated"] == 1
    unknown = [rejection for rejection in manifest["rejected"] if rejection["row"] == trees.dicom_id(99)]
    assert len(unknown) == 1
    assert "not among the frontal images" in unknown[0]["reason"]


def test_sex_and_age_come_from_the_readings_that_tell_them(root, tmp_path):
    egd, reflacx = tmp_path / "egd", tmp_path / "reflacx"
    egd.mkdir()
    trees.write_egd(egd, {2: [(40, 15, 0.5, 0.25)], 3: [(40, 15, 0.5, 0.25)]})
    trees.write_reflacx(reflacx, [(n, [(20, 30, 1.0, 1.5)]) for n in (2, 4)])  # they do not tell
    labels = {study.image_id: study.labels for study in built(root)[1].values()}
    _, studies = built(root, gaze=(f"reflacx={reflacx}", f"egd-cxr={egd}"))
    told = {trees.dicom_id(2): ("F", 25), trees.dicom_id(3): ("M", 25)}
    assert {name: (s.sex, s.age) for name, s in studies.items()} == dict.fromkeys(studies, ("", None)) | told
    assert {study.image_id: study.labels for study in studies.values()} == labels  # of the tables alone


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "mimic-cxr-2.0.0-metadata.csv.gz").unlink(), "no mimic-cxr-2.0.0-metadata"),
        (lambda root: (root / "mimic-cxr-2.0.0-split.csv.gz").unlink(), "no mimic-cxr-2.0.0-split"),
        (
            lambda root: edit(root / "mimic-cxr-2.0.0-split.csv.gz", lambda f: f.drop(columns="split")),
            "split.csv.gz: no column 'split'",
        ),
        (
            lambda root: (root / "mimic-cxr-2.0.0-chexpert.csv.gz").write_bytes(
                gzip.compress(b"a" * 500)[:20]
            ),
            "chexpert.csv.gz: not a table",
        ),
    ],
)
def test_a_missing_or_broken_table_is_told_in_one_line(root, damage, message):
    damage(root)
    with pytest.raises(InputError, match=message) as error:
        built(root)
    assert "\n" not in str(error.value)
    assert not (root.parent / "store").exists()


def test_wrong_folders_and_kinds_are_told(root):
    for options, message in (
        ({"gaze": (f"egd-cxr={root}/gone",)}, "gone: no such folder"),
        ({"gaze": (f"eyes={root}/gone",)}, "'eyes' is not a kind of recording"),
        ({"gaze": ("egd-cxr",)}, "--gaze egd-cxr: expected egd-cxr=DIR"),
        ({"dicom": root / "gone"}, "gone: no such folder"),
        ({"labeler": "negbio"}, "no mimic-cxr-2.0.0-negbio"),
        ({"labeler": "none", "subset": "5x200"}, "--subset 5x200 needs labels"),
        ({"seed": 3}, "--per-class and --seed have an effect with --subset 5x200 only"),
        ({"subset": "5x200", "views": "all"}, "--views has no effect"),
        ({"subset": "5x200"}, "0 images have Atelectasis as their only finding; 200 a class were asked for"),
        ({"reports": root / "gone"}, "gone: no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            built(root, **options)


EACH = 5
SINGLES = range(fabricated.FIRST_SINGLE, fabricated.FIRST_SINGLE + EACH * len(COMPETITION))
FRONTALS = [*fabricated.PLAIN, *SINGLES]
SUBSET = {"subset": "5x200", "per_class": 3, "seed": 7}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("fabricated") / "mimic-cxr"
    fabricated.write(root, each=EACH)
    return root


def found(root, **options):
    studies, rejections = drain(MimicCxr(root=root, **options), image_size=256)
    assert rejections == []
    return {study.image_id: study for study in studies}


def written_labels(number):
    cells = fabricated.LABELS.get(number, {})
    if number in SINGLES:
        cells = {fabricated.single(number, EACH): "1.0"}
    if number in fabricated.RADIOLOGISTS:
        cells = fabricated.RADIOLOGISTS[number]
    return {name.replace("Airspace", "Lung"): int(float(cell)) for name, cell in cells.items()}


def test_labels_of_radiologists_replace_the_labelers(tree):
    studies = found(tree)
    assert list(studies) == [trees.dicom_id(number) for number in FRONTALS]
    assert [study.labels for study in studies.values()] == [written_labels(number) for number in FRONTALS]
    assert studies[trees.dicom_id(6)].labels == {"Edema": 0, "Lung Opacity": -1}


def test_negbio_is_another_labeler(tree):
    studies = found(tree, labeler="negbio")
    assert studies[trees.dicom_id(0)].labels == {"Edema": -1, "Fracture": 0, "Pneumonia": -1}
    assert studies[trees.dicom_id(6)].labels == written_labels(6)


def test_without_the_labels_one_has_to_say_so(root):
    (root / "mimic-cxr-2.0.0-chexpert.csv.gz").unlink()
    with pytest.raises(InputError, match=r"no mimic-cxr-2\.0\.0-chexpert"):
        built(root)
    _, studies = built(root, labeler="none")
    assert len(studies) == len(NUMBERS)
    assert not any(study.labels for study in studies.values())


def test_all_views(tree):
    studies = found(tree, views="all")
    assert len(studies) == len(FRONTALS) + len(fabricated.LATERALS)
    assert {studies[trees.dicom_id(number)].view for number in fabricated.LATERALS} == {"LATERAL"}
    assert MimicCxr(root=tree, views="all").select().skipped == {}


def test_views_beyond_the_usual_ones_are_not_told(root):
    path = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    edit(path, lambda f: f.assign(ViewPosition=["LL", "XTABLE LATERAL", "", *["LAO"] * (len(f) - 3)]))
    assert [study.view for study in found(root, views="all").values()][:4] == ["LL", "", "", ""]
    assert found(root) == {}


@pytest.mark.parametrize("below", ["", "files"])
def test_dicom_files_instead_of_jpegs(tree, below):
    studies = found(tree, dicom=tree / "dicom" / below)
    for number in FRONTALS:
        study = studies[trees.dicom_id(number)]
        gray = trees.gray(number).astype(float)
        shown = (gray - gray.min()) * 255 / (gray.max() - gray.min())
        assert np.abs(decode(study.image) - shown).mean() < 4  # the store's JPEG of noise
        assert (study.original_height, study.original_width) == gray.shape
        assert (study.view, study.sex) == (
            ("PA", "AP")[number % 2],
            "F",
        )  # the view: of the table, not the header
        assert study.labels == written_labels(number)


def test_a_missing_or_broken_dicom_file_is_listed(tree, tmp_path):
    other = tmp_path / "files" / trees.folder(1)[len("files/") :] / f"{trees.dicom_id(1)}.dcm"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"\0" * 128 + b"DICM" + b"rubbish")
    _, rejections = drain(MimicCxr(root=tree, dicom=tmp_path))
    reasons = {rejection.row: rejection.reason for rejection in rejections}
    assert "not an image that can be read" in reasons[trees.dicom_id(1)]
    assert "no such file" in reasons[trees.dicom_id(0)]
    assert len(reasons) == len(FRONTALS)


def test_five_by_two_hundred_draws_single_findings_by_the_hash_of_their_ids(tree):
    manifest, studies = built_at(tree, **SUBSET)

    def place(image_id):
        return hashlib.sha256(f"7:{image_id}".encode()).hexdigest()

    expected = {
        name: sorted((trees.dicom_id(n) for n in SINGLES if fabricated.single(n, EACH) == name), key=place)[
            :3
        ]
        for name in COMPETITION
    }
    assert manifest["subset"] == expected
    assert sorted(studies) == sorted(image_id for ids in expected.values() for image_id in ids)
    assert {study.split for study in studies.values()} == {"test"}
    assert manifest["skipped"] == {
        "not a frontal view (AP, PA)": len(fabricated.LATERALS),
        "not drawn for 5x200": len(FRONTALS) - 15,
    }


def built_at(tree, **options):
    store = tree.parent / "store"
    manifest = build(MimicCxr(root=tree, **options), store, workers=1)
    return manifest, {study.image_id: study for study in Store.open(store)}


def copied(tree, to):
    to.mkdir()
    for file in tree.glob("*.csv*"):
        (to / file.name).write_bytes(file.read_bytes())
    (to / "files").symlink_to(tree / "files")
    return to


def test_the_draw_does_not_depend_on_the_tables_order_and_takes_one_image_a_study(tree, tmp_path):
    expected = MimicCxr(root=tree, **SUBSET).select().subset
    root = copied(tree, tmp_path / "root")

    def shuffled(frame):
        second = frame.assign(dicom_id="ffffffff" + frame["dicom_id"].str[8:])  # each study has another image
        return pd.concat([frame, second]).sample(frac=1, random_state=0)

    edit(root / "mimic-cxr-2.0.0-metadata.csv.gz", shuffled)
    assert MimicCxr(root=root, **SUBSET).select().subset == expected


@pytest.mark.parametrize("cell", ["1.0", "-1.0"])
def test_another_finding_or_one_in_doubt_disqualifies_but_no_finding_does_not(tree, tmp_path, cell):
    root = copied(tree, tmp_path / "root")
    path = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    drawn = MimicCxr(root=tree, **SUBSET).select().subset["Edema"]
    study = {trees.dicom_id(number): trees.study(number) for number in SINGLES}[drawn[0]]
    for name, stays in (("No Finding", True), ("Support Devices", False), ("Pneumonia", False)):
        edit(path, lambda f, n=name: f.assign(**{n: f[n].where(f["study_id"] != study, cell)}))
        assert (drawn[0] in MimicCxr(root=root, **SUBSET).select().subset["Edema"]) is stays
        edit(path, lambda f, n=name: f.assign(**{n: f[n].where(f["study_id"] != study, "")}))


def test_readings_of_images_that_were_not_drawn_are_counted(tree, tmp_path):
    drawn = [
        n for n in SINGLES if trees.dicom_id(n) in MimicCxr(root=tree, **SUBSET).select().subset["Edema"]
    ]
    trees.write_egd(tmp_path, {drawn[0]: [(40, 15, 0.5, 0.25)], 0: [(1, 1, 0, 1)], 3: [(1, 1, 0, 1)]})
    source = MimicCxr(root=tree, gaze=(f"egd-cxr={tmp_path}",), **SUBSET)
    studies, _ = drain(source)
    assert [study.image_id for study in studies if study.annotations] == [trees.dicom_id(drawn[0])]
    assert source.select().skipped["reading of an image that was not drawn"] == 2


def test_rows_that_are_not_rows_and_ids_that_would_leave_the_folder_are_listed(root):
    metadata = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    lines = gzip.decompress(metadata.read_bytes()).decode().splitlines()
    lines[1] = lines[1].replace(trees.dicom_id(0), "../../../etc/passwd")
    lines[2] = lines[2].replace(trees.patient(1), "../..")
    lines[3] = "half,a,row"
    lines[4] += ",more"
    metadata.write_bytes(gzip.compress("\n".join(lines).encode()))
    labels = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    rows = gzip.decompress(labels.read_bytes()).decode().splitlines()
    rows[5] = rows[5].rpartition(",")[0]
    labels.write_bytes(gzip.compress("\n".join(rows).encode()))
    studies, rejections = drain(MimicCxr(root=root))
    assert [study.image_id for study in studies] == [trees.dicom_id(n) for n in range(4, 10)]
    told = {(Path(r.file).name, r.row): r.reason for r in rejections}
    assert "dicom_id is '../../../etc/passwd'" in told[metadata.name, "../../../etc/passwd"]
    assert "subject_id is '../..'" in told[metadata.name, trees.dicom_id(1)]
    assert "3 cells, expected 12" in told[metadata.name, "row 4"]
    assert "13 cells, expected 12" in told[metadata.name, "row 5"]
    assert "15 cells, expected 16" in told[labels.name, "row 6"]
    assert len(told) == 5


FILES = {
    "metadata": "mimic-cxr-2.0.0-metadata.csv",
    "split": "mimic-cxr-2.0.0-split.csv",
    "chexpert": "mimic-cxr-2.0.0-chexpert.csv",
    "radiologists": "mimic-cxr-2.1.0-test-set-labeled.csv",
    "gzipped": "mimic-cxr-2.0.0-split.csv.gz",
    "report": f"{trees.folder(0)}.txt",
}


@pytest.mark.parametrize("name", FILES)
def test_no_broken_file_is_a_traceback(tmp_path, name):
    trees.write_mimic(tmp_path, range(4), labels=LABELS, zipped=name == "gzipped")
    radiologists = ["study_id", *("Airspace Opacity" if n == "Lung Opacity" else n for n in trees.CHEXPERT)]
    pd.DataFrame([dict.fromkeys(radiologists, "1.0") | {"study_id": trees.study(1)}]).to_csv(
        tmp_path / FILES["radiologists"], index=False
    )
    path = tmp_path / FILES[name]
    sound = path.read_bytes()
    assert len(stands(MimicCxr(root=tmp_path), name="mimic-cxr")[0]) == 4

    @given(broken(sound), st.sampled_from(["", "5x200"]))
    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    def stands_it(data, subset):
        path.write_bytes(data)
        options = {"subset": subset, "per_class": 1} if subset else {}
        stands(MimicCxr(root=tmp_path, **options), name="mimic-cxr")

    stands_it()
