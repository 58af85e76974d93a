"""Images a second of `eclip data build` beside plain Pillow in one process, and rows a second of reading.

    python benchmarks/store_build.py [--images 300 --height 2544 --width 3056]

Plain: open, convert to gray, resize the shorter side to 256, save as JPEG, in one process. The images are
smooth noise at the size of MIMIC-CXR's originals.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from eclip.data.build import build
from eclip.data.images import decode, fit
from eclip.data.sources.lab.table import Table
from eclip.data.store import Store


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("images", 300), ("height", 2544), ("width", 3056)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = _write(root, arguments.images, arguments.height, arguments.width)
        plain = _rate(arguments.images, lambda: _plain(sorted(root.glob("*.jpg"))))
        print(f"plain Pillow, one process:  {plain:7.1f} images/s")
        for workers in sorted({1, os.cpu_count() or 1}):
            rate = _rate(arguments.images, lambda w=workers: build(source, root / "store", workers=w))
            print(f"eclip data build, {workers} processes: {rate:7.1f} images/s, {rate / plain:.1f} ×")
        _reading(root / "store")


def _write(root: Path, images: int, height: int, width: int) -> Table:
    rng = np.random.default_rng(0)
    for i in range(images):
        coarse = Image.fromarray(rng.integers(0, 255, (height // 16, width // 16), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.integers(-6, 7, (height, width), dtype=np.int16)
        Image.fromarray(np.uint8((smooth + grain).clip(0, 255))).save(root / f"{i:05d}.jpg", quality=95)
    rows = [{"file": f"{i:05d}.jpg", "report": f"Image number {i}."} for i in range(images)]
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
    return Table(table=root / "table.csv", image="file", text="report")


def _plain(files: list[Path]) -> None:
    for file in files:
        image = Image.open(file).convert("L")
        scale = 256 / min(image.size)
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
        )
        image.save(io.BytesIO(), "JPEG", quality=95)


def _reading(path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, len(Store.open(path)), 2000).tolist()
    store = Store.open(path)
    rate = _rate(len(rows), lambda: [store[row] for row in rows])
    print(f"store[i], random order:     {rate:7.0f} rows/s")
    rate = _rate(len(rows), lambda: [fit(decode(store[row].image), 128) for row in rows])
    print(f"store[i], decode, fit 128:  {rate:7.0f} rows/s, one process")


def _rate(count: int, work) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
