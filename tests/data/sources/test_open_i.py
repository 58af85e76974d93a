"""Oracle: the reports that were written, in both releases."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.data.sources.open_i import OpenI, without_removed
from eclip.errors import InputError
from fabricated import open_i

ABSENT = dict.fromkeys(
    ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion",
     "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax", "Support Devices"],
    0,
)  # fmt: skip


def but(*unmentioned, **present):
    labels = ABSENT | {name.replace("_", " "): value for name, value in present.items()}
    return {name: value for name, value in labels.items() if name not in unmentioned}


LABELS = {
    "1": but(No_Finding=1),
    "2": but("Enlarged Cardiomediastinum", Cardiomegaly=1, Pulmonary_Artery=1),
    "3": but("Lung Opacity", Atelectasis=1, Lung_Lesion=1, Pleural_Other=1, Scoliosis=1),
    "5": but(Fracture=1, Support_Devices=1),
    "6": {},
    "15": {},
    "1000": but("Consolidation", Pleural_Effusion=1, Lung_Opacity=1, Pneumonia=1),
}


def split(uid):
    place = int(hashlib.sha256(uid.encode()).hexdigest()[:16], 16) / 16**16
    return "train" if place < 0.8 else "validate" if place < 0.9 else "test"


def flat(text):
    return " ".join(text.split())


def check(studies, *, views, told=True):
    """That the studies are those that were written."""
    studies = {study.image_id: study for study in studies}
    ids = []
    for number, report in enumerate(open_i.REPORTS):
        for index, (image, view) in enumerate(report["images"]):
            if view not in views:
                continue
            ids.append(f"{report['uid']}_{image}")
            study = studies[ids[-1]]
            assert study.study_id == study.patient_id == report["uid"]
            assert study.split == split(report["uid"])
            assert study.view == (view.upper() if told else "")
            assert (study.findings, study.impression) == (
                flat(report["findings"]),
                flat(report["impression"]),
            )
            assert study.text == flat(f"{report['findings']} {report['impression']}")
            assert study.labels == LABELS[report["uid"]]
            assert (study.original_height, study.original_width) == (60, 80)
            difference = decode(study.image).astype(int) - open_i.gray(number, index)
            assert np.abs(difference).mean() < 5  # a JPEG's
    assert set(studies) == set(ids)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "open-i"


@pytest.mark.parametrize("views", ["frontal", "all"])
@pytest.mark.parametrize("release", ["nlm", "kaggle", "both"])
def test_both_releases_give_what_was_written(root, release, views):
    projections = None
    if release == "both":
        open_i.write(root)
    elif release == "kaggle":
        open_i.write_kaggle(root)
    else:
        open_i.write_nlm(root)
        open_i.write_kaggle(root.parent / "elsewhere")
        projections = root.parent / "elsewhere" / "indiana_projections.csv"
    source = OpenI(root=root, views=views, projections=projections)
    studies, rejections = drain(source, image_size=60)
    assert rejections == []
    check(studies, views={"Frontal"} if views == "frontal" else {"Frontal", "Lateral"})
    assert {study.split for study in studies} == {"train", "validate", "test"}
    skipped = {"not a frontal view": 5} if views == "frontal" else {}
    if release != "kaggle":
        skipped["report without images"] = 1
    assert source.select().skipped == skipped
    assert source.select().total == len(studies)


def test_studies_come_in_the_order_of_their_numbers_and_again(root):
    open_i.write_nlm(root)
    source = OpenI(root=root, views="all")
    assert [draft.study.study_id for draft in source.select().drafts()] == [
        *("1", "1", "2", "2", "3", "3", "3", "5", "6", "6", "15", "1000")
    ]
    assert list(source.select().drafts()) == list(source.select().drafts())


def test_files_may_lie_behind_links(root, tmp_path):
    open_i.write_nlm(root)
    expected = drain(OpenI(root=root, views="all"))[0]
    (tmp_path / "linked").mkdir()
    for path in root.iterdir():
        (tmp_path / "linked" / path.name).symlink_to(path)
    assert drain(OpenI(root=tmp_path / "linked", views="all"))[0] == expected
    assert expected


def test_the_report_is_all_sections_in_one_order(root):
    open_i.write(root)
    reports = {study.study_id: study.report for study in drain(OpenI(root=root))[0]}
    assert reports["2"] == (
        'INDICATION: XXXX-year-old male, "bariatric" surgery\n'
        "COMPARISON: XXXX, XXXX\n"
        "FINDINGS: Borderline cardiomegaly. Midline sternotomy XXXX. Enlarged pulmonary arteries & clear lungs.\n"
        "IMPRESSION: No acute pulmonary findings."
    )
    assert reports["5"] == "FINDINGS: Tracheostomy tube in place."
    (root / "ecgen-radiology").rename(root / "gone")
    assert reports == {study.study_id: study.report for study in drain(OpenI(root=root))[0]}  # Kaggle's


@pytest.mark.parametrize("release", ["nlm", "kaggle"])
def test_removed_words_are_dropped_where_asked(root, release):
    {"nlm": open_i.write_nlm, "kaggle": open_i.write_kaggle}[release](root)
    views = "all" if release == "nlm" else "frontal"
    studies = {
        study.study_id: study for study in drain(OpenI(root=root, views=views, deidentified="drop"))[0]
    }
    assert studies["1"].findings == (
        "The cardiac silhouette is within normal limits. There are no of a pleural effusion."
    )
    assert studies["1"].impression == "Normal chest."
    assert studies["2"].report.splitlines() == [
        'INDICATION: male, "bariatric" surgery',
        "FINDINGS: Borderline cardiomegaly. Midline sternotomy. Enlarged pulmonary arteries & clear lungs.",
        "IMPRESSION: No acute pulmonary findings.",
    ]
    assert studies["3"].impression == "Bibasilar atelectasis; <5 mm nodule."


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("XXXX", ""),
        ("XXXX XXXX.", ""),
        ("Clear. XXXX. Normal .", "Clear. Normal."),
        ("a XXXX-year-old male", "a male"),
        ("Pain, XXXX, and fever (XXXX).", "Pain, and fever."),
        ("Pain; XXXX: cough", "Pain; cough"),
        ("PA/XXXX view [ XXXX ]", "PA view"),
        ("on XXXX/XXXX/XXXX, at 3.5 cm", "on, at 3.5 cm"),
        ("Dr. XXXX's XXXXX note ...", "Dr. note."),
        ("( no  token ) , as it is ..", "( no  token ) , as it is .."),
        ("XX and XXX stay", "XX and XXX stay"),
    ],
)
def test_punctuation_around_a_dropped_word_is_tidied(text, rest):
    assert without_removed(text) == rest


@given(st.text(st.sampled_from("X a.,;:()[]/-'\n5"), max_size=80))
@settings(max_examples=300)
def test_dropping_leaves_no_token_and_invents_no_letter(text):
    rest = without_removed(text)
    assert "XXXX" not in rest
    assert without_removed(rest) == rest
    letters = iter(text)
    assert all(letter in letters for letter in rest if letter.isalnum())  # a subsequence


def test_dropping_is_linear():
    text = "a" * 400_000 + " " * 400_000 + "X" * 400_000 + ".," * 200_000 + "(" * 400_000
    rest = without_removed(text)  # quadratic, it would run into the timeout
    assert rest == "a" * 400_000 + "." + "(" * 400_000


def test_a_report_of_nothing_but_removed_words_is_empty_once_they_are_dropped(root):
    open_i.write_nlm(root, [open_i.REPORTS[3] | {"findings": "XXXX.", "impression": "(XXXX)"}])
    assert len(drain(OpenI(root=root, views="all"))[0]) == 1
    studies, rejections = drain(OpenI(root=root, views="all", deidentified="drop"))
    assert studies == []
    assert "empty report" in rejections[0].reason


def test_the_xml_files_need_a_table_of_views(root):
    open_i.write_nlm(root)
    with pytest.raises(InputError, match=r"give --projections .* or take all images with --views all"):
        OpenI(root=root).select()
    studies, rejections = drain(OpenI(root=root, views="all"), image_size=60)
    assert rejections == []
    check(studies, views={"Frontal", "Lateral"}, told=False)


@pytest.mark.parametrize("header", ["imageid,View Position", "filename,ViewPosition", "image_id,view"])
def test_a_table_of_view_positions_will_do(root, header):
    open_i.write_nlm(root, open_i.REPORTS[:3])
    views = root.parent / "views.csv"
    views.write_text(
        f"{header}\nCXR1_1_IM-0001-4001,PA\nCXR1_1_IM-0001-3001,LL\nCXR2_IM-0652-1001,AP\nCXR2_IM-0652-2001,RL\n"
        "CXR3_IM-1384-1001,\nCXR3_IM-1384-2001,oblique\n"
    )
    source = OpenI(root=root, projections=views)
    studies, rejections = drain(source)
    assert {study.image_id: study.view for study in studies} == {
        "1_IM-0001-4001": "PA",
        "2_IM-0652-1001": "AP",
    }
    assert source.select().skipped == {"not a frontal view": 2}
    xml = str(root / "ecgen-radiology" / "3.xml")
    assert [(r.file, r.row) for r in rejections] == [
        (xml, f"CXR3_IM-1384-{image}.png") for image in ("1001", "2001", "3001")
    ]
    assert all("views.csv tells no view of this image" in rejection.reason for rejection in rejections)
    studies, rejections = drain(OpenI(root=root, projections=views, views="all"))
    assert [study.view for study in studies] == ["PA", "LL", "AP", "LATERAL", "", "", ""]
    assert rejections == []


def test_what_cannot_be_used_of_the_nlm_release_is_listed(root):
    open_i.write(root)
    folder = root / "ecgen-radiology"

    def edit(number, old, new):
        path = folder / f"{number}.xml"
        path.write_bytes(path.read_bytes().replace(old, new))

    edit(1, b"</MeSH>", b"")
    edit(2, b"<eCitation>", b'<!DOCTYPE e [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;&a;">]><eCitation>')
    edit(3, b"rib pain", "Rippe schmerzt \u00e4rg".encode("latin-1"))
    edit(5, b'<uId id="CXR5"/>', b'<uId id="../../5"/>')
    edit(6, b'<parentImage id="CXR6_IM-2192-1001">', b'<parentImage id="../../../etc/passwd">')
    (root / "NLMCXR_png" / "CXR15_IM-0390-1001.png").write_bytes(b"not an image")
    (folder / "16.xml").write_text(
        open_i.xml_of(open_i.REPORTS[0] | {"uid": "16", "findings": " ", "impression": ""})
    )
    (folder / "17.xml").write_bytes(b" " * (2**20 + 1))
    (folder / "18.xml").write_text("<html/>")
    (folder / "1001.xml").write_text(open_i.xml_of(open_i.REPORTS[5]))
    (folder / "1002.xml").write_text(open_i.xml_of(open_i.REPORTS[0] | {"uid": "1002"}))

    studies, rejections = drain(OpenI(root=root, views="all"))
    assert [study.image_id for study in studies] == ["6_IM-2192-2001", "1000_IM-0003-2001"]
    reasons = {(r.file.removeprefix(f"{folder}/"), r.row): r.reason for r in rejections}
    expected = {
        ("1.xml", ""): "not XML that can be read (mismatched tag",
        ("2.xml", ""): "has a DOCTYPE",
        ("3.xml", ""): "not XML that can be read (not well-formed",
        ("5.xml", ""): "uid is '../../5'; expected a number",
        ("6.xml", "../../../etc/passwd.png"): "no such image below",
        ("15.xml", "CXR15_IM-0390-1001.png"): "not an image that can be read",
        ("16.xml", ""): "empty report",
        ("17.xml", ""): "larger than 1 MiB",
        ("18.xml", ""): "no element uId",
        ("1001.xml", ""): "report 15 came before (15.xml)",
        ("1002.xml", "CXR1002_IM-0001-4001.png"): "no such image below",
        ("1002.xml", "CXR1002_IM-0001-3001.png"): "no such image below",
    }
    assert set(reasons) == set(expected)
    for place, reason in expected.items():
        assert reason in reasons[place]


def test_what_cannot_be_used_of_the_kaggle_release_is_listed(root):
    open_i.write_kaggle(root)
    reports, projections = root / "indiana_reports.csv", root / "indiana_projections.csv"
    lines = reports.read_text().splitlines()  # report 2 is on lines 3 and 4
    lines[1] = lines[1].replace("1,normal", "one,normal")
    lines[4] = lines[4].replace("3,", "3,too,many,", 1)
    lines += ["5,normal,normal,,,,again,", "7,normal,normal,,,,,", "8,normal,normal,,,,Clear.,"]
    reports.write_text("\n".join(lines) + "\n")
    (root / "images" / "images_normalized" / "5_IM-2117-1003002.dcm.png").unlink()
    listed = ["7,7_IM-1.dcm.png,Frontal", "99,99_IM-1.dcm.png,Frontal", "15,../../../etc/passwd,Frontal"]
    listed += ["15,15_IM-2.dcm.png,Sideways", "15,15_IM-3.dcm.png"]
    projections.write_text(projections.read_text() + "\n".join(listed) + "\n")

    source = OpenI(root=root)
    studies, rejections = drain(source)
    assert [study.image_id for study in studies] == ["2_IM-0652-1001", "6_IM-2192-1001", "15_IM-0390-1001"]
    reasons = {(r.file.removeprefix(f"{root}/indiana_"), r.row): r.reason for r in rejections}
    expected = {
        ("reports.csv", "line 2"): "uid is 'one'; expected a number",
        ("reports.csv", "line 5"): "10 cells, expected 8",
        ("reports.csv", "line 10"): "report 5 came before (indiana_reports.csv line 6)",
        ("reports.csv", "line 11"): "empty report",
        ("projections.csv", "5_IM-2117-1003002.dcm.png"): "no such image below",
        ("projections.csv", "line 15"): "uid '99' has no report",
        ("projections.csv", "../../../etc/passwd"): "no such image below",
        ("projections.csv", "15_IM-2.dcm.png"): "tells no view of this image",
        ("projections.csv", "line 18"): "2 cells, expected 3",
        **{("projections.csv", f"line {line}"): "uid '1' has no report" for line in (2, 3)},
        **{("projections.csv", f"line {line}"): "uid '3' has no report" for line in (6, 7, 8)},
    }
    assert set(reasons) == set(expected)
    for place, reason in expected.items():
        assert reason in reasons[place]
    assert source.select().skipped == {"not a frontal view": 3, "report without images": 1}


def test_images_of_either_release_serve_the_other(root):
    open_i.write(root)
    (root / "NLMCXR_png").rename(root.parent / "elsewhere")
    studies, rejections = drain(OpenI(root=root), image_size=60)
    assert rejections == []
    check(studies, views={"Frontal"})


def test_a_folder_of_something_else_is_told(root):
    root.mkdir()
    for source, message in (
        (OpenI(root=root / "gone"), "gone: no such folder"),
        (OpenI(root=root), r"neither ecgen-radiology/\*.xml \(NLM\) nor indiana_reports.csv"),
    ):
        with pytest.raises(InputError, match=message):
            source.select()
    (root / "notes.xml").write_text("<a/>")
    open_i.write_kaggle(root)
    assert len(drain(OpenI(root=root))[0]) == 7  # notes.xml does not make it the other release
    (root / "indiana_projections.csv").rename(root / "views.csv")
    with pytest.raises(InputError, match=r"indiana_projections.csv: no such file"):
        OpenI(root=root).select()
    assert len(drain(OpenI(root=root, projections=root / "views.csv"))[0]) == 7
    (root / "views.csv").write_text("filename,View Position\n")
    with pytest.raises(InputError, match=r"views.csv: no column 'uid'"):
        OpenI(root=root, projections=root / "views.csv").select()
    (root / "indiana_reports.csv").write_text("uid,findings\n1,Clear.\n")
    with pytest.raises(InputError, match=r"indiana_reports.csv: no column"):
        OpenI(root=root, projections=root / "indiana_reports.csv").select()


FEW = [open_i.REPORTS[number] for number in (0, 1, 2)]
SOUND = {f"{report['uid']}_{image}" for report in FEW for image, _ in report["images"]}
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plausible(result):
    """That what was built is of the images there, each under one report, with text and a known split."""
    if result is None:
        return
    for study in result[0]:
        assert study.image_id in SOUND
        assert study.text.strip()
        assert study.split == split(study.patient_id)
        assert set(study.labels.values()) <= {0, 1}
        assert study.image


@pytest.fixture(scope="module")
def nlm(tmp_path_factory):
    root = tmp_path_factory.mktemp("nlm")
    open_i.write_nlm(root, FEW)
    return root


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    root = tmp_path_factory.mktemp("kaggle")
    open_i.write_kaggle(root, FEW)
    return root


@given(data=broken(open_i.xml_of(FEW[1]).encode()))
@many
def test_any_xml_file_is_stood(nlm, data):
    (nlm / "ecgen-radiology" / "2.xml").write_bytes(data)
    result = stands(OpenI(root=nlm, views="all"), name="open-i xml")
    plausible(result)
    assert result is not None  # one bad file does not stop the build
    assert {"1", "3"} <= {study.study_id for study in result[0]}


@given(data=st.data())
@many
def test_any_table_of_reports_is_stood(kaggle, data):
    path = kaggle / "indiana_reports.csv"
    sound = path.read_bytes()
    try:
        path.write_bytes(data.draw(broken(sound)))
        plausible(stands(OpenI(root=kaggle), name="open-i reports"))
    finally:
        path.write_bytes(sound)


@given(data=st.data(), views=st.sampled_from(["frontal", "all"]))
@many
def test_any_table_of_projections_is_stood(kaggle, data, views):
    path = kaggle / "indiana_projections.csv"
    sound = path.read_bytes()
    try:
        path.write_bytes(data.draw(broken(sound)))
        plausible(stands(OpenI(root=kaggle, views=views), name="open-i projections"))
    finally:
        path.write_bytes(sound)


@given(data=broken(b"imageid,View Position\nCXR1_1_IM-0001-4001,PA\nCXR2_IM-0652-1001,AP\n"))
@many
def test_any_table_of_views_is_stood(nlm, data):
    (nlm / "views.csv").write_bytes(data)
    (nlm / "ecgen-radiology" / "2.xml").write_text(open_i.xml_of(FEW[1]))
    plausible(stands(OpenI(root=nlm, projections=nlm / "views.csv"), name="open-i views"))
