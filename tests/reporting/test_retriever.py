"""Retrieval for drafts: against loops; patients left out; labels; diversity."""

import dataclasses

import numpy as np
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.reporting.index_writer import build_index
from eclip.reporting.retriever import retrieve
from small_evaluations import SpotModel, unit_rows
from small_stores import FINDINGS, small_study


@pytest.fixture(scope="module", params=["exact", "ivf", "hnsw"])
def index(request, tmp_path_factory):
    """Sixty studies of twenty patients; every fifth says the same."""
    folder = tmp_path_factory.mktemp("index")
    studies = []
    for i in range(60):
        study = dataclasses.replace(small_study(i), patient_id=f"p{i % 20}")
        studies.append(dataclasses.replace(study, text="Clear.") if i % 5 == 0 else study)
    write_store(folder / "store", studies, source="test", rejected=[])
    return build_index(SpotModel(), Store.open(folder / "store"), folder / "index", kind=request.param)


QUERIES = unit_rows(9, 8, seed=5)


def by_loop(index, query, count, excluded=(), labels=()):
    found = []
    for number in np.argsort(-(index.vectors @ query), kind="stable"):
        studies = index.sayers(number, exclude_patients=excluded, labels=labels)
        if len(studies):
            found.append((int(number), index.study_id(studies[0]), len(studies)))
    return found[:count]


@pytest.mark.parametrize("count", [1, 7, 200])
@pytest.mark.parametrize("excluded", [(), ("p0",), tuple(f"p{i}" for i in range(19))])
@pytest.mark.parametrize("labels", [(), (FINDINGS[1],)])
def test_equals_a_loop_over_all_texts(index, count, excluded, labels):
    found = retrieve(index, QUERIES, count=count, exclude_patients=[excluded] * 9, labels=labels)
    for query, sources in zip(QUERIES, found, strict=True):
        got = [(s.number, s.study_id, s.studies) for s in sources]
        assert got == by_loop(index, query, count, excluded, labels)
        assert [s.similarity for s in sources] == pytest.approx(
            [index.vectors[s.number] @ query for s in sources], abs=1e-6
        )
        assert [s.text for s in sources] == [index.text(s.number) for s in sources]


def test_no_report_of_the_patient_is_retrieved_though_its_words_are_if_others_say_them(index):
    own = {row["study_id"] for row in index.entries.to_pylist() if row["patient_id"] == "p0"}
    assert own
    (found,) = retrieve(index, QUERIES[:1], count=1000, exclude_patients=[["p0"]])
    assert not own & {source.study_id for source in found}
    assert "Clear." in [source.text for source in found]
    everyone = [f"p{i}" for i in range(20)]
    assert retrieve(index, QUERIES[:1], exclude_patients=[everyone]) == [[]]


@pytest.mark.parametrize("diversity", [0.3, 0.7])
def test_diversity_is_maximal_marginal_relevance(index, diversity):
    (pool,) = retrieve(index, QUERIES[:1], count=20)
    (found,) = retrieve(index, QUERIES[:1], count=5, diversity=diversity)
    left, taken = list(pool), []
    while len(taken) < 5:

        def score(source):
            nearest = max(
                (index.vectors[source.number] @ index.vectors[t.number] for t in taken), default=0.0
            )
            return (1 - diversity) * source.similarity - diversity * nearest

        best = max(left, key=score)
        taken.append(best)
        left.remove(best)
    assert found == taken


def test_what_makes_no_sense_is_refused(index):
    with pytest.raises(InputError, match="1 or more texts"):
        retrieve(index, QUERIES, count=0)
    with pytest.raises(InputError, match="diversity in"):
        retrieve(index, QUERIES, diversity=1.0)
    with pytest.raises(InputError, match="no study with finding"):
        retrieve(index, QUERIES, labels=["Fracture"])


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_finds_what_is_rare_or_lies_behind_a_patients_own(kind, tmp_path):
    """Four hundred texts of one patient and forty of others, ten of them with a finding."""
    studies = [
        dataclasses.replace(
            small_study(i),
            patient_id="many" if i < 400 else f"p{i}",
            labels={FINDINGS[1]: int(i >= 430)},
        )
        for i in range(440)
    ]
    write_store(tmp_path / "store", studies, source="test", rejected=[])
    index = build_index(SpotModel(), Store.open(tmp_path / "store"), tmp_path / "index", kind=kind)
    for excluded, labels in ((("many",), ()), ((), (FINDINGS[1],)), (("p431",), (FINDINGS[1],))):
        found = retrieve(index, QUERIES, count=20, exclude_patients=[excluded] * 9, labels=labels)
        for query, sources in zip(QUERIES, found, strict=True):
            expected = [number for number, *_ in by_loop(index, query, 20, excluded, labels)]
            got = [source.number for source in sources]
            assert len(got) == len(expected)
            if labels:  # those are compared one by one
                assert got == expected
            else:
                assert len(set(got) & set(expected)) >= 14


def test_findings_that_no_study_has_together_find_nothing(index):
    assert retrieve(index, QUERIES[:2], labels=FINDINGS) == [[], []]
