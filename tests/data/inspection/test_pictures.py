"""Oracles: corners and axes that were written; pixels of masks; the heatmap of hand-picked fixations."""

from dataclasses import replace

import numpy as np
import pytest

from eclip.annotations import Annotation, Fixation, Region, Sentence, render
from eclip.data.images import decode
from eclip.data.inspection.pictures import (
    described,
    findings,
    outlines,
    overlay,
    sample,
    sample_dictated,
    sentence_pictures,
    with_heatmap,
)
from eclip.data.store import Store, write_store
from small_stores import png, small_study


def marked(*annotations):
    return replace(small_study(0), annotations=annotations)


def region(kind, *points, mask=b"", **about):
    return Annotation(kind=kind, region=Region(tuple(points), mask), **about)


def area(loop):
    """By the shoelace formula."""
    (x, y), (x1, y1) = loop[:-1].T, loop[1:].T
    return abs((x * y1 - x1 * y).sum()) / 2


def test_a_box_is_outlined_at_its_corners_whichever_come_first():
    for corners in ([(0.1, 0.2), (0.7, 0.5)], [(0.7, 0.5), (0.1, 0.2)]):
        (loop,) = outlines(marked(region("box", *corners)))[0].loops
        np.testing.assert_array_equal(loop[0], loop[-1])
        assert set(map(tuple, loop)) == {(0.1, 0.2), (0.7, 0.2), (0.7, 0.5), (0.1, 0.5)}


def test_an_ellipse_is_outlined_on_its_curve():
    (loop,) = outlines(marked(region("ellipse", (0.2, 0.1), (0.6, 0.9))))[0].loops
    np.testing.assert_allclose(((loop[:, 0] - 0.4) / 0.2) ** 2 + ((loop[:, 1] - 0.5) / 0.4) ** 2, 1)
    assert area(loop) == pytest.approx(np.pi * 0.2 * 0.4, rel=0.01)


def test_a_polygon_is_outlined_as_it_is():
    corners = [(0.1, 0.1), (0.9, 0.2), (0.4, 0.8)]
    (loop,) = outlines(marked(region("mask", *corners)))[0].loops
    np.testing.assert_array_equal(loop, [*corners, corners[0]])


def test_a_mask_is_outlined_between_its_pixels_and_at_the_border():
    inside_HW = np.zeros((40, 48), bool)
    inside_HW[0:10, 0:12] = inside_HW[20:30, 24:36] = True
    loops = outlines(marked(region("mask", mask=png(inside_HW))))[0].loops
    assert len(loops) == 2
    extents = sorted((*loop.min(0), *loop.max(0)) for loop in loops)
    np.testing.assert_allclose(extents, [(0, 0, 12 / 48, 10 / 40), (24 / 48, 20 / 40, 36 / 48, 30 / 40)])
    for loop in loops:  # the corners of a square of 120 pixels are cut, half a pixel in all
        assert area(loop) * 40 * 48 == pytest.approx(119.5)


