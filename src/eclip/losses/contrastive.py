"""The contrastive loss of CLIP, the same on one process and on many."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from torch import Tensor


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
    if not (gather and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        logits_BB = scale * image_BD @ text_BD.T
        target_B = torch.arange(len(logits_BB), device=logits_BB.device)
        return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2

    sizes = _sizes(image_BD)
    all_image_ND, all_text_ND = _gather(image_BD, sizes), _gather(text_BD, sizes)
    first = sum(sizes[: dist.get_rank()])
    target_B = torch.arange(first, first + len(image_BD), device=image_BD.device)
    from_image = F.cross_entropy(scale * image_BD @ all_text_ND.T, target_B, reduction="sum")
    from_text = F.cross_entropy(scale * text_BD @ all_image_ND.T, target_B, reduction="sum")
    return (from_image + from_text) / 2 * (dist.get_world_size() / sum(sizes))


def in_batch_accuracy(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """Share of rows whose nearest neighbour in the other modality is their own, mean of both directions."""
    similarity_BB = image_BD.detach() @ text_BD.detach().T
    target_B = torch.arange(len(similarity_BB), device=similarity_BB.device)
    hits_2B = torch.stack([similarity_BB.argmax(1) == target_B, similarity_BB.argmax(0) == target_B])
    return hits_2B.float().mean()


def _sizes(rows: Tensor) -> list[int]:
    """Number of rows on each rank."""
    own = torch.tensor([len(rows)], device=rows.device)
    all_sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(all_sizes, own)
    return [int(size) for size in all_sizes]


def _gather(rows_BD: Tensor, sizes: list[int]) -> Tensor:
    """Rows of all ranks in rank order, (sum of sizes, D), with gradient to all of them."""
    padded = F.pad(rows_BD, (0, 0, 0, max(sizes) - len(rows_BD)))  # collectives want equal shapes
    gathered = dist_nn.all_gather(padded)
    return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])
