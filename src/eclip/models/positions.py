"""Where a patch is, in numbers that attention can read."""

import torch
from torch import Tensor


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of the row, then of the column of each patch, (rows · columns, width) float32.

    Frequencies are 10000^(−k / (width / 4)), k = 0 … width / 4 − 1 (Vaswani et al. 2017, section 3.5).
    """
    quarter = width // 4
    frequency_k = 10000.0 ** (-torch.arange(quarter) / quarter)
    row_rk, column_ck = (torch.arange(count)[:, None] * frequency_k for count in (rows, columns))
    row_rc = torch.cat([row_rk.sin(), row_rk.cos()], dim=1)[:, None].expand(-1, columns, -1)
    column_rc = torch.cat([column_ck.sin(), column_ck.cos()], dim=1).expand(rows, -1, -1)
    return torch.cat([row_rc, column_rc], dim=2).flatten(0, 1)
