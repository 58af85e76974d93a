"""Does gaze help, and which way of using it? A study on the phantom, where the truth is known.

    python benchmarks/phantom_study --part main [--jobs 2] [--seeds 3] [--fast]

Trains every arm on several seeds under one recipe, judges all on the same test studies, and writes `PART.parquet` (a
row a run and metric), `PART.html` and `PART.md`. Runs that are recorded are not done again: started once more, it goes
on where it was, and `--jobs 0` writes the pages of what there is. The records of our runs are in `results/`; to do
everything anew, give another folder to `--results`.
"""

import argparse
import sys
from pathlib import Path

from grid import FAST, FULL, PARTS, plan
from page import write
from record import read
from runs import do_all


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/phantom-study"), help="phantom, stores, pages")
    parser.add_argument("--results", type=Path, help="records of runs")
    parser.add_argument("--part", choices=PARTS, default="main")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time; 0 for none")
    parser.add_argument("--seeds", type=int, default=99, help="the first so many seeds of the part")
    parser.add_argument(
        "--fast", action="store_true", help="small enough for a test; its numbers say nothing"
    )
    arguments = parser.parse_args()
    grid = FAST if arguments.fast else FULL
    results = arguments.results or (
        arguments.out / "results" if arguments.fast else Path(__file__).with_name("results")
    )
    runs = plan(arguments.part)
    seeds = list(dict.fromkeys(run.seed for run in runs))[: arguments.seeds]
    runs = [run for run in runs if run.seed in seeds]
    if arguments.jobs:
        do_all(runs, grid, out=arguments.out, results=results, jobs=arguments.jobs)
    records = [record for run in runs if (record := read(run, grid, results)) is not None]
    if not records:
        sys.exit(f"{results}: no run of part {arguments.part} is recorded; leave out --jobs 0 to do them")
    write(records, grid, out=arguments.out, part=arguments.part)
    print(f"{len(records)} of {len(runs)} runs: {arguments.out / f'{arguments.part}.html'}")


if __name__ == "__main__":
    main()
