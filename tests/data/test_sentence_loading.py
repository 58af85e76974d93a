"""Sentences with the gaze of their own seconds: which are drawn, where their maps are, whose they are."""

import dataclasses

import numpy as np
import pytest
import torch

from eclip.annotations import Annotation, Fixation, Sentence, render
from eclip.annotations.heatmap_controls import centre_bias
from eclip.annotations.sentences import sentence_fixations
from eclip.data.augmentation import Augmentation, AugmentationConfig
from eclip.data.expert_loading import ExpertLoader
from eclip.data.loading import TrainingBatches
from eclip.data.sentence_loading import drawn_sentences, row_keys
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study

CONTROLS = ["random", "shuffled", "uniform", "centre"]
ROWS = np.arange(6)
BESIDE, SILENT = (
    4,
    5,
)  # a study whose second sentence was dictated looking beside the image; one without sentences


def reading(number, *, reader="r1", sentences=None, beside=False):
    """Three fixations of a second; two sentences, of the first and of the last two of them."""
    places = [(0.2 + 0.05 * number, 0.3), (0.5, 0.4 + 0.05 * number), (0.7 - 0.04 * number, 0.8)]
    if beside:
        places[1:] = [(-9.0, 0.5)] * 2
    fixations = tuple(Fixation(x, y, float(i), i + 1.0) for i, (x, y) in enumerate(places))
    spoken = (Sentence(f" First of {number}. ", 0.5, 1.0), Sentence(f"Last of {number}.", 2.5, 3.0))
    return Annotation(
        "gaze", reader, fixations=fixations, sentences=spoken if sentences is None else sentences
    )


