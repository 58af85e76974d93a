"""Controls in the place of recorded heatmaps: the same studies, another map, a function of (seed, step)."""

import dataclasses

import numpy as np
import pytest
import torch

from eclip.annotations import Annotation, Fixation, Region
from eclip.annotations.heatmap_controls import centre_bias
from eclip.data.augmentation import Augmentation, AugmentationConfig
from eclip.data.expert_loading import ExpertLoader
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study

CONTROLS = ["random", "shuffled", "uniform", "centre"]
ANNOTATED = 8


def at(x, y):
    return Annotation(kind="gaze", reader="r1", fixations=(Fixation(x=x, y=y, start=0.0, end=1.0),))


def store_with(folder, annotations):
    studies = [
        dataclasses.replace(small_study(i, annotation="gaze"), annotations=(annotation,))
        for i, annotation in enumerate(annotations)
    ]
    write_store(folder, studies, source="test", rejected=[])
    return Store.open(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Eight studies, each looked at in a place of its own; one of them beside the image, one outlined."""
    places = [at(0.15 + 0.1 * i, 0.2 + 0.08 * i) for i in range(ANNOTATED - 2)]
    box = Annotation(kind="box", label="spot", region=Region(points=((0.2, 0.6), (0.5, 0.9))))
    return store_with(tmp_path_factory.mktemp("data") / "store", [*places, at(-9.0, -9.0), box])


def loader(store, heatmaps="recorded", **changes):
    settings = {"size": 32, "augmentation": Augmentation(AugmentationConfig()), "seed": 3} | changes
    return ExpertLoader(store, heatmaps=heatmaps, **settings)


ROWS = np.arange(ANNOTATED)


@pytest.mark.parametrize("heatmaps", CONTROLS)
def test_images_texts_and_rows_are_those_of_the_recorded(store, heatmaps):
    for step in range(4):
        recorded, texts, _ = loader(store)(ROWS, step)
        control, control_texts, _ = loader(store, heatmaps)(ROWS, step)
        assert torch.equal(control.image_E1HW, recorded.image_E1HW)
        assert (control_texts, control.rows) == (texts, recorded.rows)
        assert control.rows == [0, 1, 2, 3, 4, 5, 7]  # not the one that was looked at beside the image
        assert control.heatmap_E1HW.shape == recorded.heatmap_E1HW.shape
        assert not torch.equal(control.heatmap_E1HW, recorded.heatmap_E1HW)


@pytest.mark.parametrize("heatmaps", ["recorded", *CONTROLS])
def test_maps_are_a_function_of_seed_and_step(store, heatmaps):
    first, second = (loader(store, heatmaps) for _ in range(2))
    second(ROWS, 5)
    maps = [first(ROWS, step)[0].heatmap_E1HW for step in (0, 1)]
    assert torch.equal(maps[0], second(ROWS, 0)[0].heatmap_E1HW)
    if heatmaps not in {"uniform", "centre"}:
        assert not torch.equal(*maps)
        assert not torch.equal(maps[0], loader(store, heatmaps, seed=4)(ROWS, 0)[0].heatmap_E1HW)


@pytest.mark.parametrize("heatmaps", CONTROLS)
def test_the_map_of_a_study_does_not_depend_on_its_rank(store, heatmaps):
    whole = loader(store, heatmaps, augmentation=None)(ROWS, 2)[0]
    parts = [
        loader(store, heatmaps, augmentation=None, rank=rank)(rows, 2)[0]
        for rank, rows in enumerate(np.array_split(ROWS, 2))
    ]
    assert [row for part in parts for row in part.rows] == whole.rows
    assert torch.equal(torch.cat([part.heatmap_E1HW for part in parts]), whole.heatmap_E1HW)


def test_uniform_and_centre_are_what_they_say(store):
    assert (loader(store, "uniform")(ROWS, 0)[0].heatmap_E1HW == 1).all()
    for heatmap in loader(store, "centre")(ROWS, 0)[0].heatmap_E1HW:
        assert torch.equal(heatmap[0], centre_bias(32, 32))


def test_random_maps_have_the_values_of_the_recorded_ones(store):
    recorded, control = (loader(store, heatmaps)(ROWS, 1)[0] for heatmaps in ("recorded", "random"))
    for first, second in zip(recorded.heatmap_E1HW, control.heatmap_E1HW, strict=True):
        assert torch.equal(first.flatten().sort().values, second.flatten().sort().values)


def test_shuffled_maps_are_of_another_study_in_the_crop_of_the_image(store):
    own = loader(store, augmentation=None)(ROWS, 0)[0]
    by_row = dict(zip(own.rows, own.heatmap_E1HW, strict=True))
    shuffled, donors = loader(store, "shuffled", augmentation=None), {row: set() for row in own.rows}
    for step in range(60):
        batch = shuffled(ROWS, step)[0]
        for row, heatmap in zip(batch.rows, batch.heatmap_E1HW, strict=True):
            (donor,) = [other for other, candidate in by_row.items() if torch.equal(candidate, heatmap)]
            donors[row].add(donor)
    for row, others in donors.items():
        assert others == set(own.rows) - {row}


def test_shuffled_maps_go_through_the_augmentation_of_the_image(tmp_path):
    """Two studies, annotated at the same place: a shuffled map is the recorded one, wherever the image went."""
    store = store_with(tmp_path / "store", [at(0.4, 0.6), at(0.4, 0.6)])
    rows = np.arange(2)
    for step in range(5):
        recorded, shuffled = (loader(store, heatmaps)(rows, step)[0] for heatmaps in ("recorded", "shuffled"))
        assert torch.equal(recorded.heatmap_E1HW, shuffled.heatmap_E1HW)


def test_two_images_of_one_study_do_not_exchange_their_maps(tmp_path):
    studies = [
        dataclasses.replace(small_study(i), study_id=f"study-{i // 2}", annotations=(at(0.3 + 0.1 * i, 0.5),))
        for i in range(4)
    ]
    write_store(tmp_path / "store", studies, source="test", rejected=[])
    store, rows = Store.open(tmp_path / "store"), np.arange(4)
    own = loader(store, augmentation=None)(rows, 0)[0].heatmap_E1HW
    for step in range(10):
        shuffled = loader(store, "shuffled", augmentation=None)(rows, step)[0].heatmap_E1HW
        for i in range(4):
            assert not torch.equal(shuffled[i], own[i])
            assert not torch.equal(shuffled[i], own[i ^ 1])


def test_there_must_be_another_study_to_take_a_map_from(tmp_path):
    with pytest.raises(InputError, match="shuffled takes the annotation of another study"):
        loader(small_store(tmp_path / "one", annotated=1), "shuffled")
    store = store_with(tmp_path / "blank", [at(0.5, 0.5), at(-9.0, -9.0)])
    with pytest.raises(InputError, match="none shows anything at step 2"):
        loader(store, "shuffled")(np.arange(2), 2)


@pytest.fixture(scope="module")
def timed_store(tmp_path_factory):
    """Seven readings of four seconds each in places of their own, and one box."""

    def reading(number):
        places = [(0.2 + 0.08 * number, 0.3), (0.6, 0.2 + 0.08 * number)]
        seconds = [(0.0, 1.0), (1.5, 4.0)] if number % 2 else [(0.0, 2.5), (2.5, 4.0)]
        return Annotation(
            "gaze", "r1", fixations=tuple(Fixation(*at, *s) for at, s in zip(places, seconds, strict=True))
        )

    box = Annotation(kind="box", label="spot", region=Region(points=((0.2, 0.6), (0.5, 0.9))))
    return store_with(tmp_path_factory.mktemp("data") / "store", [*map(reading, range(ANNOTATED - 1)), box])


@pytest.mark.parametrize("heatmaps", ["recorded", *CONTROLS])
def test_slices_add_up_to_the_heatmap_that_there_is_without_them(timed_store, heatmaps):
    for step in range(3):
        whole, cut = (loader(timed_store, heatmaps, slices=slices)(ROWS, step)[0] for slices in (1, 4))
        assert whole.slices_ETHW is None
        assert whole.in_slices is whole.heatmap_E1HW
        assert cut.in_slices.shape == (ANNOTATED, 4, 32, 32)
        assert torch.equal(cut.image_E1HW, whole.image_E1HW)
        torch.testing.assert_close(cut.in_slices.sum(1, keepdim=True), cut.heatmap_E1HW)
        torch.testing.assert_close(cut.heatmap_E1HW, whole.heatmap_E1HW, atol=1e-5, rtol=1e-4)
        same = [torch.allclose(maps, maps[:1].expand_as(maps)) for maps in cut.in_slices]
        if heatmaps in {"uniform", "centre"}:
            assert all(same)
        elif heatmaps == "shuffled":
            assert not all(same)
        else:
            assert same == [False] * 7 + [True]  # a box has no time


def test_all_slices_of_a_random_map_are_moved_alike(timed_store):
    recorded, control = (
        loader(timed_store, heatmaps, slices=4)(ROWS, 1)[0] for heatmaps in ("recorded", "random")
    )
    for maps, moved in zip(recorded.in_slices, control.in_slices, strict=True):
        pixels, moved_pixels = maps.flatten(1).T.tolist(), moved.flatten(1).T.tolist()
        assert sorted(pixels) == sorted(moved_pixels)  # what lay together in time lies together still


def test_shuffled_slices_are_those_of_another_study(timed_store):
    own = loader(timed_store, slices=4, augmentation=None)(ROWS, 0)[0].in_slices
    for step in range(5):
        for row, maps in enumerate(
            loader(timed_store, "shuffled", slices=4, augmentation=None)(ROWS, step)[0].in_slices
        ):
            assert [other for other in ROWS if torch.equal(own[other], maps)] not in ([], [row])
