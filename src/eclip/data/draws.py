"""Random draws that depend on the seed, the step and their purpose alone.

Every draw of training comes from here: no hidden state, so that workers, ranks and a resumed run agree by construction.
"""

import zlib
from collections.abc import Iterator

import numpy as np


def generator(seed: int, step: int, purpose: str) -> np.random.Generator:
    """A fresh generator for one purpose ("augmentation", "mixup", …) at one step."""
    return np.random.default_rng([seed, step, zlib.crc32(purpose.encode())])


def torch_seed(seed: int, step: int, purpose: str) -> int:
    """The same for `torch.manual_seed`."""
    return int(generator(seed, step, purpose).integers(2**63))


def shuffled(rows: np.ndarray, seed: int, *, start: int, purpose: str) -> Iterator[int]:
    """An endless stream that goes through all rows, in a new order each time, from its row `start` on."""
    epoch, offset = divmod(start, len(rows))
    while True:
        yield from generator(seed, epoch, purpose).permutation(rows)[offset:]
        epoch, offset = epoch + 1, 0
