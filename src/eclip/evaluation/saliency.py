"""How well a map says where somebody looked, or what was outlined (Bylinskii et al. 2019; Boecking et al. 2022).

Array names: H, W pixels of the map, F fixations as (row, column).
"""

import numpy as np

EPSILON = 1e-12


def pointing_game(map_HW: np.ndarray, inside_HW: np.ndarray) -> float:
    """1 if the highest pixel lies inside; of several highest, their share that does."""
    highest_HW = map_HW == map_HW.max()
    return float(inside_HW[highest_HW].mean())


def contrast_to_noise(map_HW: np.ndarray, inside_HW: np.ndarray) -> float:
    """(μ_in − μ_out) / √(σ²_in + σ²_out): signed, so that a map of everything else is below 0; NaN without an outside.

    BioViL takes the absolute value, under which a map of the wrong places is as good as one of the right ones.
    """
    inner, outer = map_HW[inside_HW], map_HW[~inside_HW]
    if not (len(inner) and len(outer)):
        return float("nan")
    if _is_constant(map_HW):
        return 0.0
    noise = max(float(np.sqrt(inner.var() + outer.var())), EPSILON)
    return float(inner.mean() - outer.mean()) / noise


def nss(map_HW: np.ndarray, fixated_F2: np.ndarray) -> float:
    """Normalised scanpath saliency: the mean at the fixations of the map with mean 0 and deviation 1; 0 if constant."""
    if _is_constant(map_HW):
        return 0.0
    values_F = map_HW[fixated_F2[:, 0], fixated_F2[:, 1]]
    return float((values_F.mean() - map_HW.mean()) / map_HW.std())


def auc_judd(map_HW: np.ndarray, fixated_F2: np.ndarray) -> float:
    """The chance that a fixated pixel is higher than one that is not, ties counting half."""
    fixated_HW = np.zeros(map_HW.shape, bool)
    fixated_HW[fixated_F2[:, 0], fixated_F2[:, 1]] = True
    others = np.sort(map_HW[~fixated_HW])
    if not len(others):
        return float("nan")
    values = map_HW[fixated_HW]
    below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return float(below.mean() / 2 / len(others))


def kl_divergence(map_HW: np.ndarray, looked_HW: np.ndarray) -> float:
    """Σ P log(P/Q) of where was looked, P, from the map, Q; the map is moved to a lowest value of 0, both sum to 1."""
    shifted_HW = map_HW - map_HW.min()
    if not shifted_HW.any():
        shifted_HW = np.ones_like(shifted_HW)
    p_HW, q_HW = looked_HW / looked_HW.sum(), shifted_HW / shifted_HW.sum()
    return float((p_HW * np.log(EPSILON + p_HW / (q_HW + EPSILON))).sum())


def correlation(map_HW: np.ndarray, looked_HW: np.ndarray) -> float:
    """Pearson's, of the map and of where was looked; 0 if either is constant."""
    if _is_constant(map_HW) or _is_constant(looked_HW):
        return 0.0
    one, other = map_HW - map_HW.mean(), looked_HW - looked_HW.mean()
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def _is_constant(map_HW: np.ndarray) -> bool:
    """By its values: the deviation of a constant map is not zero but for rounding."""
    return bool(map_HW.max() == map_HW.min())
