"""Oracles: counts and lengths by plain Python over the studies that were written; NumPy's quantiles."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eclip.annotations import Annotation, Fixation, Region, Sentence
from eclip.data.inspection.census import histograms, take_census
from eclip.data.store import SPLITS, Store, write_store
from small_stores import small_study


def varied(number):
    """A study whose every counted part follows from its number."""
    split = SPLITS[number % 3]
    fixations = tuple(Fixation(0.5, 0.5, start=i, end=i + 0.25 * (1 + number % 3)) for i in range(number % 7))
    sentences = tuple(Sentence(f"Sentence {i}.", i, i + 1) for i in range(number % 4))
    box = Annotation(kind="box", label="x", region=Region(((0.1, 0.1), (0.5, 0.5))))
    gaze = [
        Annotation(kind="gaze", reader=f"r{r}", fixations=fixations, sentences=sentences)
        for r in range(number % 3)
    ]
    return replace(
        small_study(number, split=split),
        patient_id=f"{split}-{number // 6}",
        study_id=f"{split}-{number // 6}-{number % 2}",
        view=("PA", "AP", "")[number % 5 % 3],
        sex=("F", "M", "")[number % 4 % 3],
        age=None if number % 4 == 0 else 30 + number,
        text=" ".join(["word"] * (number % 11)) + "\n more" * (number % 2),
        labels={"Edema": 1, "Mass": -1} if number % 2 else {"Edema": 0} if number % 3 else {},
        annotations=(*gaze, *[box] * (number % 5 == 0) * 2),
    )


@pytest.fixture(scope="module")
def studies():
    return [varied(number) for number in range(50)]


@pytest.fixture(scope="module")
def census(studies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("census") / "store"
    write_store(folder, studies, source="test", shard_rows=17)
    return take_census(Store.open(folder))


def test_splits_are_counted(census, studies):
    assert [split.name for split in census.splits] == [*SPLITS, "all"]
    for split in census.splits:
        some = [study for study in studies if split.name in {study.split, "all"}]
        assert split.images == len(some)
        assert split.studies == len({study.study_id for study in some})
        assert split.patients == len({study.patient_id for study in some})
        assert split.annotated == sum(bool(study.annotations) for study in some)
        assert split.views == Counter(study.view for study in some)
        assert split.sexes == Counter(study.sex for study in some)
        assert split.median_age == np.median([study.age for study in some if study.age is not None])
    counts = Counter(study.view for study in studies)
    assert [counts[view] for view in census.views] == sorted(counts.values(), reverse=True)
    assert census.sizes == [((48, 40), 50)]


def assert_holds(found, values):
    """A histogram holds these values."""
    assert found.total == len(values)
    assert found.quantiles == pytest.approx(np.quantile(values, (0, 0.05, 0.5, 0.95, 1)))
    for i, count in enumerate(found.counts):
        low, high = found.edges[i : i + 2]
        last = i == len(found.counts) - 1
        assert count == sum(low <= value and (last or value < high) for value in values)


def test_lengths_are_counted_by_split(census, studies):
    for found, measure in (
        (census.words, lambda s: len(s.text.split())),
        (census.fixations, lambda s: sum(len(a.fixations) for a in s.annotations)),
        (census.ages, lambda s: s.age or 0),
    ):
        expected = {name: [n for s in studies if s.split == name and (n := measure(s))] for name in SPLITS}
        expected = {name: values for name, values in expected.items() if values}
        assert [histogram.group for histogram in found] == list(expected)
        for histogram in found:
            assert_holds(histogram, expected[histogram.group])


def test_times_are_those_of_readings(census, studies):
    readings = [a for study in studies for a in study.annotations if a.fixations]
    seconds = [sum(f.end - f.start for f in reading.fixations) for reading in readings]
    assert_holds(*census.seconds, seconds)
    means = [1000 * s / len(reading.fixations) for s, reading in zip(seconds, readings, strict=True)]
    assert_holds(*census.milliseconds, means)


def test_labels_are_counted_with_their_share_of_each_split(census, studies):
    assert [label.name for label in census.labels] == ["Edema", "Mass"]
    for label in census.labels:
        values = Counter(study.labels.get(label.name) for study in studies)
        assert (label.present, label.absent, label.uncertain) == (values[1], values[0], values[-1])
        for split in SPLITS:
            some = [study for study in studies if study.split == split]
            expected = sum(study.labels.get(label.name) == 1 for study in some) / len(some)
            assert label.shares[split] == pytest.approx(expected)


def test_annotations_are_counted_by_kind_and_reader(census, studies):
    pairs = [(a.kind, a.reader) for study in studies for a in study.annotations]
    kinds = Counter(kind for kind, _ in pairs)
    assert [count.kind for count in census.kinds] == [kind for kind, _ in kinds.most_common()]
    for count in census.kinds:
        assert count.annotations == kinds[count.kind]
        assert count.images == sum(any(a.kind == count.kind for a in s.annotations) for s in studies)
        assert count.readers == Counter(reader for kind, reader in pairs if kind == count.kind)
    expected = [sum(len(a.sentences) for a in study.annotations) for study in studies]
    np.testing.assert_array_equal(census.sentences_N, expected)


def test_a_store_with_next_to_nothing_in_it(tmp_path):
    bare = replace(small_study(0), text="", view="", labels={})
    write_store(tmp_path / "s", [bare], source="test")
    census = take_census(Store.open(tmp_path / "s"))
    assert [split.name for split in census.splits] == ["train", "all"]
    assert census.distributions() == {}
    assert census.labels == []
    assert census.kinds == []
    assert census.splits[0].median_age is None


def test_times_that_are_no_numbers_do_not_count(tmp_path):
    fixations = [(0.0, np.nan), (np.inf, np.inf), (0.0, 2.0)]
    gaze = [Annotation(kind="gaze", fixations=(Fixation(0.5, 0.5, *when),)) for when in fixations]
    write_store(tmp_path / "s", [replace(small_study(0), annotations=tuple(gaze))], source="test")
    census = take_census(Store.open(tmp_path / "s"))
    assert_holds(*census.seconds, [2.0])
    assert_holds(*census.fixations, [3])


@example(np.array([-1e-45]), np.array([1]))  # its floor is -1, its distance from it rounds to 1
@given(
    arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, 1e300])),
    arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 300)),
)
@settings(max_examples=150)
def test_histograms_hold_every_finite_value_once(some, others):
    found = {histogram.group: histogram for histogram in histograms({"a": some, "b": others})}
    assert ("a" in found) == bool(np.isfinite(some).any())
    for group, values in (("a", some[np.isfinite(some)]), ("b", others)):
        if group in found:
            assert found[group].total == len(values)
            assert 1 <= len(found[group].counts) <= 20
            assert (np.diff(found[group].edges) >= 1).all()
            if np.abs(values).max() < 1e9:
                assert_holds(found[group], values)
    np.testing.assert_array_equal(
        *(histogram.edges for histogram in (found["b"], found.get("a", found["b"])))
    )
