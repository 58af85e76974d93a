"""The sigmoid loss of SigLIP (Zhai et al. 2023): each pair of an image and a text is a question of its own."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from eclip.losses.contrastive import products
from eclip.losses.gather import gather_rows, is_distributed, row_counts


def sigmoid_loss(
    image_BD: Tensor, text_BD: Tensor, scale: Tensor | float, bias: Tensor | float, *, gather: bool = True
) -> Tensor:
    """Row i of the images belongs to row i of the texts and to no other (section 3.2 of Zhai et al.).

    −1/B · Σ_i Σ_j log σ(z_ij · (s·v_i·t_j + b)), z_ij = 1 where i = j, else −1. As there, the sum over B² pairs is
    divided by B. s = 0 and b = 0 give B · log 2.

    Across processes every rank compares its own images with the texts of all ranks, with gradient through the
    gather. Ranks may hold different numbers of rows. The mean over ranks of what is returned, and of its gradients,
    is that of one process holding all rows.

    Args:
        image_BD: Unit vectors (B, D).
        text_BD: Unit vectors (B, D).
        scale: s, the inverse temperature.
        bias: b; SigLIP starts at −10, since nearly all pairs are negatives.
        gather: Whether to compare with the texts of all ranks.
    """
    first, rows, ranks = 0, len(image_BD), 1
    if gather and is_distributed():
        counts = row_counts(text_BD)
        text_BD = gather_rows(text_BD, counts)
        first, rows, ranks = sum(counts[: dist.get_rank()]), sum(counts), dist.get_world_size()
    logits_BN = products(scale * image_BD, text_BD) + bias
    own_B = torch.arange(first, first + len(image_BD), device=image_BD.device)
    sign_BN = 2 * F.one_hot(own_B, rows).to(logits_BN) - 1
    return -F.logsigmoid(sign_BN * logits_BN).sum() * (ranks / rows)
