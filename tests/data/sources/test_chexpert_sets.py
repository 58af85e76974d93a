"""Oracles: a plain loop over the rows that were written, and the formula of the draw."""

import csv
import hashlib

import pytest

from broken_files import drain
from eclip.data.sources.chexpert import CheXpert
from eclip.errors import InputError
from fabricated import chexpert


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("chexpert")
    chexpert.write(root, single=6)
    return root


def identity(path):
    return "/".join(path.removesuffix(".jpg").split("/")[-3:])


def singles_of(table):
    """Class to the ids that have it as their only finding: the rule in words."""
    pools = {name: [] for name in chexpert.COMPETITION}
    for row in csv.DictReader(table.open()):
        marks = {name: row[name] for name in chexpert.LABELS if name != "No Finding"}
        present = [name for name, mark in marks.items() if mark == "1.0"]
        doubtful = [name for name, mark in marks.items() if mark == "-1.0"]
        if row["Frontal/Lateral"] == "Frontal" and len(present) == 1 and not doubtful and present[0] in pools:
            pools[present[0]].append(identity(row["Path"]))
    return pools


def first_by_hash(ids, seed, count):
    return sorted(ids, key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest())[:count]


@pytest.mark.parametrize("seed", [0, 1])
def test_5x200_draws_images_with_a_single_finding_by_the_hash_of_their_ids(root, seed):
    pools = singles_of(root / "train.csv")
    assert {name: len(ids) for name, ids in pools.items()} == dict.fromkeys(chexpert.COMPETITION, 6)
    source = CheXpert(root=root, subset="5x200", per_class=4, seed=seed)
    selection = source.select()
    assert selection.subset == {name: first_by_hash(ids, seed, 4) for name, ids in pools.items()}
    studies, rejections = drain(source)
    assert rejections == []
    drawn = {image_id: name for name, ids in selection.subset.items() for image_id in ids}
    assert {study.image_id for study in studies} == set(drawn)
    for study in studies:
        assert study.split == "test"
        assert study.labels[drawn[study.image_id]] == 1
    rows = len(chexpert.TRAIN) + 6 * 5
    assert selection.skipped == {"not drawn for 5x200": rows - 20}
    assert selection.total == 20


