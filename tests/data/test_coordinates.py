"""A fixation on a cross stays on the cross: file, store, crop, resize, rotation, heatmap.

Oracle: the cross itself, found in the augmented image by its brightness.
"""

import json

import numpy as np
import pytest
import torch

import small_trees as trees
from eclip.data.augmentation import Augmentation, AugmentationConfig
from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.loading import TrainingBatches
from eclip.data.sources.readings import EgdCxr, GazeSearch, Reflacx
from eclip.data.store import Store

NUMBERS = (0, 1, 2, 3, 8, 9, 10, 11)  # studies of the training split
SIZE = 96  # what the network sees
MARGIN = 10  # pixels of SIZE: a cross nearer to the edge may be cut


def place(number):
    """(column, row) of the middle of the cross in an image's own pixels, never far from its middle."""
    x, y = np.random.default_rng(number).uniform(0.32, 0.68, 2)
    return int(x * trees.WIDTH), int(y * trees.HEIGHT)


def crossed(number):
    """A black image with a bright cross."""
    column, row = place(number)
    pixels_HW = np.zeros((trees.HEIGHT, trees.WIDTH), np.uint8)
    pixels_HW[row - 14 : row + 15, column - 3 : column + 4] = 230
    pixels_HW[row - 3 : row + 4, column - 14 : column + 15] = 230
    return pixels_HW


def egd_fixations(root):
    """Pixels are whole numbers, counted from 0."""
    trees.write_egd(root, {n: [(*place(n), 0.5, 0.3)] for n in NUMBERS})
    return EgdCxr(root=root, images=root.parent / "mimic")


def egd_samples(root):
    source = egd_fixations(root)
    trees.write_egd_samples(root, {n: [(i / 60, *place(n)) for i in range(20)] for n in NUMBERS})
    return source


def reflacx_fixations(root):
    trees.write_reflacx(root, [(n, [(place(n)[0] + 0.5, place(n)[1] + 0.5, 0.5, 0.8)]) for n in NUMBERS])
    return Reflacx(root=root, images=root.parent / "mimic")


def reflacx_samples(root):
    source = reflacx_fixations(root)
    trees.write_reflacx_samples(
        root, [[(i / 1000, place(n)[0] + 0.5, place(n)[1] + 0.5) for i in range(200)] for n in NUMBERS]
    )
    return source


def gazesearch(root):
    """Whole pixels of a square of 224, into which the whole image was squeezed."""
    items = [
        {
            "name": f"{trees.dicom_id(n)}.jpg", "subject": 1, "task": "edema", "condition": "present",
            "X": [round((place(n)[0] + 0.5) / trees.WIDTH * 224)],
            "Y": [round((place(n)[1] + 0.5) / trees.HEIGHT * 224)],
            "T": [0.3], "length": 1, "split": "train",
        }
        for n in NUMBERS
    ]  # fmt: skip
    (root / "finding_visual_search.json").write_text(json.dumps(items))
    return GazeSearch(root=root, images=root.parent / "mimic")


FORMATS = [egd_fixations, egd_samples, reflacx_fixations, reflacx_samples, gazesearch]
SHAPES = [(240, 400), (410, 300), (320, 320)]


@pytest.fixture(params=SHAPES, ids=str)
def folder(request, tmp_path, monkeypatch):
    """Images of a shape (width, height) with crosses, and room for what was left on them."""
    monkeypatch.setattr(trees, "WIDTH", request.param[0])
    monkeypatch.setattr(trees, "HEIGHT", request.param[1])
    monkeypatch.setattr(trees, "gray", crossed)
    trees.write_mimic(tmp_path / "mimic", NUMBERS)
    (tmp_path / "gaze").mkdir()
    return tmp_path / "gaze"


def middle(image_HW):
    """(x, y) of the middle of what is bright, in pixels; None where it may be cut."""
    bright_HW = (image_HW - 0.5).clamp(min=0)
    row, column = torch.meshgrid(*map(torch.arange, image_HW.shape), indexing="ij")
    if not bright_HW.any():
        return None
    x, y = (float((bright_HW * at).sum() / bright_HW.sum()) for at in (column, row))
    return (x, y) if min(x, y) >= MARGIN and max(x, y) < len(image_HW) - MARGIN else None


def peak(heatmap_HW):
    row, column = divmod(int(heatmap_HW.argmax()), heatmap_HW.shape[1])
    return column, row


@pytest.mark.parametrize("written", FORMATS)
def test_a_fixation_on_a_cross_stays_on_it(folder, written):
    manifest = build(written(folder), folder.parent / "store", image_size=200, workers=1)
    assert (manifest["counts"]["annotated"], manifest["rejected"]) == (len(NUMBERS), [])
    store = Store.open(folder.parent / "store")
    for study in store:  # at the size of the store
        pixels_HW = torch.from_numpy(decode(study.image).copy()).float() / 255
        (fixation,) = (f for a in study.annotations for f in a.fixations)
        found = middle(pixels_HW)
        stored = fixation.x * study.width - 0.5, fixation.y * study.height - 0.5
        assert np.abs(np.subtract(found, stored)).max() < 1
    turned = AugmentationConfig(degrees=30, translate=0.1, scale=(0.8, 1.25))
    loader = TrainingBatches(
        store,
        tokenize=lambda texts: {"input_ids": torch.zeros(len(texts), 1)},
        size=SIZE,
        batch_size=1,
        expert_batch_size=7,
        expert_probability=lambda step: 1.0,
        plain_rows="all",
        augmentation=Augmentation(turned),
    )
    looked_at = []
    for step in range(6):
        expert = loader[step].expert
        for image_HW, heatmap_HW in zip(expert.image_E1HW[:, 0], expert.heatmap_E1HW[:, 0], strict=True):
            if (found := middle(image_HW)) is not None:
                looked_at.append(found)
                assert np.abs(np.subtract(peak(heatmap_HW), found)).max() <= 1
    assert len(looked_at) > 20  # of 42; else nothing was tested
    assert np.ptp(looked_at, axis=0).min() > 10  # nor if the crosses had not moved
