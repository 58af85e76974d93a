"""Phantom radiographs a second of one core's time: findings, anatomy, drawing, JPEG.

OMP_NUM_THREADS=1 .venv/bin/python benchmarks/phantom_images.py [IMAGES]
"""

import io
import sys
import time

import numpy as np
from PIL import Image

from eclip.data.phantom.anatomy import sample_anatomy
from eclip.data.phantom.findings import sample_findings
from eclip.data.phantom.image import draw_chest

CHUNKS = 5


def draw_and_encode(number: int) -> int:
    """Bytes of the JPEG of one study."""
    rng = np.random.default_rng([0, number])
    chest = draw_chest(sample_findings(rng), sample_anatomy(rng), rng)
    file = io.BytesIO()
    Image.fromarray(chest.image_HW).save(file, "JPEG", quality=90)
    return file.tell()


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    draw_and_encode(0)  # the noise sheets are made once
    seconds, size = [], 0
    for chunk in np.array_split(np.arange(images), CHUNKS):
        start = time.process_time()
        size += sum(draw_and_encode(int(number)) for number in chunk)
        seconds.append((time.process_time() - start) / len(chunk))
    mean = sum(seconds) / CHUNKS
    print(f"{1 / mean:.0f} images/s, best chunk {1 / min(seconds):.0f}; {size // images} bytes each")


if __name__ == "__main__":
    main()
