"""Geodesic mixup of embeddings (Oh et al. 2023): points on the arc between two unit vectors as hard examples.

Across processes each loss is that of all rows, computed on every rank: the mean over ranks of the values and of the
gradients is that of one process holding all rows. All ranks must be given the same share λ.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from eclip.losses.contrastive import info_nce, products
from eclip.losses.gather import gather_rows, is_distributed, row_counts

SMALL_SINE = 1e-4  # below it, sin(λθ)/sin θ is its limit λ to float32


def geodesic_mix(a_BD: Tensor, b_BD: Tensor, share: float) -> Tensor:
    """Unit vectors on the shortest arc from b (share 0) to a (share 1), (B, D) float32 or float64.

    m_λ(a, b) = sin(λθ)/sin θ · a + sin((1−λ)θ)/sin θ · b, where θ is the angle between a and b. θ is taken from
    |a−b| and |a+b|, exact also where rounding puts a·b beyond 1. For a = b the arc is a point, a itself. For a = −b
    there is no shortest arc: the end with the larger share is taken. Half precision is computed in float32.

    Args:
        a_BD: Unit vectors (B, D).
        b_BD: Unit vectors (B, D).
        share: λ in [0, 1].
    """
    if a_BD.dtype not in (torch.float32, torch.float64):
        a_BD, b_BD = a_BD.float(), b_BD.float()
    chord_B1 = torch.linalg.vector_norm(a_BD - b_BD, dim=-1, keepdim=True)
    cochord_B1 = torch.linalg.vector_norm(a_BD + b_BD, dim=-1, keepdim=True)
    angle_B1 = 2 * torch.atan2(chord_B1, cochord_B1)
    sine_B1 = angle_B1.sin()
    on_a_line_B1 = sine_B1 < SMALL_SINE
    sine_B1 = sine_B1.masked_fill(on_a_line_B1, 1.0)  # keeps the unused branch and its gradient finite
    arc_BD = ((share * angle_B1).sin() * a_BD + ((1 - share) * angle_B1).sin() * b_BD) / sine_B1
    line_BD = F.normalize(share * a_BD + (1 - share) * b_BD, dim=-1)
    return torch.where(on_a_line_B1, line_BD, arc_BD)


def m2_mix(image_BD: Tensor, text_BD: Tensor, share: float, scale: Tensor | float) -> Tensor:
    """m²-mix: InfoNCE whose negatives are mixtures of other pairs' images and texts.

    ½ · mean_i [ −log P(v_i) − log P(t_i) ] with P(v_i) = e(v_i·t_i) / (e(v_i·t_i) + Σ_{j≠i} e(v_i·m_λ(v_j, t_j))),
    P(t_i) alike, and e(x) = exp(s·x). Positives and negatives are scaled alike, s = 1/τ₂.

    Args:
        image_BD: Unit vectors (B, D); row i belongs to row i of the texts.
        text_BD: Unit vectors (B, D).
        share: λ, of the images.
        scale: s = 1/τ₂.
    """
    image_ND, text_ND = _all_pairs(image_BD, text_BD)
    mixed_ND = geodesic_mix(image_ND, text_ND, share)
    own_NN = torch.eye(len(mixed_ND), dtype=torch.bool, device=mixed_ND.device)
    positive_NN = torch.diag((image_ND * text_ND).sum(-1)).to(mixed_ND)
    target_N = torch.arange(len(mixed_ND), device=mixed_ND.device)
    from_image, from_text = (
        F.cross_entropy(
            scale * torch.where(own_NN, positive_NN, products(rows_ND.to(mixed_ND), mixed_ND)), target_N
        )
        for rows_ND in (image_ND, text_ND)
    )
    return (from_image + from_text) / 2


def unimodal_mix(mixed_BD: Tensor, other_BD: Tensor, share: float, scale: Tensor | float) -> Tensor:
    """V-mix or L-mix of m³-mix: mixtures within one modality belong to both of the other's rows, λ and 1−λ.

    λ · InfoNCE(m_λ(x_i, x_i′), y_i) + (1−λ) · InfoNCE(m_λ(x_i, x_i′), y_i′), i′ = N+1−i: the batch backwards.

    Args:
        mixed_BD: Unit vectors (B, D) that are mixed: images for V-mix, texts for L-mix.
        other_BD: Unit vectors (B, D) of the other modality.
        share: λ.
        scale: The inverse temperature.
    """
    mixed_ND, other_ND = _all_pairs(mixed_BD, other_BD)
    mixed_ND = geodesic_mix(mixed_ND, mixed_ND.flip(0), share)
    own = info_nce(mixed_ND, other_ND.to(mixed_ND), scale, gather=False)
    partner = info_nce(mixed_ND, other_ND.flip(0).to(mixed_ND), scale, gather=False)
    return share * own + (1 - share) * partner


def vl_mix(image_BD: Tensor, text_BD: Tensor, share: float, scale: Tensor | float) -> Tensor:
    """VL-mix of m³-mix: InfoNCE(m_λ(v_i, v_i′), m_λ(t_i, t_i′)), i′ = N+1−i: the batch backwards.

    Args:
        image_BD: Unit vectors (B, D); row i belongs to row i of the texts.
        text_BD: Unit vectors (B, D).
        share: λ, the same for images and texts.
        scale: The inverse temperature.
    """
    mixed_image_ND, mixed_text_ND = (
        geodesic_mix(rows_ND, rows_ND.flip(0), share) for rows_ND in _all_pairs(image_BD, text_BD)
    )
    return info_nce(mixed_image_ND, mixed_text_ND, scale, gather=False)


def _all_pairs(image_BD: Tensor, text_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all ranks."""
    if not is_distributed():
        return image_BD, text_BD
    counts = row_counts(image_BD)
    return gather_rows(image_BD, counts), gather_rows(text_BD, counts)
