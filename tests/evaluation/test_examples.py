"""Examples on the page: the best and the worst are that, and heatmaps belong to their studies."""

import numpy as np
import pytest

from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.examples import annotated_studies, retrieval_examples
from eclip.evaluation.results import Evaluation
from small_evaluations import SpotModel
from small_stores import small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", test=30, annotated=9)


@pytest.fixture(scope="module")
def evaluation(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation")
    evaluate(SpotModel(noise=1.0), store, out=out, tasks=["retrieval"])
    return Evaluation.read(out)


def test_best_and_worst_are_the_ends_of_the_ranking(evaluation, store):
    best, worst = retrieval_examples(evaluation, store, count=4)
    ranks = np.sort(evaluation.task("retrieval")["image_to_text_rank"].to_numpy())
    assert [e.rank for e in best] == ranks[:4].tolist()
    assert [e.rank for e in worst] == ranks[::-1][:4].tolist()
    assert all(e.candidates == 30 for e in best + worst)


def test_what_is_found_is_the_nearest_text(evaluation, store):
    embeddings = evaluation.embeddings
    best, worst = retrieval_examples(evaluation, store)
    for example in best + worst:
        row = embeddings.text.index(example.text)
        similarity = {
            t: float(v @ embeddings.image_ND[row])
            for t, v in zip(embeddings.text, embeddings.text_ND, strict=True)
        }
        nearest = sorted(similarity, key=similarity.get, reverse=True)[:3]
        assert [f.text for f in example.found] == nearest
        assert [f.similarity for f in example.found] == pytest.approx([similarity[t] for t in nearest])
        assert example.similarity == pytest.approx(similarity[example.text])
        assert [f.own for f in example.found] == [t == example.text for t in nearest]


def test_few_images_are_not_shown_as_best_and_worst_at_once(evaluation, store):
    best, worst = retrieval_examples(evaluation, store, count=20)
    texts = [e.text for e in best + worst]
    assert len(texts) == len(set(texts)) == 30


def test_annotated_studies_come_from_the_split_or_from_one_that_has_them(store):
    models = {"a": SpotModel(), "b": SpotModel(processor=True), "c": None}
    studies, split = annotated_studies(store, "test", models, count=5)
    assert split == "train"  # no test study of this store has a reader
    assert len(studies) == 5
    assert len({study.text for study in studies}) == 5
    assert [p.caption for p in studies[0].pictures] == ["Image", "Expert gaze", "Expert view, b"]


def test_a_store_without_annotations_has_none_to_show(tmp_path):
    store = small_store(tmp_path / "store", annotated=0)
    assert annotated_studies(store, "test", {}) == ([], "test")
