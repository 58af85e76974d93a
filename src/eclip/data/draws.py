"""Random draws that depend on the seed, the step and their purpose alone.

Every draw of training comes from here: no hidden state, so that workers, ranks and a resumed run agree by construction.
"""

import zlib

import numpy as np


def generator(seed: int, step: int, purpose: str) -> np.random.Generator:
    """A fresh generator for one purpose ("augmentation", "mixup", …) at one step."""
    return np.random.default_rng([seed, step, zlib.crc32(purpose.encode())])


def torch_seed(seed: int, step: int, purpose: str) -> int:
    """The same for `torch.manual_seed`."""
    return int(generator(seed, step, purpose).integers(2**63))


def shuffled(rows: np.ndarray, seed: int, *, start: int, count: int, purpose: str) -> np.ndarray:
    """Rows `start` … `start + count` of an endless stream that goes through all rows, in a new order each time."""
    first, last = start // len(rows), (start + count - 1) // len(rows)
    stream = np.concatenate(
        [generator(seed, epoch, purpose).permutation(rows) for epoch in range(first, last + 1)]
    )
    offset = start - first * len(rows)
    return stream[offset : offset + count]
