"""Batches: a function of (seed, step), the right rows, aligned heatmaps, nothing read that is not used."""

import dataclasses

import numpy as np
import pytest
import torch

from eclip.annotations import render
from eclip.data.augmentation import Augmentation, AugmentationConfig
from eclip.data.images import decode, fit
from eclip.data.loading import Steps, TrainingBatches, ValidationBatches
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study


def lengths(texts):
    """A tokenizer that keeps the texts recognisable: the study number is the token."""
    numbers = [int(text.rsplit(" ", 1)[1].rstrip(".")) for text in texts]
    return {"input_ids": torch.tensor(numbers)[:, None]}


def batches(store, **changes):
    settings = {"tokenize": lengths, "size": 32, "batch_size": 6, "expert_batch_size": 3, "seed": 1} | changes
    settings.setdefault("expert_probability", lambda step: 0.5)
    return TrainingBatches(store, **settings)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store")


def numbers(batch):
    return batch.tokens["input_ids"][:, 0].tolist()


def same(first, second):
    assert torch.equal(first.image_B1HW, second.image_B1HW)
    assert numbers(first) == numbers(second)
    assert (first.expert is None) == (second.expert is None)
    if first.expert is not None:
        assert torch.equal(first.expert.image_E1HW, second.expert.image_E1HW)
        assert torch.equal(first.expert.heatmap_E1HW, second.expert.heatmap_E1HW)


def test_a_batch_depends_on_seed_and_step_alone(store):
    augmentation = Augmentation(AugmentationConfig())
    first, second = (batches(store, augmentation=augmentation) for _ in range(2))
    [second[step] for step in (7, 3)]  # what was read before does not matter
    for step in range(6):
        same(first[step], second[step])
    assert numbers(first[0]) != numbers(batches(store, seed=2)[0])


def test_plain_rows_are_the_unannotated_training_studies(store):
    loader = batches(store, expert_probability=None)
    seen = [number for step in range(4) for number in numbers(loader[step])]
    assert sorted(seen) == list(range(24))  # four batches of six: each once
    with_all = batches(store, expert_probability=None, plain_rows="all", batch_size=8)
    assert sorted(n for step in range(12) for n in numbers(with_all[step])) == sorted([*range(32)] * 3)


def test_expert_batches_come_when_the_coin_says_so(store):
    loader = batches(store)
    steps = range(40)
    has_expert = [loader[step].expert is not None for step in steps]
    assert has_expert == [loader.has_expert(step) for step in steps]
    assert 8 < sum(has_expert) < 32
    assert not any(batches(store, expert_probability=lambda step: 0.0).has_expert(step) for step in steps)
    assert all(batches(store, expert_probability=lambda step: 1.0).has_expert(step) for step in steps)


def test_expert_texts_follow_the_plain_ones_and_are_of_annotated_studies(store):
    loader = batches(store, expert_probability=lambda step: 1.0)
    for step in range(5):
        batch = loader[step]
        assert len(batch.image_B1HW) == 6
        assert len(batch.expert.image_E1HW) == len(batch.expert.heatmap_E1HW) == 3
        assert all(number < 24 for number in numbers(batch)[:6])
        assert all(24 <= number < 32 for number in numbers(batch)[6:])
        assert len(set(numbers(batch))) == 9


def test_a_study_is_never_its_own_negative(store):
    loader = batches(store, plain_rows="all", batch_size=16, expert_probability=lambda step: 1.0)
    for step in range(20):
        assert len(set(numbers(loader[step]))) == len(numbers(loader[step]))


@pytest.mark.parametrize("batch_size", [17, 23, 24])
def test_no_study_is_twice_in_a_batch_where_one_round_ends_and_the_next_begins(store, batch_size):
    loader = batches(store, batch_size=batch_size, expert_probability=None)
    seen = [numbers(loader[step]) for step in range(48)]
    assert all(len(set(step)) == batch_size for step in seen)
    times = np.bincount(np.concatenate(seen), minlength=24)
    np.testing.assert_allclose(times, 2 * batch_size, rtol=0.15)  # some sooner, some later, none left out


@pytest.fixture(scope="module")
def store_of_views(tmp_path_factory):
    """Two images of each study: one of them annotated in the last eight studies, none in the others."""
    images = [
        dataclasses.replace(
            small_study(i, annotation="gaze" if i >= 24 and i % 2 else None), study_id=f"s{i // 2}"
        )
        for i in range(40)
    ]
    folder = tmp_path_factory.mktemp("views") / "store"
    write_store(folder, images, source="test", rejected=[])
    return Store.open(folder)


