"""What several gloo processes compute, and one: the means over ranks are what DDP makes of values and gradients."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F


def mean_over_ranks(compute, ranks):
    """Mean over ranks of each of the tensors that `compute(rank)` gives by name, as arrays.

    Args:
        compute: A function that is importable by name, or a `partial` of one.
        ranks: How many processes.
    """
    with TemporaryDirectory() as folder:
        mp.spawn(_rank, args=(compute, ranks, folder), nprocs=ranks)
        with np.load(Path(folder) / "means.npz") as means:
            return dict(means)


def on_many(loss, sizes):
    """Mean over ranks of the loss and of its gradients, rank r holding the r-th `sizes` rows.

    Args:
        loss: A function of unit vectors (B, D), (B, D) and two learnable scalars, importable by name.
        sizes: Rows on each rank.
    """
    return list(mean_over_ranks(partial(_of_rank, loss, sizes), len(sizes)).values())


def on_one(loss, rows):
    """The same of one process that holds all rows."""
    return [value.numpy() for value in _value_and_gradients(loss, torch.arange(rows), rows).values()]


def _value_and_gradients(loss, own, rows):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4, dtype=torch.float64)  # the same weights on every rank
    scalars = [torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (9.0, -3.0)]
    generator = torch.Generator().manual_seed(1)
    image, text = (torch.randn(rows, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    value = loss(F.normalize(layer(image[own]), dim=1), F.normalize(layer(text[own]), dim=1), *scalars)
    value.backward()
    named = {"weight": layer.weight, "scale": scalars[0], "bias": scalars[1]}
    gradients = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}
    return {"value": value.detach()} | gradients


def _of_rank(loss, sizes, rank):
    own = torch.split(torch.arange(sum(sizes)), sizes)[rank]
    return _value_and_gradients(loss, own, sum(sizes))


def _rank(rank, compute, ranks, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=ranks)
    torch.set_num_threads(1)
    values = compute(rank)
    for value in values.values():  # what DDP does with gradients
        dist.all_reduce(value)
        value /= ranks
    if rank == 0:
        np.savez(Path(folder) / "means.npz", **{name: value.numpy() for name, value in values.items()})
    dist.destroy_process_group()
