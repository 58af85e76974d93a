"""How far apart the perceptual hashes of different images are, and of one image in different forms.

    python benchmarks/image_hash.py [FOLDER of images, searched below; default: phantom chests drawn for it]

A threshold for near-duplicates lies well above the second and well below the first.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from eclip.data.image_hash import NEAR, image_hash, near_duplicates
from eclip.data.images import decode, shrink
from eclip.data.phantom.trees import write_phantom

FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 60": lambda image: _encoded(image, 60),
    "half the size": lambda image: shrink(image, min(image.shape) // 2),
    "gamma 1.2": lambda image: np.uint8(255 * (image / 255) ** 1.2),
    "histogram equalised": lambda image: _equalised(image),
    "2 % cut off two sides": lambda image: image[image.shape[0] // 50 :, image.shape[1] // 50 :],
    "turned by 2°": lambda image: np.asarray(Image.fromarray(image).rotate(2, Image.Resampling.BICUBIC)),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made, "phantom")
        if len(sys.argv) == 1:
            write_phantom(folder, studies=400, annotated=0)
        images = [decode(path) for path in sorted(folder.rglob("*.jpg"))]
    hashes = [image_hash(shrink(image, 256)) for image in images]
    distances = np.array([_apart(a, b) for i, a in enumerate(hashes) for b in hashes[:i]])
    print(
        f"{len(images)} images, {len(distances)} pairs; near-duplicates differ in at most {NEAR} of 256 bits"
    )
    print(
        f"different images: mean {distances.mean():.0f}, sd {distances.std():.1f}, closest {np.sort(distances)[:5]}"
    )
    for name, change in FORMS.items():
        apart = [
            _apart(h, image_hash(shrink(change(image), 256))) for h, image in zip(hashes, images, strict=True)
        ]
        print(
            f"{name:22} median {np.median(apart):3.0f}, 95 % {np.percentile(apart, 95):3.0f}, most {max(apart):3.0f}"
        )
    draw = np.random.default_rng(0)
    some, others = ([draw.bytes(32).hex() for _ in range(count)] for count in (3_000, 100_000))
    start = time.perf_counter()
    near_duplicates(some, others)
    print(f"search: {3e8 / (time.perf_counter() - start):.2e} pairs/s")


def _apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def _encoded(image_HW: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image_HW).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _equalised(image_HW: np.ndarray) -> np.ndarray:
    share = np.cumsum(np.bincount(image_HW.ravel(), minlength=256)) / image_HW.size
    return np.uint8(255 * share)[image_HW]


if __name__ == "__main__":
    main()
