from dataclasses import replace

import numpy as np
import pytest

from eclip.data.phantom.anatomy import sample_anatomy
from eclip.data.phantom.findings import Finding, sample_findings
from eclip.data.phantom.image import SHORTER_SIDE, draw_chest

EXAMPLES = (
    Finding("Atelectasis", "right", "basal", 0.8, 0.2),
    Finding("Atelectasis", "left", "mid", 0.4, 0.2),
    Finding("Atelectasis", "left", "retrocardiac", 0.7, 0.2),
    Finding("Cardiomegaly", "none", "heart", 0.6, 0.2),
    Finding("Consolidation", "right", "upper", 0.6, 0.2),
    Finding("Consolidation", "left", "lower", 0.6, 0.2),
    Finding("Edema", "bilateral", "diffuse", 0.6, 0.2),
    Finding("Lung Lesion", "right", "mid", 0.7, 0.2),
    Finding("Pleural Effusion", "left", "basal", 0.6, 0.2),
    Finding("Pleural Effusion", "bilateral", "basal", 0.6, 0.2),
    Finding("Pneumothorax", "right", "apical", 0.6, 0.2),
)


def name_of(finding):
    return f"{finding.name} {finding.side} {finding.zone}"


def draw(findings, seed):
    anatomy = sample_anatomy(np.random.default_rng(seed))
    return draw_chest(findings, anatomy, np.random.default_rng([seed, 1]))


def difference(findings, seed, without=()):
    """(H, W) of absolute grey differences that the findings make, and the study with them."""
    study, plain = draw(findings, seed), draw(without, seed)
    return np.abs(study.image_HW.astype(float) - plain.image_HW), study


def share_inside(difference_HW, region):
    height, width = difference_HW.shape
    (x0, y0), (x1, y1) = region.points
    rows = slice(int(np.floor(y0 * height)), int(np.ceil(y1 * height)))
    columns = slice(int(np.floor(x0 * width)), int(np.ceil(x1 * width)))
    return difference_HW[rows, columns].sum() / difference_HW.sum()


@pytest.mark.parametrize("finding", EXAMPLES, ids=name_of)
def test_region_encloses_what_the_finding_changes(finding):
    for seed in range(4):
        changed, study = difference((finding,), seed)
        assert changed.max() > 10
        assert share_inside(changed, study.regions[0]) > 0.95


@pytest.mark.parametrize("finding", EXAMPLES, ids=name_of)
def test_finding_lies_on_its_side_and_in_its_zone(finding):
    for seed in range(4):
        changed, study = difference((finding,), seed)
        rows, columns = np.indices(changed.shape)
        x = (changed * columns).sum() / changed.sum() / changed.shape[1]
        y = (changed * rows).sum() / changed.sum() / changed.shape[0]
        middle = study.landmarks["mediastinum"][0]
        if finding.side == "right":
            assert x < middle
        elif finding.side == "left":
            assert x > middle
        elif finding.side == "bilateral":
            assert abs(x - middle) < 0.15
        marks = study.landmarks
        if finding.zone in ("upper", "apical"):
            assert y < marks["right mid"][1]
        elif finding.zone == "mid":
            assert marks["right upper"][1] < y < marks["right lower"][1]
        elif finding.zone in ("lower", "basal", "retrocardiac"):
            assert y > marks["right mid"][1]


@pytest.mark.parametrize("finding", EXAMPLES, ids=name_of)
def test_subtle_findings_change_less(finding):
    for seed in range(2):
        plain, subtle = (
            difference((replace(finding, subtlety=subtlety),), seed)[0].sum() for subtlety in (0.0, 0.9)
        )
        assert subtle < 0.95 * plain


@pytest.mark.parametrize("finding", EXAMPLES, ids=name_of)
def test_severe_findings_change_more(finding):
    mild, severe = (
        sum(difference((replace(finding, severity=severity),), seed)[0].sum() for seed in range(3))
        for severity in (0.15, 0.95)
    )
    assert severe > 1.15 * mild


def test_effusion_rises_with_severity():
    for seed in range(3):
        tops = [
            draw((Finding("Pleural Effusion", "right", "basal", severity, 0.2),), seed)
            .regions[0]
            .points[0][1]
            for severity in (0.1, 0.4, 0.7, 1.0)
        ]
        assert all(np.diff(tops) < 0)


def test_same_state_same_bytes_and_other_state_other_study():
    findings = EXAMPLES[4], EXAMPLES[8]
    first, second = draw(findings, 5), draw(findings, 5)
    assert np.array_equal(first.image_HW, second.image_HW)
    assert (first.view, first.regions, first.landmarks) == (second.view, second.regions, second.landmarks)
    anatomy = sample_anatomy(np.random.default_rng(5))
    follow_up = draw_chest(findings, anatomy, np.random.default_rng(99))
    assert first.image_HW.shape != follow_up.image_HW.shape or (first.image_HW != follow_up.image_HW).any()


def test_leaving_one_finding_out_leaves_the_other_as_it_was():
    kept, left_out = EXAMPLES[4], EXAMPLES[8]
    changed, both = difference((kept, left_out), 3, without=(kept,))
    assert share_inside(changed, both.regions[1]) > 0.95
    assert draw((kept,), 3).regions[0] == both.regions[0]


def test_size_depth_and_landmarks():
    views = set()
    for seed in range(12):
        study = draw(sample_findings(np.random.default_rng(seed)), seed)
        views.add(study.view)
        assert study.image_HW.dtype == np.uint8
        assert min(study.image_HW.shape) == SHORTER_SIDE
        assert max(study.image_HW.shape) <= 400
        assert study.landmarks["right mid"][0] < study.landmarks["heart"][0] < study.landmarks["left mid"][0]
        # A costophrenic angle may be cut off, as on real films.
        assert all(-0.05 < x < 1.05 and 0 < y < 1.05 for x, y in study.landmarks.values())
        for region in study.regions:
            (x0, y0), (x1, y1) = region.points
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
    assert views == {"PA", "AP"}


def test_lungs_are_darker_than_the_heart():
    for seed in range(4):
        study = draw((), seed)
        height, width = study.image_HW.shape

        def grey(name, image=study.image_HW, height=height, width=width, marks=study.landmarks):
            column, row = int(marks[name][0] * width), int(marks[name][1] * height)
            return image[row - 8 : row + 9, column - 8 : column + 9].mean()

        assert grey("right mid") < grey("heart") - 15
        assert grey("left mid") < grey("heart") - 15


def test_global_brightness_does_not_give_edema_away():
    edema = Finding("Edema", "bilateral", "diffuse", 0.5, 0.3)
    with_edema, without = (
        np.array([draw(findings, seed).image_HW.mean() for seed in range(12)]) for findings in ((edema,), ())
    )
    assert (with_edema - without).mean() < without.std()
