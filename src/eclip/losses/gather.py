"""Rows of all processes, with gradient: what contrastive losses compare their own rows with."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from torch import Tensor


def is_distributed() -> bool:
    """Whether there is more than one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def row_counts(rows: Tensor) -> list[int]:
    """Number of rows on each rank."""
    own = torch.tensor([len(rows)], device=rows.device)
    all_counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(all_counts, own)
    return [int(count) for count in all_counts]


def gather_rows(rows_BD: Tensor, counts: list[int]) -> Tensor:
    """Rows of all ranks in rank order, (sum of counts, D), with gradient to all of them."""
    padded = F.pad(rows_BD, (0, 0, 0, max(counts) - len(rows_BD)))  # collectives want equal shapes
    gathered = dist_nn.all_gather(padded)
    return torch.cat([part[:count] for part, count in zip(gathered, counts, strict=True)])


def mean_of_rows(values_B: Tensor) -> Tensor:
    """Mean of one value a row: its mean over ranks, as that of its gradients, is the mean over the rows of all ranks.

    Ranks may hold different numbers of rows, or none. No rows at all give 0.
    """
    counts = row_counts(values_B) if is_distributed() else [len(values_B)]
    return values_B.sum() * (len(counts) / max(1, sum(counts)))
