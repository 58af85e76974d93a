"""Oracles: a loop over bits, and images of which it is known whether they are the same."""

import io

import numpy as np
import pytest
from PIL import Image

from eclip.data import image_hash as hashing
from eclip.data.image_hash import NEAR, image_hash, near_duplicates


def picture(number):
    """Noise with less of it at higher frequencies, as natural images have: uint8 (240, 300)."""
    draw = np.random.default_rng(number)
    octaves = [draw.random((4 << i, 5 << i), dtype=np.float32) / (1 << i) for i in range(6)]
    finest = [
        np.asarray(Image.fromarray(octave).resize((300, 240), Image.Resampling.BICUBIC)) for octave in octaves
    ]
    whole = np.sum(finest, axis=0)
    return np.uint8(255 * (whole - whole.min()) / np.ptp(whole))


def bits_apart(a, b):
    return (int(a, 16) ^ int(b, 16)).bit_count()


def encoded(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encoded(image, 60),
        lambda image: np.asarray(Image.fromarray(image).resize((150, 120))),
        lambda image: np.uint8(image * 0.7 + 20),
    ],
    ids=["encoded", "scaled", "darker"],
)
def test_an_image_encoded_scaled_or_darkened_stays_near_itself(change):
    for number in range(20):
        image = picture(number)
        assert bits_apart(image_hash(image), image_hash(change(image))) <= NEAR


def test_other_images_and_mirrored_ones_are_far():
    hashes = [image_hash(picture(number)) for number in range(30)]
    assert min(bits_apart(a, b) for a in hashes for b in hashes if a is not b) > 50
    assert bits_apart(hashes[0], image_hash(picture(0)[:, ::-1])) > 50


def test_an_image_of_one_gray_has_no_hash_and_is_near_nothing():
    assert image_hash(np.full((30, 40), 7, np.uint8)) == ""
    assert near_duplicates(["", "ff" * 32], ["", "00" * 32]) == []


@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_near_duplicates_are_those_a_loop_finds(monkeypatch, block):
    monkeypatch.setattr(hashing, "_BLOCK", block)
    draw = np.random.default_rng(0)
    others = [draw.bytes(32).hex() for _ in range(40)]
    others[7] = ""
    some = []
    for i in range(30):  # flip 0 to 29 bits of one of them
        flips = sum(1 << int(bit) for bit in draw.choice(256, i, replace=False))
        some.append(f"{int(others[i] or '0', 16) ^ flips:064x}")
    expected = []
    for i, a in enumerate(some):
        distances = [bits_apart(a, b) if b else 999 for b in others]
        if min(distances) <= NEAR:
            expected.append((i, distances.index(min(distances))))
    assert near_duplicates(some, others) == expected
    assert len(expected) == NEAR  # 0 … 10 flips, without the blank one


def test_nothing_is_near_nothing():
    assert (
        near_duplicates([], []) == near_duplicates(["ab" * 32], []) == near_duplicates([], ["ab" * 32]) == []
    )