@pytest.mark.parametrize(
    "broken",
    [
        region("mask", mask=b"no picture"),
        region("mask", mask=png(np.zeros((4, 4), bool))),
        region("box", (0.1, 0.1)),
        region("box", (0.1, np.nan), (0.2, 0.2)),
        region("ellipse"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(broken):
    sound = region("box", (0.2, 0.2), (0.6, 0.5), label="spot")
    study = marked(broken, sound)
    first, second = outlines(study)
    assert first.loops == ()
    assert "cannot be drawn" in first.caption
    assert second.caption == "spot"
    np.testing.assert_array_equal(with_heatmap(study), with_heatmap(marked(sound)))


def test_a_caption_says_label_reader_and_certainty_and_colours_follow_labels():
    corners = (0.1, 0.1), (0.5, 0.5)
    study = marked(
        region("box", *corners, label="Edema", reader="R1", certainty=0.75),
        region("ellipse", *corners, label="Mass"),
        region("box", *corners, label="Edema", reader="R2", certainty=0.0),
        region("box", *corners),
    )
    found = outlines(study)
    assert [o.caption for o in found] == [
        "Edema (R1, 75 % certain)",
        "Mass",
        "Edema (R2, 0 % certain)",
        "box",
    ]
    assert [o.colour for o in found] == [0, 1, 0, 2]


def test_each_sentence_has_the_heatmap_of_its_own_fixations():
    places = [(0.2, 0.3), (0.8, 0.7), (0.5, 0.1)]
    fixations = tuple(Fixation(x, y, start=10.0 * i, end=10.0 * i + 3) for i, (x, y) in enumerate(places))
    times = [(1.0, 4.0), (11.0, 14.0), (21.0, 24.0), (50.0, 52.0)]
    sentences = tuple(Sentence(f"Sentence {i}.", *when) for i, when in enumerate(times))
    study = marked(Annotation(kind="gaze", fixations=fixations, sentences=sentences))
    image_HW = decode(study.image)
    pictures = list(sentence_pictures(study, study.annotations[0]))
    assert [(p.text, p.start, p.end) for p in pictures] == [(s.text, s.start, s.end) for s in sentences]
    assert [picture.fixations for picture in pictures] == [1, 1, 1, 0]
    for picture, fixation in zip(pictures[:3], fixations, strict=True):
        np.testing.assert_array_equal(picture.image, overlay(image_HW, render([fixation], 40, 48)))
    np.testing.assert_array_equal(pictures[3].image, overlay(image_HW, None))


def test_the_heatmap_lies_where_it_was_looked():
    study = replace(
        small_study(1, annotation="gaze"), image=png(np.zeros((100, 100), np.uint8)), height=100, width=100
    )
    image_HWC = with_heatmap(study).astype(int)
    y, x = np.unravel_index(image_HWC[..., 0].argmax(), (100, 100))
    fixation = study.annotations[0].fixations[0]
    assert ((x + 0.5) / 100, (y + 0.5) / 100) == pytest.approx((fixation.x, fixation.y), abs=0.01)


def test_an_overlay_mixes_image_and_colour():
    image_HW, heat_HW = np.array([[100, 100]], np.uint8), np.array([[0.0, 1.0]], np.float32)
    plain, hot = overlay(image_HW, heat_HW, strength=0.5)[0]
    assert plain.tolist() == [100, 100, 100]
    assert hot.tolist() == [177, 125, 65]  # half of 100 and half of (255, 150, 30)


def test_samples_are_spread_over_splits_and_mostly_annotated(tmp_path):
    splits = ["train"] * 60 + ["validate"] * 8 + ["test"] * 20
    studies = [
        small_study(i, split=split, annotation="gaze" if i % 2 else None) for i, split in enumerate(splits)
    ]
    write_store(tmp_path / "s", studies, source="test")
    store = Store.open(tmp_path / "s")
    rows = sample(store, 12)
    assert len(set(rows.tolist())) == 12
    chosen = [studies[row] for row in rows]
    assert [bool(study.annotations) for study in chosen] == [True] * 8 + [False] * 4
    counts = {s: sum(study.split == s for study in chosen[:8]) for s in ("train", "validate", "test")}
    assert counts == {"train": 3, "validate": 3, "test": 2}
    assert (rows[:3] // 20).tolist() == [0, 1, 2]  # near both ends and in the middle of the training split
    np.testing.assert_array_equal(rows, sample(store, 12))
    assert sorted(sample(store, 1000)) == list(range(88))


def test_dictated_studies_are_those_with_many_sentences(tmp_path):
    studies = [small_study(i, split="train" if i < 10 else "test") for i in range(20)]
    write_store(tmp_path / "s", studies, source="test")
    store = Store.open(tmp_path / "s")
    sentences_N = np.zeros(20, int)
    assert len(sample_dictated(store, sentences_N, 3)) == 0
    sentences_N[[2, 4, 15, 16]] = 1, 9, 5, 7
    assert sorted(sample_dictated(store, sentences_N, 2)) == [4, 16]


def test_words_about_a_study():
    gaze, box = Annotation(kind="gaze"), region("box", (0.1, 0.1), (0.5, 0.5))
    study = replace(marked(gaze, box, box), sex="F", age=61, labels={"Edema": 1, "Mass": 0, "Rib": -1})
    assert described(study) == ["train", "PA", "F", "61 years", "gaze", "2 × box"]
    assert findings(study) == ["Edema", "Rib?"]
