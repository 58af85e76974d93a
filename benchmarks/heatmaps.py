"""Heatmaps a second: the batched renderer beside the usual loop that draws points and filters the image.

    .venv/bin/python benchmarks/heatmaps.py

Both start from the same scan paths of 60 fixations and use the same number of threads (the loop spreads its
scan paths over them; SciPy's filter is outside Python's lock). The loop is timed at the size of the heatmap and
at that of an original radiograph, which is how such maps are usually made.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from eclip.annotations import Fixation, render
from eclip.annotations.gaze_batch import GazeBatch
from eclip.annotations.heatmap import DEFAULT_SIGMA

FIXATIONS = 60
ORIGINAL = (3056, 2544)
ScanPath = list[Fixation]


def scan_path(rng: np.random.Generator) -> ScanPath:
    start = np.cumsum(rng.uniform(0.1, 0.5, FIXATIONS + 1))
    return [Fixation(*rng.random(2), *start[i : i + 2]) for i in range(FIXATIONS)]


def draw_and_filter(path: ScanPath, height: int, width: int) -> np.ndarray:
    """The usual way."""
    points = np.zeros((height, width), np.float32)
    for fixation in path:
        points[int(fixation.y * height), int(fixation.x * width)] += fixation.duration
    heatmap = gaussian_filter(points, DEFAULT_SIGMA * width)
    return heatmap / heatmap.max()


def maps_a_second(draw: Callable[[], object], count: int, *, seconds: float = 3.0) -> float:
    """The best of all runs in some seconds: the one that other work on the machine disturbed least."""
    best, end = math.inf, time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        draw()
        best = min(best, time.perf_counter() - start)
    return count / best


def loop(paths: Sequence[ScanPath], shape: tuple[int, int], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        return maps_a_second(
            lambda: list(pool.map(lambda path: draw_and_filter(path, *shape), paths)), len(paths)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=64, help="scan paths in a batch")
    parser.add_argument("--size", type=int, default=224, help="side of the heatmaps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    threads, size = arguments.threads, arguments.size
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    paths = [scan_path(rng) for _ in range(arguments.maps)]
    gaze = GazeBatch.pack(paths)
    turn = torch.tensor([[0.9, 0.1, 0.0], [-0.1, 0.9, 0.1], [0, 0, 1]]).expand(len(paths), 3, 3)

    rates = {
        f"loop, {size} × {size}": loop(paths[:32], (size, size), threads),
        f"loop, {ORIGINAL[0]} × {ORIGINAL[1]}": loop(paths[:threads], ORIGINAL, threads),
        "render, one at a time": maps_a_second(
            lambda: [render(path, size, size) for path in paths], len(paths)
        ),
        "GazeBatch.render": maps_a_second(lambda: gaze.render(size, size), len(paths)),
        "pack, transform, render": maps_a_second(
            lambda: GazeBatch.pack(paths).transform(turn).render(size, size), len(paths)
        ),
    }
    small, large, *_ = rates.values()
    print(f"{FIXATIONS} fixations, {threads} threads, batches of {len(paths)}")
    for name, rate in rates.items():
        print(
            f"{name:26}{rate:10.2f} maps/s {rate / small:10.2f} × loop {rate / large:10.1f} × loop at full size"
        )


if __name__ == "__main__":
    main()