def test_two_seeds_draw_differently_and_the_order_of_the_table_is_of_no_matter(tmp_path, root):
    def subset(folder, seed):
        return CheXpert(root=folder, subset="5x200", per_class=3, seed=seed).select().subset

    header, *rows = (root / "train.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join([header, *rows[::-1]]))
    assert subset(tmp_path, 0) == subset(root, 0)
    assert subset(root, 0) != subset(root, 1)


def test_a_row_that_is_there_twice_is_drawn_once_and_broken_rows_are_listed(tmp_path):
    chexpert.write(tmp_path, single=1)
    rows = [*chexpert.singles(1)]
    broken = [
        ("train/patient00031/study1/oblique", "Male", 50, "Frontal", "AP", {"Edema": "1.0"}),
        ("train/patient00032/study1/view1_frontal", "Male", 50, "sideways", "AP", {"Edema": "1.0"}),
        (
            "train/patient00033/study1/view1_frontal",
            "Male",
            50,
            "Frontal",
            "AP",
            {"Edema": "1.0", "Fracture": "x"},
        ),
    ]
    chexpert.write_images(tmp_path / "train.csv", [*rows, *broken, *rows])
    with pytest.raises(InputError, match="1 images have Atelectasis as their only finding; 2 a class"):
        CheXpert(root=tmp_path, subset="5x200", per_class=2).select()
    source = CheXpert(root=tmp_path, subset="5x200", per_class=1)
    assert [len(ids) for ids in source.select().subset.values()] == [1] * 5
    _, rejections = drain(source)
    reasons = [(rejection.row, rejection.reason) for rejection in rejections]
    assert [row for row, _ in reasons] == ["row 7", "row 8", "row 9"]
    for (_, reason), words in zip(
        reasons, ["path is", "Frontal/Lateral is 'sideways'", "'Fracture' is 'x'"], strict=True
    ):
        assert words in reason


def test_a_released_list_is_taken_as_it_is_with_its_impressions(root):
    file = root / "chexpert_5x200.csv"
    rows = list(csv.DictReader(file.open()))
    source = CheXpert(root=root, ids=file, reports=file)
    studies, rejections = drain(source)
    assert rejections == []
    assert [study.image_id for study in studies] == [identity(row["Path"]) for row in rows]
    assert len(studies) == 10
    for study, row in zip(studies, rows, strict=True):
        assert study.split == "test"
        assert study.report == study.findings == ""
        assert study.impression == study.text == " ".join(row["Report Impression"].split())
    wanted = {name: [] for name in chexpert.COMPETITION}
    for row in rows:
        wanted[next(name for name in wanted if row[name] == "1.0")].append(identity(row["Path"]))
    assert source.select().subset == wanted


def test_any_list_of_paths_will_do_laterals_too_and_what_is_not_there_is_listed(tmp_path, root):
    lateral, several = chexpert.TRAIN[6][0], chexpert.TRAIN[4][0]
    file = tmp_path / "mine.csv"
    file.write_text(
        f"index,Path\n0,{lateral}.jpg\n1,x/{several}.jpg\n2,CheXpert-v1.0/{chexpert.VALID[0][0]}.jpg\n"
        "3,train/patient77777/study1/view1_frontal.jpg\n4,/etc/passwd\n"
    )
    source = CheXpert(root=root, ids=file)
    studies, rejections = drain(source)
    ids = [identity(path) for path in (several, lateral, chexpert.VALID[0][0])]
    assert [study.image_id for study in studies] == ids
    assert source.select().subset == {"Edema": [ids[1]], "Cardiomegaly": [ids[2]], "others": [ids[0]]}
    assert [(r.file, r.row) for r in rejections] == [(str(file), "row 5"), (str(file), "row 6")]
    assert "patient77777/study1/view1_frontal is in neither train.csv nor valid.csv" in rejections[0].reason
    assert "Path is '/etc/passwd'; expected …/train/patient00001" in rejections[1].reason


def test_8x200_stores_candidates_and_query_images_and_lists_which_is_which(root):
    source = CheXpert(root=root, subset="8x200")
    candidates = [identity(row[0]) for row in chexpert.TRAIN if row[3] == "Frontal"]
    queries = [identity(row[0]) for row in chexpert.VALID[:2]]
    assert source.select().subset == {
        "image candidates": candidates,
        "text candidates": candidates,
        "image queries: Cardiomegaly": [queries[0]],
        "image queries: No Finding": [queries[1]],
        "text queries: Cardiomegaly": ["The heart is mildly enlarged."],
        "text queries: No Finding": ["No acute process."],
    }
    studies, rejections = drain(source)
    assert rejections == []
    assert [study.image_id for study in studies] == [*candidates, *queries]
    assert {study.split for study in studies} == {"test"}
    assert studies[-1].labels == {name: int(name == "No Finding") for name in chexpert.LABELS}


@pytest.mark.parametrize("kind", ["image", "text"])
def test_8x200_needs_one_of_its_folders_and_takes_it_from_anywhere(tmp_path, root, kind):
    chexpert.write_queries(tmp_path, "CheXpert-v1.0")
    other = {"image": "text", "text": "image"}[kind]
    (tmp_path / f"{other}-retrieval").rename(tmp_path / "gone")
    selection = CheXpert(root=root, subset="8x200", queries=tmp_path).select()
    assert {group.split()[0] for group in selection.subset} == {kind}
    assert selection.total == 5 + 2 * (kind == "image")


def test_queries_that_cannot_be_used_are_listed(tmp_path, root):
    chexpert.write_queries(tmp_path, "CheXpert-v1.0")
    candidate = f"CheXpert-v1.0/{chexpert.TRAIN[0][0]}.jpg"
    (tmp_path / "image-retrieval" / "query.csv").write_text(
        f"Variable,Path\nMeasles,{candidate}\nEdema,\nEdema,train/patient77777/study1/view1_frontal.jpg\n"
        f"Edema,elsewhere.jpg\nEdema,{candidate}\n"
    )
    (tmp_path / "text-retrieval" / "query.csv").write_text('Variable,Text\nEdema," mild\nedema"\nEdema, \n')
    source = CheXpert(root=root, subset="8x200", queries=tmp_path)
    selection = source.select()
    assert selection.subset["image queries: Edema"] == [identity(candidate)]
    assert selection.subset["text queries: Edema"] == ["mild edema"]
    assert sum(group.startswith(("image queries", "text queries")) for group in selection.subset) == 2
    studies, rejections = drain(source)
    assert len(studies) == 5  # the query image is a candidate too, and stored once
    assert [(r.file.split("/")[-2], r.row) for r in rejections] == [
        ("image-retrieval", "row 2"), ("image-retrieval", "row 3"), ("image-retrieval", "row 4"),
        ("image-retrieval", "row 5"), ("text-retrieval", "row 3"),
    ]  # fmt: skip
    words = [
        "Variable is 'Measles'",
        "nothing in column 'Path'",
        "in neither train.csv",
        "expected …",
        "nothing in",
    ]
    for rejection, word in zip(rejections, words, strict=True):
        assert word in rejection.reason
