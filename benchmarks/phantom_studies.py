"""Phantom studies a second: image, report, tables, gaze for one study in ten; with one worker and with all.

python benchmarks/phantom_studies.py --studies 400
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from eclip.data.phantom.trees import write_phantom


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    alone = 0.0
    for workers in sorted({1, os.cpu_count() or 1}):
        with tempfile.TemporaryDirectory() as folder:
            start, busy = time.perf_counter(), time.process_time()
            write_phantom(Path(folder) / "phantom", studies=studies, annotated=studies // 10, workers=workers)
            seconds = time.perf_counter() - start
            alone = time.process_time() - busy if workers == 1 else alone
        print(f"{workers} worker(s): {studies / seconds:.1f} studies/s ({seconds:.1f} s for {studies})")
    # The first run's own processor time: what a core gives that nothing else runs on.
    print(f"a core's worth: {studies / alone:.1f} studies/s")


if __name__ == "__main__":
    main()
