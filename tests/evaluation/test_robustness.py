"""Robustness: what the changes do to an image, and what hiding the spot does to a model that looks for it."""

import numpy as np
import pytest
import torch

from eclip.data.images import decode, fit
from eclip.data.store import Store, write_store
from eclip.evaluation import robustness
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.robustness import CHANGES
from eclip.models.preprocessing import Preprocessing
from small_stores import small_study

SIZE = 40


class Encoder:
    preprocessing = Preprocessing(size=SIZE, mean=0.0, std=1.0)


class SpotModel:
    """How bright the brightest patch is, and 1: unit vectors; the text is all brightness."""

    encoder = Encoder()

    def embed_images(self, images, *, progress=False):
        rows = []
        for start in range(0, len(images), 4):
            for image in images[start : start + 4]:
                assert image.dtype == np.uint8
                patches = torch.nn.functional.avg_pool2d(torch.tensor(image)[None].float() / 255, 8)
                rows.append([float(patches.max()), 0.5])
        rows = np.array(rows, np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def case(tmp_path_factory):

    kinds = ["gaze", None, "gaze", "gaze", None]
    studies = [small_study(3 * i, split="test", annotation=kind) for i, kind in enumerate(kinds)]
    folder = tmp_path_factory.mktemp("data") / "store"
    write_store(folder, studies, source="test", rejected=[])
    store = Store.open(folder)
    rows = store.rows(split="test")
    image_ND = SpotModel().embed_images([fit(decode(s.image), SIZE) for s in studies])
    embeddings = Embeddings(
        image_id=[s.image_id for s in studies],
        study_id=[s.study_id for s in studies],
        patient_id=[s.patient_id for s in studies],
        text=[s.text for s in studies],
        label_names=(),
        label_NC=np.empty((5, 0), np.float32),
        image_ND=image_ND,
        text_ND=np.tile(np.array([[1.0, 0.0]], np.float32), (5, 1)),
    )
    return store, rows, embeddings


def test_hiding_the_spot_costs_more_than_hiding_as_much_elsewhere(case):
    found = robustness.per_sample(SpotModel(), *case, None, seed=0)
    assert found["occlusion_drop_annotated"].notna().tolist() == [True, False, True, True, False]
    looked = found.dropna()
    assert (looked["occlusion_drop_annotated"] > looked["occlusion_drop_elsewhere"] + 0.01).all()
    numbers = robustness.statistics(found)
    assert numbers["occlusion_excess"].n == 3
    weights = np.ones((1, 5), np.float32)
    expected = (looked["occlusion_drop_annotated"] - looked["occlusion_drop_elsewhere"]).mean()
    assert numbers["occlusion_excess"].of(weights)[0] == pytest.approx(expected)
    assert not [name for name in numbers if name.startswith("accuracy")]


def test_the_same_seed_gives_the_same_and_another_only_other_noise_and_places(case):
    one, again, other = (robustness.per_sample(SpotModel(), *case, None, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    changed = {name for name in one if not one[name].equals(other[name])}
    assert changed <= {"stability@noise 0.05", "stability@noise 0.1", "occlusion_drop_elsewhere"}
    assert changed


def test_accuracy_is_taken_of_the_changed_embeddings(case):
    def right(image_ND):
        return np.where([True, True, True, True, False], image_ND[:, 0] > 0.7, np.nan)

    found = robustness.per_sample(SpotModel(), *case, right, seed=0)
    assert set(found) >= {"accuracy@unchanged", *(f"accuracy@{name}" for name in CHANGES)}
    assert robustness.statistics(found)["accuracy@gamma 1.4"].n == 4
    assert found["accuracy@unchanged"][:4].tolist() == right(case[2].image_ND)[:4].tolist()


def test_the_changes_do_what_they_are_called():
    draw = np.random.default_rng(0)
    grey = draw.random((24, 24))
    np.testing.assert_allclose(CHANGES["gamma 1.4"](grey, draw), grey**1.4)
    assert np.std(CHANGES["noise 0.1"](grey, draw) - grey) == pytest.approx(0.1, rel=0.1)
    for name in ("half resolution", "quarter resolution"):
        assert np.std(CHANGES[name](grey, draw)) < np.std(grey)
    flat = np.full((24, 24), 0.4)
    for name, change in CHANGES.items():
        if "gamma" not in name and "noise" not in name:
            np.testing.assert_allclose(change(flat, draw), flat, atol=1e-6)
    spot = np.zeros((25, 25))
    spot[12, 20] = 1  # to the right of the centre: counter-clockwise is up
    row, column = np.unravel_index(CHANGES["turned 10"](spot, draw).argmax(), spot.shape)
    assert row < 12
    assert column >= 19
