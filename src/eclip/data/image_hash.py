"""A perceptual hash: images that look alike have hashes that differ in few bits."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn

NEAR = 16
"""Bits of 256 that near-duplicates may differ in.

Of 176 real radiographs no two differ in fewer than 53 bits (mean 118, standard deviation 12), of 400 phantoms, several
of one patient, in fewer than 33; a real one at JPEG quality 60, half its size or gamma 1.2 differs from itself in at
most 7, 11, 14. An equalised histogram, a crop of 2 % or a rotation of 2° make it another image
(`benchmarks/image_hash.py`).
"""

_SIDE, _FREQUENCIES = 64, 17
_BLOCK = 1 << 22  # pairs compared at a time
_FLAT = 1.0  # gray values: an image that varies less shows nothing


def image_hash(image_HW: np.ndarray) -> str:
    """Hash uint8 (H, W): the signs of its 256 lowest frequencies, without the mean, as 64 hex digits.

    An image of one gray has no hash, "".
    """
    small = np.asarray(
        Image.fromarray(image_HW).resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64
    )
    if small.std() < _FLAT:
        return ""
    signs = dctn(small)[:_FREQUENCIES, :_FREQUENCIES].ravel()[1:257] > 0
    return np.packbits(signs).tobytes().hex()


def near_duplicates(
    some: Sequence[str], others: Sequence[str], *, limit: int = NEAR
) -> list[tuple[int, int]]:
    """For each of `some` that is near one of `others`, (i, j) of the nearest; "" is near nothing.

    Every pair is compared, a block at a time: by 64 bits first, by all 256 where these may do.
    """
    (rows, a_N4), (columns, b_M4) = _words(some), _words(others)
    pairs: list[tuple[int, int]] = []
    if not len(b_M4):
        return pairs
    step = max(1, _BLOCK // len(b_M4))
    for first in range(0, len(a_N4), step):
        part_K4 = a_N4[first : first + step]
        i, j = np.nonzero(np.bitwise_count(part_K4[:, None, 0] ^ b_M4[None, :, 0]) <= limit)
        distance = np.bitwise_count(part_K4[i] ^ b_M4[j]).sum(axis=1)
        order = np.lexsort((j, distance, i))
        order = order[distance[order] <= limit]
        _, nearest = np.unique(i[order], return_index=True)
        found = order[nearest]
        pairs += zip(rows[first + i[found]].tolist(), columns[j[found]].tolist(), strict=True)
    return pairs


def _words(hashes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Indices (N,) of the hashes that are there, and they as uint64 (N, 4)."""
    there = [i for i, text in enumerate(hashes) if text]
    joined = bytes.fromhex("".join(hashes[i] for i in there))
    return np.array(there, np.int64), np.frombuffer(joined, np.uint64).reshape(-1, 4)
