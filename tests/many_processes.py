"""A loss on several gloo processes, and on one: what DDP would make of its value and gradients."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F


def on_many(loss, sizes, port):
    """Mean over ranks of the loss and of its gradients, rank r holding the r-th `sizes` rows.

    Args:
        loss: A function of unit vectors (B, D), (B, D) and two learnable scalars, importable by name.
        sizes: Rows on each rank.
        port: A free one.
    """
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(_rank, args=(loss, sizes, port, queue), nprocs=len(sizes))
    return queue.get()


def on_one(loss, rows):
    """The same of one process that holds all rows."""
    return [value.numpy() for value in _value_and_gradients(loss, torch.arange(rows), rows)]


def _value_and_gradients(loss, own, rows):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4, dtype=torch.float64)  # the same weights on every rank
    scalars = [torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (9.0, -3.0)]
    generator = torch.Generator().manual_seed(1)
    image, text = (torch.randn(rows, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    value = loss(F.normalize(layer(image[own]), dim=1), F.normalize(layer(text[own]), dim=1), *scalars)
    value.backward()
    gradients = [parameter.grad for parameter in (layer.weight, *scalars) if parameter.grad is not None]
    return [value.detach(), *gradients]


def _rank(rank, loss, sizes, port, queue):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=len(sizes))
    own = torch.split(torch.arange(sum(sizes)), sizes)[rank]
    values = _value_and_gradients(loss, own, sum(sizes))
    for value in values:  # what DDP does with gradients
        dist.all_reduce(value)
        value /= len(sizes)
    if rank == 0:
        queue.put([value.numpy() for value in values])
    dist.destroy_process_group()
