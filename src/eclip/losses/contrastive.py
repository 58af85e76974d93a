"""The contrastive loss of CLIP, the same on one process and on many."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from eclip.losses.gather import gather_rows, is_distributed, mean_of_rows, row_counts


def info_nce(
    image_BD: Tensor,
    text_BD: Tensor,
    scale: Tensor | float,
    *,
    key_BK: Tensor | None = None,
    gather: bool = True,
) -> Tensor:
    """Symmetric InfoNCE: row i of the images belongs to row i of the texts (equation 1 of the paper).

    ½ · mean_i [ −log softmax_j(s·v_i·t_j)_i − log softmax_j(s·t_i·v_j)_i ], with s = 1/τ. Identical embeddings
    give log B, no rows at all 0.

    With keys, rows that have one in common are never each other's negatives: j then runs over i and the rows that
    share no key with it. Where all keys differ, this changes nothing.

    Across processes every rank compares its own rows with those of all ranks, with gradient through the gather.
    Ranks may hold different numbers of rows. The mean over ranks of what is returned, and of its gradients, is
    that of one process holding all rows, which is what DDP computes.

    Args:
        image_BD: Unit vectors (B, D).
        text_BD: Unit vectors (B, D).
        scale: The inverse temperature.
        key_BK: K numbers a row, each compared with the same one of other rows, (B, K) int64.
        gather: Whether to compare with the rows of all ranks.
    """
    if not (gather and is_distributed()):
        logits_BB = products(scale * image_BD, text_BD)
        if not len(logits_BB):
            return logits_BB.sum()
        target_B = torch.arange(len(logits_BB), device=logits_BB.device)
        logits_BB = _without_kin(logits_BB, target_B, key_BK, key_BK)
        return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2

    counts = row_counts(image_BD)
    all_image_ND, all_text_ND = gather_rows(image_BD, counts), gather_rows(text_BD, counts)
    first = sum(counts[: dist.get_rank()])
    target_B = torch.arange(first, first + len(image_BD), device=image_BD.device)
    all_key_NK = None if key_BK is None else gather_rows(key_BK, counts)
    from_image, from_text = (
        F.cross_entropy(
            _without_kin(products(scale * own_BD, all_ND), target_B, key_BK, all_key_NK),
            target_B,
            reduction="sum",
        )
        for own_BD, all_ND in ((image_BD, all_text_ND), (text_BD, all_image_ND))
    )
    return (from_image + from_text) / 2 * (dist.get_world_size() / max(1, sum(counts)))


def products(rows_BD: Tensor, others_ND: Tensor) -> Tensor:
    """Each row with each of the others, (B, N), as precise as they are also under autocast.

    In bfloat16 products between 64 and 128 are half a unit apart, and with them the logits of a low temperature.
    """
    with torch.autocast(rows_BD.device.type, enabled=False):
        return rows_BD @ others_ND.T


def _without_kin(
    logits_BN: Tensor, target_B: Tensor, key_BK: Tensor | None, all_key_NK: Tensor | None
) -> Tensor:
    """Logits of −∞ where two rows share a key, but not those of the pairs."""
    if key_BK is None or all_key_NK is None:
        return logits_BN
    kin_BN = (key_BK[:, None] == all_key_NK).any(-1)
    kin_BN[torch.arange(len(target_B), device=target_B.device), target_B] = False
    return logits_BN.masked_fill(kin_BN, -torch.inf)


def alignment(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """How far pairs lie apart, mean_i ‖v_i − t_i‖² (Wang & Isola 2020), from 0 to 4.

    Across processes the mean over ranks of what is returned, and of its gradients, is that of one process holding all
    rows.

    Args:
        image_BD: Unit vectors (B, D).
        text_BD: Unit vectors (B, D).
    """
    return mean_of_rows((image_BD - text_BD).square().sum(1))


def in_batch_accuracy(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """Share of rows whose nearest neighbour in the other modality is their own, mean of both directions; 0 of none."""
    if not len(image_BD):
        return image_BD.new_zeros(())
    similarity_BB = image_BD.detach() @ text_BD.detach().T
    target_B = torch.arange(len(similarity_BB), device=similarity_BB.device)
    hits_2B = torch.stack([similarity_BB.argmax(1) == target_B, similarity_BB.argmax(0) == target_B])
    return hits_2B.float().mean()
