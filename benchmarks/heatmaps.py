"""Heatmaps a second: the batched renderer beside the loop that people write.

    python benchmarks/heatmaps.py

The loop draws each fixation's duration as a point and calls `scipy.ndimage.gaussian_filter` with the same σ, at the
size that is wanted, and at the size of the original image, which is how such maps are usually made. Both have the same
threads; the same 60 fixations a map.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from eclip.annotations import Fixation, render
from eclip.annotations.gaze_batch import GazeBatch

MAPS, FIXATIONS, SIZE, ORIGINAL = 256, 60, 224, (3056, 2544)


def main() -> None:
    draw = np.random.default_rng(0)
    paths = [
        [Fixation(*draw.uniform(0.05, 0.95, 2), start=0.0, end=float(draw.uniform(0.1, 0.6))) for _ in range(FIXATIONS)]
        for _ in range(MAPS)
    ]
    gaze = GazeBatch.pack(paths)
    same_size = per_second(lambda: [draw_and_filter(path, SIZE, SIZE) for path in paths[:64]], maps=64)
    full_size = per_second(lambda: [draw_and_filter(path, *ORIGINAL) for path in paths[:2]], maps=2)
    one = per_second(lambda: [render(path, SIZE, SIZE) for path in paths[:64]], maps=64)
    packed = per_second(lambda: GazeBatch.pack(paths).render(SIZE, SIZE), maps=MAPS)
    batched = per_second(lambda: gaze.render(SIZE, SIZE), maps=MAPS)
    print(f"{FIXATIONS} fixations, {SIZE} x {SIZE}, {torch.get_num_threads()} threads, median of 5 runs")
    for name, rate in [
        ("GazeBatch.render", batched),
        ("GazeBatch.pack + render", packed),
        ("render, one at a time", one),
        ("points + gaussian_filter", same_size),
        (f"points + gaussian_filter at {ORIGINAL[0]} x {ORIGINAL[1]}", full_size),
    ]:
        print(f"{name:45} {rate:9.1f} maps/s   GazeBatch.render is {batched / rate:7.1f} x")


def draw_and_filter(path: list[Fixation], height: int, width: int) -> np.ndarray:
    points = np.zeros((height, width), np.float32)
    for fixation in path:
        points[int(fixation.y * height), int(fixation.x * width)] += fixation.duration
    filtered = gaussian_filter(points, 0.05 * width)
    return filtered / filtered.max()


def per_second(work: Callable[[], object], *, maps: int, runs: int = 5) -> float:
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return maps / sorted(seconds)[runs // 2]


if __name__ == "__main__":
    main()
