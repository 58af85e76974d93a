"""Oracle: the XML and the tables that were written."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.annotations.reading import Rejection
from eclip.data.sources.open_i_reports import image_id_of, read_projections, read_reports, read_xml, uid_of
from eclip.errors import InputError
from fabricated import open_i


@pytest.mark.parametrize(
    ("xml", "kaggle", "image_id"),
    [
        ("CXR1000_IM-0003-2001.png", "1000_IM-0003-2001.dcm.png", "1000_IM-0003-2001"),
        ("CXR1_1_IM-0001-3001.png", "1_IM-0001-3001.dcm.png", "1_IM-0001-3001"),
        ("CXR12_IM-0129-1001-0002", "12_IM-0129-1001-0002.dcm", "12_IM-0129-1001-0002"),
        ("CXR1_11_IM-0001-3001.png", "CXR1_11_IM-0001-3001", "CXR1_11_IM-0001-3001"),  # not the number twice
        ("left.png", " left", "left"),
    ],
)
def test_an_image_has_one_id_in_both_releases(xml, kaggle, image_id):
    assert image_id_of(xml) == image_id_of(kaggle) == image_id


@given(st.text(st.characters(exclude_characters="."), max_size=40))
def test_any_name_has_an_id(name):
    assert image_id_of(f"CXR3_IM-{name}.png") == image_id_of(f"3_IM-{name}.dcm.png")


@pytest.mark.parametrize("cell", ["", "CXR", "1.0", "-1", "CXR 1", "1" * 400, "../1", "١"])
def test_a_uid_is_a_number(cell):
    assert uid_of(" CXR0012 ") == uid_of("12") == "12"
    with pytest.raises(InputError, match="uid is"):
        uid_of(cell)


def test_an_xml_file_is_read(tmp_path):
    path = tmp_path / "2.xml"
    path.write_text(open_i.xml_of(open_i.REPORTS[1]), encoding="utf-8")
    report = read_xml(path)
    assert (report.uid, report.file, report.row, report.images_file) == ("2", str(path), "", str(path))
    assert report.sections == {
        "indication": 'XXXX-year-old male, "bariatric" surgery',
        "comparison": "XXXX, XXXX",
        "findings": "Borderline cardiomegaly. Midline sternotomy XXXX. Enlarged pulmonary arteries & clear lungs.",
        "impression": "No acute pulmonary findings.",
    }
    assert report.terms == (
        "Cardiomegaly/borderline",
        "Pulmonary Artery/enlarged",
    )  # the program's are not read
    assert report.images == ("CXR2_IM-0652-1001.png", "CXR2_IM-0652-2001.png")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_an_encoding_that_is_declared_is_used(tmp_path, encoding):
    text = open_i.xml_of(open_i.REPORTS[1] | {"impression": "Größer."}).replace("utf-8", encoding)
    (tmp_path / "2.xml").write_bytes(text.encode(encoding))
    assert read_xml(tmp_path / "2.xml").sections["impression"] == "Größer."


BOMB = (
    b'<!DOCTYPE e [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 30))
    + b']><eCitation><uId id="CXR1"/>&a29;</eCitation>'
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BOMB, "has a DOCTYPE"),
        (BOMB.decode().encode("utf-16"), "has a DOCTYPE"),
        (b'<!DOCTYPE e SYSTEM "file:///etc/passwd"><e/>', "has a DOCTYPE"),
        (b'<?xml version="1.0" encoding="utf-99"?><e/>', "unknown encoding"),
        (b'<?xml version="1.0" encoding="shift_jis"?><e/>', "encodings are not supported"),
        (b"", "no element found"),
        (b"<e>&nbsp;</e>", "undefined entity"),
        (b"<e>" * 300_000, "no element found"),
        (b"<e>" * 140_000 + b"</e>" * 140_000, "no element uId"),
        (b"<e/>" * 300_000, "larger than 1 MiB"),
        (b"<eCitation><uId/></eCitation>", "uid is ''"),
    ],
)
def test_what_is_no_report_is_told_in_little_memory(tmp_path, data, reason):
    (tmp_path / "1.xml").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match=reason):
        read_xml(tmp_path / "1.xml")
    assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    tracemalloc.stop()


def test_the_tables_tell_the_same_as_the_files(tmp_path):
    open_i.write(tmp_path)
    rejected = []
    projections = tmp_path / "indiana_projections.csv"
    frame = read_projections(projections, uid=True, reject=rejected.append)
    reports = list(read_reports(tmp_path / "indiana_reports.csv", frame, projections))
    assert rejected == []
    assert len(reports) == len(open_i.REPORTS) - 1  # without the one that has no images
    for report in reports:
        other = read_xml(tmp_path / "ecgen-radiology" / f"{report.uid}.xml")
        assert report.sections == other.sections
        assert [term for term in report.terms if term] == list(other.terms)
        assert [image_id_of(name) for name in report.images] == [image_id_of(name) for name in other.images]


def test_problems_stand_in_where_there_are_no_headings(tmp_path):
    open_i.write_kaggle(tmp_path, [open_i.REPORTS[1]])
    path = tmp_path / "indiana_reports.csv"
    path.write_text(path.read_text().replace("Cardiomegaly/borderline;Pulmonary Artery/enlarged", ""))
    projections = tmp_path / "indiana_projections.csv"
    frame = read_projections(projections, uid=True, reject=pytest.fail)
    (report,) = read_reports(path, frame, projections)
    assert not isinstance(report, Rejection)
    assert report.terms == ("Cardiomegaly", "Pulmonary Artery")


def test_views_are_read_whatever_they_are_called(tmp_path):
    cells = ["Frontal", " lateral ", "pa", "AP", "LL", "RL", "LATERAL", "", "SWIMMER"]
    (tmp_path / "views.csv").write_text(
        "\ufeffnumber,imageid,View Position\n"
        + "".join(f"{i},{i}.png,{cell}\n" for i, cell in enumerate(cells))
    )
    frame = read_projections(tmp_path / "views.csv", uid=False, reject=pytest.fail)
    assert list(frame["filename"]) == [f"{i}.png" for i in range(9)]
    assert list(frame["projection"]) == [
        *("FRONTAL", "LATERAL", "PA", "AP", "LL", "LATERAL", "LATERAL", "", "")
    ]