@pytest.mark.parametrize("plain_rows", ["unannotated", "all"])
def test_of_a_study_with_several_images_a_batch_has_one(store_of_views, plain_rows):
    """The other would be its own negative, with the same text."""
    loader = batches(
        store_of_views,
        plain_rows=plain_rows,
        batch_size=14,
        expert_batch_size=5,
        expert_probability=lambda _: 1.0,
    )
    seen = set()
    for step in range(30):
        studies = [number // 2 for number in numbers(loader[step])]
        assert len(set(studies)) == len(studies) >= 14
        seen |= set(numbers(loader[step]))
    assert seen == set(range(40))


def test_too_few_studies_are_not_made_up_for_by_their_images(store_of_views):
    with pytest.raises(InputError, match="20 unannotated training studies are too few for batches of 21"):
        batches(store_of_views, batch_size=21)


def test_expert_studies_are_not_read_on_other_steps(store, monkeypatch):
    loader = batches(store, expert_probability=lambda step: 0.0)
    read = []
    original = type(store).__getitem__
    monkeypatch.setattr(type(store), "__getitem__", lambda self, row: read.append(row) or original(self, row))
    _ = loader[0]
    assert len(read) == 6


def test_ranks_share_the_batch_and_the_coin(store):
    whole = batches(store)
    parts = [batches(store, rank=rank, world_size=2) for rank in range(2)]
    for step in range(6):
        pieces = [part[step] for part in parts]
        plain = [n for piece in pieces for n in numbers(piece)[: len(piece.image_B1HW)]]
        expert = [n for piece in pieces for n in numbers(piece)[len(piece.image_B1HW) :]]
        assert plain + expert == numbers(whole[step])
        assert {piece.expert is None for piece in pieces} == {whole[step].expert is None}


def test_without_augmentation_images_and_heatmaps_are_those_of_the_store(store):
    batch = batches(store, expert_probability=lambda step: 1.0)[0]
    for number, image, heatmap in zip(
        numbers(batch)[6:], batch.expert.image_E1HW, batch.expert.heatmap_E1HW, strict=True
    ):
        study = store[number]
        np.testing.assert_allclose(image[0] * 255, fit(decode(study.image), 32), atol=1e-3)
        (fixation,) = study.annotations[0].fixations
        in_crop = dataclasses.replace(
            fixation,
            x=(fixation.x * 48 - 4) / 40,  # the centre square of 40 × 48 pixels
            sigma_x=0.05 * 48 / 40,
            sigma_y=0.05 * 48 / 40,
        )
        np.testing.assert_allclose(heatmap[0], render([in_crop], 32, 32), atol=2e-3)


def test_heatmap_follows_the_image_through_augmentation(tmp_path):
    """The bright spot that every image has moves; the annotation stays on it."""
    store = small_store(tmp_path / "store", annotation="gaze")
    turn = Augmentation(AugmentationConfig(degrees=30, translate=0.15, scale=(0.8, 1.3), contrast=0, noise=0))
    loader = batches(
        store, augmentation=turn, expert_probability=lambda step: 1.0, expert_batch_size=8, size=64
    )
    inside = 0
    for step in range(4):
        expert = loader[step].expert
        for image, heatmap in zip(expert.image_E1HW[:, 0], expert.heatmap_E1HW[:, 0], strict=True):
            row, column = divmod(int(heatmap.argmax()), 64)
            if 4 <= row < 60 and 4 <= column < 60:
                assert image[row - 2 : row + 3, column - 2 : column + 3].mean() > 0.5
                inside += 1
    assert inside >= 8  # else nothing was tested


def test_regions_become_heatmaps(tmp_path):
    store = small_store(tmp_path / "store", annotation="box")
    heatmap = batches(store, expert_probability=lambda step: 1.0)[0].expert.heatmap_E1HW
    assert heatmap.amax() <= 1
    # the box from 0.2 to 0.6 of 48 columns and from 0.2 to 0.5 of 40 rows, in the centre square
    assert (heatmap[:, 0, 11, 16] > 0.9).all()
    assert (heatmap[:, 0, 28, 28] < 0.1).all()


def test_studies_whose_annotation_shows_nothing_are_left_out(tmp_path):
    store = small_store(tmp_path / "store", annotation="off-image")
    batch = batches(store, expert_probability=lambda step: 1.0)[0]
    assert len(batch.expert.image_E1HW) == 0
    assert len(numbers(batch)) == 6


def test_too_few_studies_or_no_annotation_is_one_line(tmp_path, store):
    with pytest.raises(InputError, match="24 unannotated training studies are too few for batches of 64"):
        batches(store, batch_size=64)
    bare = small_store(tmp_path / "store", annotated=0)
    with pytest.raises(InputError, match="no training study has an annotation"):
        batches(bare)


def test_validation_reads_every_study_once_as_it_is(store):
    loader = ValidationBatches(store, tokenize=lengths, size=32, batch_size=4)
    assert [numbers(batch) for batch in loader] == [[32, 33, 34, 35], [36, 37]]
    np.testing.assert_allclose(loader[0].image_B1HW[0, 0] * 255, fit(decode(store[32].image), 32), atol=1e-3)


def test_steps_start_where_the_run_stands():
    steps = Steps(first=3, total=6)
    assert list(steps) == [3, 4, 5]
    assert len(steps) == 6
