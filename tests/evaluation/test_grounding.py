"""Grounding with a model that looks for the bright spot of `small_stores`, and with one that looks away."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eclip.annotations import Annotation, Fixation, Region
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation import grounding, saliency
from eclip.models.dual_encoder import ImageFeatures
from eclip.models.preprocessing import Preprocessing
from small_stores import small_study

SIZE = 40


class SpotEncoder(nn.Module):
    """Local features (brightness, 1); any text is (1, 0), so that bright cells are like it."""

    def __init__(self, grid):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.preprocessing = Preprocessing(size=SIZE, mean=0.0, std=1.0)
        self.grid = grid

    def image_features(self, pixels):
        bright = F.adaptive_avg_pool2d(pixels[:, :1], 10)[:, 0]
        local = torch.stack([bright, torch.ones_like(bright)], dim=-1) if self.grid else None
        return ImageFeatures(bright.flatten(1), local)


class SpotModel:
    device = torch.device("cpu")

    def __init__(self, *, sign=1.0, grid=True):
        self.sign, self.encoder = sign, SpotEncoder(grid)

    def embed_texts(self, texts):
        return np.tile(np.array([[self.sign, 0.0]], np.float32), (len(texts), 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    kinds = ["gaze", None, "box", "gaze", "dictation", "off-image"]
    studies = [small_study(3 * i, split="test", annotation=kind) for i, kind in enumerate(kinds)]
    folder = tmp_path_factory.mktemp("data") / "store"
    write_store(folder, studies, source="test", rejected=[])
    return Store.open(folder)


@pytest.fixture(scope="module")
def table(store):
    return grounding.per_sample(SpotModel(), store, store.rows(split="test"))


def test_each_image_has_the_phrases_that_its_annotations_give(table):
    has = {kind: table[f"{kind}_pointing_game"].notna().tolist() for kind in ("report", "sentence", "region")}
    assert has["report"] == [True, False, False, True, True, False]
    assert has["sentence"] == [False, False, False, False, True, False]
    assert has["region"] == [False, False, True, False, False, False]


def test_who_looks_for_the_spot_finds_it_and_who_looks_away_does_not(store, table):
    away = grounding.per_sample(SpotModel(sign=-1.0), store, store.rows(split="test"))
    assert table["report_pointing_game"][[0, 3]].tolist() == [1, 1]
    assert away["report_pointing_game"][[0, 3]].tolist() == [0, 0]
    for row in (0, 3):
        assert table["report_nss"][row] > 1 > 0 > away["report_nss"][row]
        assert table["report_auc_judd"][row] > 0.8 > 0.5 > away["report_auc_judd"][row]
        assert table["report_kl_divergence"][row] < away["report_kl_divergence"][row]
    assert table["report_nss_centre"].equals(away["report_nss_centre"])  # of no model


def test_fixations_lie_where_the_square_shows_them():
    """40 high and 48 wide: the square leaves out 4 pixels on either side."""
    fixations = tuple(
        Fixation(x=x, y=y, start=0.0, end=1.0) for x, y in ((0.5, 0.25), (10.5 / 48, 0.5), (0.02, 0.5))
    )
    study = small_study(0, split="test")
    study = dataclasses.replace(study, annotations=(Annotation(kind="gaze", fixations=fixations),))
    (phrase,) = grounding.phrases_of(study, SIZE)
    assert phrase.fixated_F2.tolist() == [[10, 20], [20, 6]]  # the third is beside the square
    assert phrase.map_HW.max() == 1
    assert phrase.text == study.text


def region(*corners, label="Edema", kind="box", reader=""):
    return Annotation(kind=kind, label=label, region=Region(points=corners), reader=reader)


def test_a_label_is_one_phrase_with_all_that_is_outlined_under_it():
    """40 high and 48 wide: the square begins at pixel 4; inside is what lies inside, by pixel."""
    study = dataclasses.replace(
        small_study(0, split="test"),
        annotations=(
            region((8 / 48, 0.25), (16 / 48, 0.5)),
            region((32 / 48, 0.25), (40 / 48, 0.5), reader="another"),
            region((0.0, 0.0), (4 / 48, 1.0), label="Atelectasis"),  # beside the square
            region((20.4 / 48, 20.4 / 40), (20.6 / 48, 20.6 / 40), label="Lung Lesion"),  # one pixel's centre
        ),
    )
    both, small = [phrase for phrase in grounding.phrases_of(study, SIZE) if phrase.kind == "region"]
    expected = np.zeros((SIZE, SIZE))
    expected[10:20, 4:12] = expected[10:20, 28:36] = 1
    assert both.text == "Edema"
    np.testing.assert_array_equal(both.map_HW, expected)
    assert small.text == "Lung Lesion"
    assert np.argwhere(small.map_HW).tolist() == [[20, 16]]
    (coarse,) = [phrase for phrase in grounding.phrases_of(study, 10) if phrase.text == "Lung Lesion"]
    assert np.argwhere(coarse.map_HW).tolist() == [[5, 4]]  # a tenth of it covers no pixel by half
    assert saliency.pointing_game(both.map_HW, both.map_HW >= grounding.LOOKED) == 1


def test_the_centre_stands_as_chance_and_divergence_is_better_low(table):
    numbers = grounding.statistics(table)
    assert not [name for name in numbers if name.endswith("_centre")]
    found = numbers["report_nss"]
    assert found.n == 3
    assert found.chance == pytest.approx(table["report_nss_centre"].mean())
    assert {n: s.direction for n, s in numbers.items() if "divergence" in n} == {
        "report_kl_divergence": "lower",
        "sentence_kl_divergence": "lower",
    }


def test_without_a_grid_or_annotations_it_is_told_in_one_line(store, tmp_path):
    with pytest.raises(InputError, match="no local features"):
        grounding.per_sample(SpotModel(grid=False), store, store.rows(split="test"))
    with pytest.raises(InputError, match="has gaze or regions"):
        grounding.per_sample(SpotModel(), store, store.rows(split="test")[[1, 5]])


def test_other_readers_are_judged_by_their_gaze_whatever_the_model(tmp_path):
    study = small_study(0, split="test", annotation="gaze")
    (own,) = study.annotations
    other = dataclasses.replace(
        own, reader="B", fixations=tuple(dataclasses.replace(f, x=f.x + 0.05) for f in own.fixations)
    )
    again = dataclasses.replace(own, sentences=())  # the same reader once more
    studies = [
        dataclasses.replace(study, annotations=(own, other)),
        dataclasses.replace(small_study(3, split="test", annotation="gaze")),
    ]
    studies.append(dataclasses.replace(small_study(6, split="test"), annotations=(own, again)))
    write_store(tmp_path / "store", studies, source="test", rejected=[])
    store = Store.open(tmp_path / "store")
    rows = store.rows(split="test")
    found, away = (grounding.per_sample(SpotModel(sign=s), store, rows) for s in (1.0, -1.0))
    assert found["reader_nss"].notna().tolist() == [True, False, False]
    assert found["reader_nss"].equals(away["reader_nss"])
    size = SIZE
    expected = []
    for mine, theirs in ((own, other), (other, own)):
        (phrase,) = grounding._looked_at("reader", "", mine.fixations, study, size)
        map_HW = grounding._square(grounding.render(theirs.fixations, study.height, study.width), size)
        expected.append(saliency.nss(map_HW, phrase.fixated_F2))
    assert found["reader_nss"][0] == pytest.approx(np.mean(expected))
    assert grounding.statistics(found)["reader_nss"].n == 1
