"""What is kept of a run: a Parquet file of its numbers, 28 KB.

Those that the page shows come with what becomes of them when patients are drawn, so that runs of different days and
machines can be compared as pairs, under the same draws, when their models are long gone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from grid import Grid, Run, settings

from eclip.evaluation.bootstrap import Replicates

DRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run that is done.

    Attributes:
        run: Which one.
        seconds: That training took.
        machine: What it was done on, and with.
        metrics: TASK/METRIC to value.
        drawn: Some of these, under draws of patients.
    """

    run: Run
    seconds: float
    machine: str
    metrics: Mapping[str, float]
    drawn: Mapping[str, Replicates]

    def write(self, folder: Path, grid: Grid) -> None:
        """Keep it in a folder of records."""
        columns = {"metric": list(self.metrics), "value": list(self.metrics.values())}
        for name, read in _OF_DRAWN.items():
            columns[name] = [read(self.drawn[key]) if key in self.drawn else None for key in self.metrics]
        about = asdict(self.run) | {"seconds": round(self.seconds, 1), "machine": self.machine}
        about["settings"] = settings(self.run, grid)
        table = pa.table(columns).replace_schema_metadata({"run": json.dumps(about)})
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{self.run.name}.part"
        pq.write_table(table, part, compression="zstd")
        part.rename(path_of(self.run, folder))


_OF_DRAWN = {
    "draws_minus_value": lambda number: _from(number.value, number.draws_B[:DRAWS], digits=4),
    "left_out_minus_value": lambda number: _from(number.value, number.left_out_G, digits=6),
    "patients": lambda number: number.patients,
    "n": lambda number: number.n,
    "direction": lambda number: number.direction,
    "chance": lambda number: number.chance,
}


def _from(value: float, others: np.ndarray, *, digits: int) -> np.ndarray:
    """How far they are from the value, to a hundredth of their spread: it packs well."""
    return (others - value).round(digits).astype(np.float16)


def path_of(run: Run, folder: Path) -> Path:
    """Where a run is kept."""
    return folder / f"{run.name}.parquet"


def read(run: Run, grid: Grid, folder: Path) -> Record | None:
    """The record of a run that was done with the present settings; None where there is none."""
    path = path_of(run, folder)
    if not path.is_file():
        return None
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"run"])
    if not _as_they_were(about["settings"], json.loads(json.dumps(settings(run, grid)))):
        return None
    rows = table.to_pylist()
    return Record(
        run=run,
        seconds=about["seconds"],
        machine=about.get("machine", "CPU, torch 2.13.0+cpu"),
        metrics={row["metric"]: row["value"] for row in rows},
        drawn={
            row["metric"]: Replicates(
                value=row["value"],
                draws_B=row["value"] + np.array(row["draws_minus_value"], np.float64),
                left_out_G=row["value"] + np.array(row["left_out_minus_value"], np.float64),
                **{name: row[name] for name in ("patients", "n", "direction", "chance")},
            )
            for row in rows
            if row["draws_minus_value"] is not None
        },
    )


def _as_they_were(recorded: Any, present: Any) -> bool:
    """Whether all settings of a record stand today; those that came later are taken to do nothing unless set."""
    if isinstance(recorded, dict) and isinstance(present, dict):
        return all(key in present and _as_they_were(old, present[key]) for key, old in recorded.items())
    return bool(recorded == present)
