"""Does gaze help, and which way of using it? A study on the phantom, where the truth is known.

    python benchmarks/phantom_study --out runs/phantom-study --part main [--jobs 2] [--fast]

Trains every arm on several seeds under one recipe, judges all on the same test studies, and writes `PART.parquet` (a
row a run and metric), `PART.html` and `PART.md`. Started again, it goes on where it was.
"""

import argparse
from pathlib import Path

from grid import FAST, FULL, PARTS, plan
from page import write
from runs import do_all


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/phantom-study"))
    parser.add_argument("--part", choices=PARTS, default="main")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=99, help="the first so many seeds of the part")
    parser.add_argument(
        "--fast", action="store_true", help="small enough for a test; its numbers say nothing"
    )
    arguments = parser.parse_args()
    grid = FAST if arguments.fast else FULL
    runs = plan(arguments.part)
    seeds = list(dict.fromkeys(run.seed for run in runs))[: arguments.seeds]
    runs = [run for run in runs if run.seed in seeds]
    do_all(arguments.out, runs, grid, jobs=arguments.jobs)
    write(arguments.out, runs, grid, part=arguments.part)


if __name__ == "__main__":
    main()
