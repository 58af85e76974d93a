"""The contrastive loss of CLIP, the same on one process and on many."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from eclip.losses.gather import gather_rows, is_distributed, row_counts


def info_nce(image_BD: Tensor, text_BD: Tensor, scale: Tensor | float, *, gather: bool = True) -> Tensor:
    """Symmetric InfoNCE: row i of the images belongs to row i of the texts (equation 1 of the paper).

    ½ · mean_i [ −log softmax_j(s·v_i·t_j)_i − log softmax_j(s·t_i·v_j)_i ], with s = 1/τ. Identical embeddings
    give log B.

    Across processes every rank compares its own rows with those of all ranks, with gradient through the gather.
    Ranks may hold different numbers of rows. The mean over ranks of what is returned, and of its gradients, is
    that of one process holding all rows, which is what DDP computes.

    Args:
        image_BD: Unit vectors (B, D).
        text_BD: Unit vectors (B, D).
        scale: The inverse temperature.
        gather: Whether to compare with the rows of all ranks.
    """
    if not (gather and is_distributed()):
        logits_BB = scale * image_BD @ text_BD.T
        target_B = torch.arange(len(logits_BB), device=logits_BB.device)
        return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2

    counts = row_counts(image_BD)
    all_image_ND, all_text_ND = gather_rows(image_BD, counts), gather_rows(text_BD, counts)
    first = sum(counts[: dist.get_rank()])
    target_B = torch.arange(first, first + len(image_BD), device=image_BD.device)
    from_image = F.cross_entropy(scale * image_BD @ all_text_ND.T, target_B, reduction="sum")
    from_text = F.cross_entropy(scale * text_BD @ all_image_ND.T, target_B, reduction="sum")
    return (from_image + from_text) / 2 * (dist.get_world_size() / sum(counts))


def in_batch_accuracy(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """Share of rows whose nearest neighbour in the other modality is their own, mean of both directions."""
    similarity_BB = image_BD.detach() @ text_BD.detach().T
    target_B = torch.arange(len(similarity_BB), device=similarity_BB.device)
    hits_2B = torch.stack([similarity_BB.argmax(1) == target_B, similarity_BB.argmax(0) == target_B])
    return hits_2B.float().mean()
