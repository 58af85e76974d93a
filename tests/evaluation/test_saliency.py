"""Numbers of saliency against loops, scikit-learn, SciPy and closed forms."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from eclip.evaluation import saliency


def case(seed=0):
    draw = np.random.default_rng(seed)
    map_HW = draw.integers(0, 6, (9, 13)) / 5
    fixated = np.column_stack([draw.integers(0, 9, 7), draw.integers(0, 13, 7)])
    looked = draw.random((9, 13)) ** 3
    return map_HW, fixated, looked


@pytest.mark.parametrize("seed", range(4))
def test_against_loops_and_other_libraries(seed):
    map_HW, fixated, looked = case(seed)
    standard = (map_HW - map_HW.mean()) / map_HW.std()
    assert saliency.nss(map_HW, fixated) == pytest.approx(np.mean([standard[r, c] for r, c in fixated]))
    mask = np.zeros(map_HW.shape)
    for row, column in fixated:
        mask[row, column] = 1
    assert saliency.auc_judd(map_HW, fixated) == pytest.approx(roc_auc_score(mask.ravel(), map_HW.ravel()))
    assert saliency.correlation(map_HW, looked) == pytest.approx(pearsonr(map_HW.ravel(), looked.ravel())[0])
    q, p = (map_HW - map_HW.min()).ravel(), looked.ravel()
    q, p = q / q.sum(), p / p.sum()
    expected = sum(p_i * np.log(1e-12 + p_i / (q_i + 1e-12)) for p_i, q_i in zip(p, q, strict=True))
    assert saliency.kl_divergence(map_HW, looked) == pytest.approx(expected)
    inside = looked > 0.5
    noise = np.sqrt(map_HW[inside].var() + map_HW[~inside].var())
    difference = map_HW[inside].mean() - map_HW[~inside].mean()
    assert saliency.contrast_to_noise(map_HW, inside) == pytest.approx(difference / noise)


def test_closed_forms():
    map_HW, fixated, looked = case()
    flat = np.full(map_HW.shape, 0.3)
    assert saliency.auc_judd(flat, fixated) == 0.5
    assert saliency.nss(flat, fixated) == saliency.correlation(flat, looked) == 0
    assert saliency.kl_divergence(looked - looked.min(), looked - looked.min()) == pytest.approx(0, abs=1e-9)
    assert saliency.contrast_to_noise(-map_HW, looked > 0.5) == -saliency.contrast_to_noise(
        map_HW, looked > 0.5
    )
    assert np.isnan(saliency.contrast_to_noise(map_HW, np.ones(map_HW.shape, bool)))
    inside = np.zeros((4, 4), bool)
    inside[1, 2] = True
    assert saliency.pointing_game(inside.astype(float), inside) == 1
    assert saliency.pointing_game(np.ones((4, 4)), inside) == 1 / 16
    assert saliency.pointing_game(1 - inside.astype(float), inside) == 0


def test_turning_both_changes_nothing():
    map_HW, fixated, looked = case()
    turned = np.column_stack([fixated[:, 0], 12 - fixated[:, 1]])
    assert saliency.nss(map_HW[:, ::-1], turned) == pytest.approx(saliency.nss(map_HW, fixated))
    assert saliency.auc_judd(map_HW[:, ::-1], turned) == pytest.approx(saliency.auc_judd(map_HW, fixated))
    assert saliency.kl_divergence(map_HW[:, ::-1], looked[:, ::-1]) == pytest.approx(
        saliency.kl_divergence(map_HW, looked)
    )