def store_of(folder, annotations, **changes):
    """One annotated study a row."""
    studies = [
        dataclasses.replace(small_study(i), annotations=tuple(of), **changes)
        for i, of in enumerate(annotations)
    ]
    write_store(folder, studies, source="test", rejected=[])
    return Store.open(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    annotations = [[reading(i, beside=i == BESIDE, sentences=() if i == SILENT else None)] for i in ROWS]
    annotations[2].append(reading(9, reader="r2"))
    return store_of(tmp_path_factory.mktemp("data") / "store", annotations)


def loader(store, heatmaps="recorded", **changes):
    settings = {"size": 32, "augmentation": None, "seed": 3, "sentences": 2, "lead": 0.5} | changes
    return ExpertLoader(store, heatmaps=heatmaps, **settings)


def in_crop(fixation):
    """By hand: the centre square of 40 × 48 pixels."""
    return dataclasses.replace(
        fixation, x=(fixation.x * 48 - 4) / 40, sigma_x=0.05 * 48 / 40, sigma_y=0.05 * 48 / 40
    )


def test_maps_are_those_of_the_sentences_own_seconds_and_images(store):
    expert, _, dictated = loader(store)(ROWS, 0)
    sentences = expert.sentences
    assert len(dictated) == len(sentences.heatmap_STHW) == len(sentences.rows) == len(sentences.index_S)
    assert [expert.rows[i] for i in sentences.index_S] == sentences.rows
    for row, text, heatmap in zip(sentences.rows, dictated, sentences.heatmap_STHW, strict=True):
        ((annotation, sentence),) = [
            (a, s) for a in store[row].annotations for s in a.sentences if s.text.strip() == text
        ]
        seen = sentence_fixations(annotation, sentence, lead=0.5)
        assert 0 < sum(f.duration for f in seen) < 3
        np.testing.assert_allclose(heatmap[0], render([in_crop(f) for f in seen], 32, 32), atol=2e-3)


def test_studies_give_as_many_sentences_as_are_asked_for_and_they_have(store):
    for count, expected in ((1, [1, 1, 1, 1]), (2, [2, 2, 2, 2]), (9, [2, 2, 4, 2])):
        for step in range(4):
            sentences = loader(store, sentences=count)(ROWS, step)[0].sentences
            rows = sentences.rows
            assert [rows.count(row) for row in range(4)] == expected
            assert rows.count(BESIDE) <= 1
            assert SILENT not in rows
    assert all(loader(store)(ROWS, step)[0].rows == ROWS.tolist() for step in range(3))


def test_every_sentence_comes_and_each_equally_often(store):
    drawn = [loader(store, sentences=1)(np.array([2]), step)[2][0] for step in range(400)]
    counts = {text: drawn.count(text) for text in set(drawn)}
    assert set(counts) == {"First of 2.", "Last of 2.", "First of 9.", "Last of 9."}
    assert all(abs(count - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5 for count in counts.values())


@pytest.mark.parametrize("heatmaps", ["recorded", *CONTROLS])
def test_sentences_are_a_function_of_seed_step_and_row(store, heatmaps):
    augmented = {"augmentation": Augmentation(AugmentationConfig()), "sentences": 1}
    first, second = (loader(store, heatmaps, **augmented) for _ in range(2))
    second(ROWS, 5)
    (one, *texts), (other, *other_texts) = first(ROWS, 1), second(ROWS, 1)
    assert texts == other_texts
    assert torch.equal(one.sentences.heatmap_STHW, other.sentences.heatmap_STHW)
    assert any(first(ROWS, step)[2] != texts[1] for step in range(2, 6))
    whole = loader(store, heatmaps, sentences=1)(ROWS, 2)
    parts = [loader(store, heatmaps, sentences=1, rank=r)(ROWS[3 * r : 3 * r + 3], 2) for r in range(2)]
    maps = torch.cat([part.sentences.heatmap_STHW for part, *_ in parts])
    assert torch.equal(maps, whole[0].sentences.heatmap_STHW)
    assert [row for part, *_ in parts for row in part.sentences.rows] == whole[0].sentences.rows


def test_maps_go_through_the_augmentation_of_their_image(tmp_path):
    """One sentence over the whole reading: its map is that of the study, wherever the image went."""
    whole = [[reading(i, sentences=(Sentence("All of it.", 0.0, 3.0),))] for i in range(4)]
    store = store_of(tmp_path / "store", whole)
    for step in range(5):
        for slices in (1, 4):
            of = loader(store, augmentation=Augmentation(AugmentationConfig()), slices=slices)
            expert, *_ = of(np.arange(4), step)
            assert torch.equal(expert.sentences.heatmap_STHW, expert.in_slices)


@pytest.mark.parametrize("heatmaps", CONTROLS)
def test_controls_take_the_place_of_the_recorded_maps(store, heatmaps):
    for step in range(3):
        (recorded, *texts), (control, *others) = (
            loader(store, h)(ROWS, step) for h in ("recorded", heatmaps)
        )
        assert texts == others
        assert recorded.sentences.rows == control.sentences.rows
        assert torch.equal(recorded.sentences.index_S, control.sentences.index_S)
        before, after = recorded.sentences.heatmap_STHW, control.sentences.heatmap_STHW
        assert before.shape == after.shape
        for one, other in zip(before, after, strict=True):
            assert not torch.equal(one, other)
            if heatmaps == "random":
                assert torch.equal(one.flatten().sort().values, other.flatten().sort().values)
            elif heatmaps == "uniform":
                assert (other == 1).all()
            elif heatmaps == "centre":
                assert torch.equal(other[0], centre_bias(32, 32))


def test_shuffled_maps_are_those_of_sentences_of_another_study(store):
    maps = {}
    for step in range(8):
        sentences = loader(store, sentences=9)(ROWS, step)[0].sentences
        for row, heatmap in zip(sentences.rows, sentences.heatmap_STHW, strict=True):
            maps.setdefault(heatmap.numpy().tobytes(), set()).add(row)
    for step in range(20):
        sentences = loader(store, "shuffled", sentences=9)(ROWS, step)[0].sentences
        for row, heatmap in zip(sentences.rows, sentences.heatmap_STHW, strict=True):
            assert maps[heatmap.numpy().tobytes()] - {row}


LOOK = Fixation(0.5, 0.5, 0.0, 9.0)


def drawn(*sentences, fixations=(LOOK,)):
    annotation = Annotation("gaze", fixations=fixations, sentences=sentences)
    return drawn_sentences([annotation], 9, np.random.default_rng(0), lead=1.0)


def test_what_is_no_sentence_or_was_dictated_without_a_look_does_not_count():
    assert [text for text, _ in drawn(Sentence("  Clear. ", 1.0, 2.0))] == ["Clear."]
    assert drawn(Sentence("12.", 1.0, 2.0), Sentence("", 2.0, 3.0), Sentence("Later.", 20.0, 21.0)) == []
    assert drawn(Sentence("Clear.", 1.0, 2.0), fixations=()) == []
    assert drawn_sentences([], 9, np.random.default_rng(0), lead=1.0) == []


def test_a_store_without_dictated_sentences_is_refused_in_a_line(tmp_path):
    for annotation in ("gaze", "box"):
        with pytest.raises(InputError, match="no training study has sentences that were dictated") as caught:
            loader(small_store(tmp_path / annotation, annotation=annotation))
        assert "\n" not in str(caught.value)
    assert loader(small_store(tmp_path / "dictation", annotation="dictation")).sentences == 2


def batches(store, **changes):
    settings = {
        "size": 32,
        "batch_size": 6,
        "expert_batch_size": 4,
        "sentences": 2,
        "lead": 0.5,
        "seed": 1,
    } | changes
    settings |= {
        "tokenize": lambda texts: {"texts": texts},
        "expert_probability": lambda step: float(step > 0),
    }
    return TrainingBatches(store, **settings)


@pytest.fixture(scope="module")
def whole_store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store", annotation="dictation")


def all_texts(batch):
    """Of the images, the expert images and the sentences, which are tokenised apart."""
    return batch.tokens["texts"] + (batch.expert.sentences.tokens["texts"] if batch.expert else [])


def test_texts_and_keys_are_of_the_plain_then_the_expert_rows_then_the_sentences(whole_store):
    for step in range(4):
        batch = batches(whole_store)[step]
        texts = all_texts(batch)
        expected = 6 if step == 0 else 6 + 4 + 8
        assert len(texts) == expected
        assert batch.key_N2.shape == (expected, 2)
        numbers = [
            int(text.rsplit(" ", 1)[1].rstrip(".")) for text in texts
        ]  # every text ends with its study
        assert torch.equal(batch.key_N2, row_keys([f"study-{number}" for number in numbers], texts))
        if step:
            rows = batch.expert.rows
            assert numbers[6:10] == rows
            assert numbers[10:] == [rows[i] for i in batch.expert.sentences.index_S]
            assert all("in study" in text for text in texts[10:])


def test_ranks_share_the_sentences_and_number_them_alike(whole_store):
    whole, parts = batches(whole_store)[1], [batches(whole_store, rank=r, world_size=2)[1] for r in range(2)]
    key_N2 = torch.cat([part.key_N2 for part in parts])
    assert set(map(tuple, key_N2.tolist())) == set(map(tuple, whole.key_N2.tolist()))
    assert {text for part in parts for text in all_texts(part)} == set(all_texts(whole))


def test_nothing_is_numbered_or_drawn_where_no_sentences_are_asked_for(whole_store, monkeypatch):
    monkeypatch.setattr("eclip.data.expert_loading.drawn_sentences", None)
    monkeypatch.setattr("eclip.data.loading.row_keys", None)
    batch = batches(whole_store, sentences=0)[1]
    assert batch.key_N2 is batch.expert.sentences is None
    assert len(batch.tokens["texts"]) == 10


def test_keys_are_equal_where_studies_are_or_texts_but_for_case_and_space():
    key_N2 = row_keys(["s1", "s1", "s2"], ["Lungs are  clear.\n", "Else.", " lungs ARE clear."])
    assert key_N2.dtype == torch.int64
    study_N, text_N = key_N2.T.tolist()
    assert study_N[0] == study_N[1] != study_N[2]
    assert text_N[0] == text_N[2] != text_N[1]
    # BLAKE2b of "s1" and of "lungs are clear.", 8 bytes, big end first: in every process and on every machine
    assert key_N2[0].tolist() == [-8529457217068652204, -3889765175201795093]
    assert row_keys([], []).shape == (0, 2)
