"""Oracle: the items that were written; sums and runs by plain loops."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_trees as trees
from broken_files import TRIED, broken
from eclip.annotations.scan_paths import read_scan_paths
from eclip.errors import InputError
from fabricated import gazeintent, gazesearch

SOUND = {"gazesearch": gazesearch.ITEMS, "gazeintent": gazeintent.EGD_ITEMS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paths")


@pytest.fixture(scope="module")
def read(folder):
    def read(items, dataset="gazesearch"):
        file = folder / "paths.json"
        file.write_bytes(items if isinstance(items, bytes) else json.dumps(items).encode())
        rejected = []
        return list(read_scan_paths(file, dataset=dataset, reject=rejected.append)), rejected

    return read


def numbers(scan_path):
    return np.array([(f.x, f.y, f.start, f.end) for f in scan_path.annotation.fixations])


def test_items_of_gazesearch_are_read_as_they_were_written(read):
    found, rejected = read(gazesearch.ITEMS)
    assert rejected == []
    assert [path.row for path in found] == ["item 1", "item 2", "item 3", "item 4", "item 5"]
    for path, item in zip(found, gazesearch.ITEMS, strict=True):
        ends = [sum(item["T"][: i + 1]) for i in range(item["length"])]
        expected = [np.array(item["X"]) / 224, np.array(item["Y"]) / 224, [0.0, *ends[:-1]], ends]
        np.testing.assert_allclose(numbers(path), np.transpose(expected), atol=1e-9)
        assert f"{path.image_id}.jpg" == item["name"]
        assert path.split == item["split"]
        assert (path.annotation.kind, path.annotation.reader) == ("gaze", "gazesearch-1")
        assert path.annotation.sentences == ()
    assert [path.annotation.label for path in found] == [
        "Lung Opacity", "Pleural Effusion", "Cardiomegaly", "Enlarged Cardiomediastinum", "Pneumothorax",
    ]  # fmt: skip
    assert {path.annotation.label for path in found} <= set(trees.CHEXPERT)


def test_items_of_gazeintent_tell_when_a_finding_was_looked_for(read):
    found, rejected = read(gazeintent.EGD_ITEMS, "gazeintent")
    assert rejected == []
    said = [(s.text, s.start, s.end) for s in found[0].annotation.sentences]
    assert said == [
        ("pleural effusion", 0.25, 1.0),
        ("pleural effusion", 1.5, 1.75),
        ("cardiomegaly", 1.75, 2.75),
    ]
    assert found[1].annotation.sentences == ()
    assert {(path.annotation.label, path.annotation.reader) for path in found} == {("", "gazeintent-1")}
    assert numbers(found[0])[1] == pytest.approx((56 / 224, 168.5 / 224, 0.25, 0.75), abs=1e-9)


def test_a_file_in_milliseconds_gives_the_same_seconds(read):
    items = [item | {"T": [seconds * 1000 for seconds in item["T"]]} for item in gazeintent.EGD_ITEMS]
    in_seconds, _ = read(gazeintent.EGD_ITEMS, "gazeintent")
    in_milliseconds, _ = read(items, "gazeintent")
    for one, other in zip(in_seconds, in_milliseconds, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-9)
        assert [s.text for s in one.annotation.sentences] == [s.text for s in other.annotation.sentences]
    (path,), _ = read([gazesearch.item(0, "edema", [(1, 1, 30.0)])])
    assert numbers(path)[0, 3] == 30  # GazeSearch says seconds


def test_a_folder_gives_the_items_of_all_its_files(tmp_path):
    gazeintent.write(tmp_path)
    found = list(read_scan_paths(tmp_path, dataset="gazeintent", reject=pytest.fail))
    assert [(path.file.name, path.row) for path in found] == [
        (file, f"item {number}") for file in gazeintent.FILES for number in (1, 2)
    ]
    assert [path.annotation.reader[-1] for path in found] == ["1", "1", "3", "2"]
    assert (numbers(found[3])[0, :2] == (224.5 / 224, -1.5 / 224)).all()  # beside the image, as recorded


SOUND_ITEM = gazesearch.ITEMS[0]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (SOUND_ITEM | {"X": [1, 2]}, "2 X, 3 Y, 3 T; expected as many"),
        (SOUND_ITEM | {"X": [], "Y": [], "T": []}, "0 X, 0 Y, 0 T"),
        (SOUND_ITEM | {"T": [0.1, -0.1, 0.1]}, "T has -0.1; expected durations"),
        (SOUND_ITEM | {"T": [0.1, float("nan"), 0.1]}, "T has nan; expected a number"),
        (SOUND_ITEM | {"Y": [1, 2, float("inf")]}, "Y has inf; expected a number"),
        (SOUND_ITEM | {"Y": [1, 2, 10**400]}, "Y has 1000"),
        (SOUND_ITEM | {"Y": [1, 2, True]}, "Y has True; expected a number"),
        (SOUND_ITEM | {"X": [1, 2, "3"]}, "X has '3'; expected a number"),
        (SOUND_ITEM | {"X": [1, 2, [3] * 999]}, "X has a list of 999; expected a number"),
        (SOUND_ITEM | {"X": "112"}, "X is '112'; expected a list of numbers"),
        ({name: SOUND_ITEM[name] for name in ("name", "task", "X", "Y")}, "T is None; expected a list"),
        (SOUND_ITEM | {"name": 5}, "name is 5; expected text"),
        (SOUND_ITEM | {"task": None}, "task is None; expected text"),
        (SOUND_ITEM | {"split": 1}, "split is 1; expected text"),
        (SOUND_ITEM | {"subject": [1]}, "subject is a list of 1; expected a number"),
        ([1, 2], "a list of 2: expected an object"),
        (None, "None: expected an object"),
    ],
)
def test_an_item_that_cannot_be_used_is_rejected_and_the_others_stay(read, item, reason):
    found, rejected = read([gazesearch.ITEMS[1], item, gazesearch.ITEMS[2]])
    assert [path.row for path in found] == ["item 1", "item 3"]
    (rejection,) = rejected
    assert (rejection.file.endswith("paths.json"), rejection.row) == (True, "item 2")
    assert reason in rejection.reason


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        (["null"], "findings is a list of 1; expected a list with one for each fixation"),
        ("edema", "findings is 'edema'"),
        (["null", 7], "findings has 7; expected a name"),
        (["null", ["edema", {}]], "findings has a list of 2"),
    ],
)
def test_findings_that_do_not_fit_the_fixations_reject_the_item(read, findings, reason):
    found, rejected = read([gazeintent.REFLACX_ITEMS[0] | {"findings": findings}], "gazeintent")
    assert found == []
    assert reason in rejected[0].reason


def test_an_item_needs_neither_subject_nor_split_nor_findings(read):
    item = {"name": "a.jpg", "X": [1], "Y": [2], "T": [0.1]}
    (path,), rejected = read([item], "gazeintent")
    assert rejected == []
    assert (path.image_id, path.split, path.annotation.reader, path.annotation.sentences) == (
        "a", "", "gazeintent", (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON that can be read"),
        (b"[1, 2", "not JSON that can be read"),
        (b"\xff\xfe\xff", "not JSON that can be read"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b"9" * 5000, "not JSON that can be read"),
        (b'{"X": [1]}', "a JSON object of 1; expected a JSON list"),
        (b"3", "3; expected a JSON list"),
    ],
)
def test_what_is_no_list_of_scan_paths_is_told_in_one_line(read, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(content)
    assert "\n" not in str(error.value)


def test_missing_and_absurdly_large_files_are_told(tmp_path):
    for path, message in (
        (tmp_path / "gone.json", "no such file"),
        (tmp_path, r"no \.json file in this folder"),
    ):
        with pytest.raises(InputError, match=message):
            list(read_scan_paths(path, dataset="gazesearch", reject=pytest.fail))
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**31)  # a hole: it takes no space, nor may it take memory
    with pytest.raises(InputError, match="2147483648 bytes; expected scan paths, 134217728 bytes at most"):
        list(read_scan_paths(tmp_path, dataset="gazesearch", reject=pytest.fail))


NAMES = st.sampled_from(["null", None, "", "edema", "lung_lesion", ["edema"], ["edema", "lung_lesion"], []])


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    fixations=st.lists(
        st.tuples(st.integers(-50, 300), st.floats(-50, 300), st.integers(1, 20), NAMES),
        min_size=1,
        max_size=12,
    )
)
def test_a_finding_is_told_just_while_it_was_looked_for(read, fixations):
    x, y, twentieths, findings = map(list, zip(*fixations, strict=True))
    item = {"name": "a.jpg", "X": x, "Y": y, "T": [t / 20 for t in twentieths], "findings": findings}
    (path,), rejected = read([item], "gazeintent")
    assert rejected == []
    np.testing.assert_allclose(numbers(path)[:, 2], (np.cumsum(twentieths) - twentieths) / 20, atol=1e-9)
    starts = 0
    for word, name in (("edema", "edema"), ("lung lesion", "lung_lesion")):
        sentences = [s for s in path.annotation.sentences if s.text == word]
        before = False
        for fixation, finding in zip(path.annotation.fixations, findings, strict=True):
            sought = name in (finding if isinstance(finding, list) else [finding])
            middle = (fixation.start + fixation.end) / 2
            assert sum(s.start < middle < s.end for s in sentences) == sought
            starts += sought and not before
            before = sought
    assert len(path.annotation.sentences) == starts
    assert [s.start for s in path.annotation.sentences] == sorted(s.start for s in path.annotation.sentences)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), dataset=st.sampled_from(sorted(SOUND)))
def test_broken_files_give_rejections_or_one_clear_error(read, data, dataset):
    indent = data.draw(st.sampled_from([None, 1]))  # lines, for what breaks whole lines
    content = json.dumps(SOUND[dataset], indent=indent).encode()
    TRIED["scan paths"] += 1
    found, rejected, message = [], [], ""
    try:
        found, rejected = read(data.draw(broken(content)), dataset)
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    for path in found:
        assert np.isfinite(numbers(path)).all()
        assert (numbers(path)[:, 3] >= numbers(path)[:, 2]).all()
    "".join(rejection.reason for rejection in rejected).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), dataset=st.sampled_from(sorted(SOUND)))
def test_values_of_any_type_are_rejected_or_understood(read, data, dataset):
    TRIED["scan paths"] += 1
    item = dict(SOUND[dataset][0])
    item[data.draw(st.sampled_from(sorted(item)))] = data.draw(JSON)
    found, rejected = read([item, SOUND[dataset][1]], dataset)
    assert len(found) + len(rejected) == 2
    assert found[-1].row == "item 2"
    for text in [r.reason for r in rejected] + [p.annotation.reader + p.image_id + p.split for p in found]:
        text.encode()
