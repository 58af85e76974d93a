"""Memory of `eclip data build` at 100,000 rows, and how quickly a finished part is taken over after a kill.

    python benchmarks/store_memory.py [--rows 100000]

The rows' images are hard links to 500 phantom-like images of 256 × 256 (so leaks are allowed); a tenth of the rows has
a scan path of 60 fixations. Memory is the sum of all processes' proportional set sizes, sampled ten times a second
(Linux).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from eclip.data.build import build
from eclip.data.sources.lab.table import Table

BASE = 500


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        source = _write(Path(folder), rows)
        out = Path(folder, "store")
        seconds, peak = _watched(Process(target=build, args=(source, out), kwargs={"allow_leaks": True}))
        print(
            f"{rows} rows: {seconds:.0f} s, {rows / seconds:.0f} rows/s, peak {peak / 2**30:.2f} GiB in all processes"
        )
        stopped = Process(target=build, args=(source, out), kwargs={"allow_leaks": True})
        stopped.start()
        time.sleep(seconds / 2)
        stopped.kill()
        stopped.join()
        done = len(list(Path(folder, ".store.building").glob("*.json")))
        again, _ = _watched(Process(target=build, args=(source, out), kwargs={"allow_leaks": True}))
        print(
            f"killed after {seconds / 2:.0f} s with {done} shards of 2,000; the next build took {again:.0f} s"
        )


def _write(root: Path, rows: int) -> Table:
    draw = np.random.default_rng(0)
    for i in range(BASE):
        coarse = Image.fromarray(draw.integers(0, 255, (32, 32), dtype=np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(root / f"base{i}.jpg", quality=95)
        x, y = draw.random((2, 60))
        start = np.arange(60) * 0.3
        pd.DataFrame({"start": start, "end": start + 0.25, "x_fraction": x, "y_fraction": y}).to_csv(
            root / f"gaze{i}.csv", index=False
        )
    for i in range(rows):
        os.link(root / f"base{i % BASE}.jpg", root / f"{i:06d}.jpg")
    words = [
        "No",
        "pleural",
        "effusion",
        "is",
        "seen",
        "and",
        "the",
        "cardiac",
        "silhouette",
        "is",
        "normal.",
    ]
    table = pd.DataFrame({
        "file": [f"{i:06d}.jpg" for i in range(rows)],
        "report": [f"Study {i}. " + " ".join(draw.permutation(words * 5)) for i in range(rows)],
        "gaze": [f"gaze{i % BASE}.csv" if i % 10 == 0 else "" for i in range(rows)],
    })  # fmt: skip
    table.to_csv(root / "table.csv", index=False)
    return Table(table=root / "table.csv", image="file", text="report", fixations="gaze")


def _watched(process: Process) -> tuple[float, int]:
    """Seconds and peak bytes of a process and its children."""
    start, peak = time.perf_counter(), 0
    process.start()
    while process.is_alive():
        pids = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
        peak = max(peak, sum(map(_bytes, [str(process.pid), *pids.stdout.split()])))
        time.sleep(0.1)
    if process.exitcode:
        sys.exit(f"the build ended with {process.exitcode}")
    return time.perf_counter() - start, peak


def _bytes(pid: str) -> int:
    try:
        lines = Path("/proc", pid, "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it is gone
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
