"""Gaze on the feature side: where somebody looked, as weights of local features and as a target of attention."""

import torch
import torch.nn.functional as F
from torch import Tensor

from eclip.losses.gather import mean_of_rows


def gaze_weights(heatmap_E1HW: Tensor, rows: int, columns: int) -> Tensor:
    """Share of the gaze in each cell of a grid laid over the map, (E, rows, columns); each sums to 1.

    w_p = Ē_p / Σ_q Ē_q, with Ē_p the mean of the map in cell p. A map of zeros says nothing: 1 / (rows · columns).

    Args:
        heatmap_E1HW: Maps of values from 0, (E, 1, H, W), of any aspect ratio.
        rows: Cells from top to bottom.
        columns: Cells from left to right.
    """
    mean_Ehw = F.adaptive_avg_pool2d(heatmap_E1HW, (rows, columns))[:, 0]
    sum_E11 = mean_Ehw.sum((1, 2), keepdim=True)
    return torch.where(sum_E11 > 0, mean_Ehw / sum_E11, 1 / (rows * columns))


def gaze_pooled(grid_EhwD: Tensor, weights_Ehw: Tensor) -> Tensor:
    """Mean of local features weighted by gaze, Σ_p w_p g_p, (E, D); not normalised.

    Args:
        grid_EhwD: Local features (E, h, w, D).
        weights_Ehw: Weights (E, h, w) that sum to 1, from `gaze_weights`.
    """
    return (grid_EhwD * weights_Ehw[..., None]).sum((1, 2))


def gaze_divergence(
    grid_EhwD: Tensor, text_ED: Tensor, weights_Ehw: Tensor, temperature: Tensor | float
) -> Tensor:
    """KL divergence from where somebody looked to where the report attends.

    mean_i Σ_p w_ip · log(w_ip / a_ip), with a_i = softmax_p(cos(g_ip, t_i) / τ) over the cells of image i. Nothing is
    lost where both are alike; where attention is even, log(h · w) − H(w_i).

    Across processes the mean over ranks of what is returned, and of its gradients, is that of one process holding all
    rows, whatever number of them each rank holds.

    Args:
        grid_EhwD: Local features (E, h, w, D) of any length.
        text_ED: Unit vectors (E, D); row i is the report of image i.
        weights_Ehw: Weights (E, h, w) that sum to 1, from `gaze_weights`.
        temperature: τ of the attention.
    """
    cosine_Ehw = (F.normalize(grid_EhwD, dim=-1) * text_ED[:, None, None]).sum(-1)
    return saliency_divergence(cosine_Ehw / temperature, weights_Ehw)


def saliency_divergence(logit_Ehw: Tensor, weights_Ehw: Tensor) -> Tensor:
    """KL divergence from where somebody looked to a guess of it: mean_i KL(w_i ‖ softmax of the logits of image i).

    Across processes as `gaze_divergence`.

    Args:
        logit_Ehw: Of each cell (E, h, w).
        weights_Ehw: Weights (E, h, w) that sum to 1, from `gaze_weights`.
    """
    log_guess_EN = F.log_softmax(logit_Ehw.flatten(1), dim=1)
    return mean_of_rows(F.kl_div(log_guess_EN, weights_Ehw.flatten(1), reduction="none").sum(1))
