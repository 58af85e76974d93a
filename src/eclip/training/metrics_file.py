"""The run's numbers as one CSV file that a resumed run continues."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only


class MetricsFile(Logger):
    """Writes `metrics.csv`: a row for each logged step, a column for each value, blank where it was not measured.

    Args:
        path: The file; rows of an earlier session are kept up to `first_step`.
        first_step: The step this session starts with; later rows of the file are about to be measured again.
    """

    def __init__(self, path: Path, *, first_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, str]] = {}
        if first_step and path.is_file():
            with path.open(newline="") as file:
                rows = {int(row["step"]): row for row in csv.DictReader(file)}
            self.rows = {step: row for step, row in rows.items() if step < first_step}

    @property
    def name(self) -> str:
        """Lightning asks for one."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for one."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run keeps its configuration in `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Remember a step's values; several calls for one step make one row."""
        row = self.rows.setdefault(int(step or 0), {})
        row |= {name: repr(float(value)) for name, value in metrics.items() if name != "epoch"}

    @rank_zero_only
    def save(self) -> None:
        """Write the file anew, so that it is whole at any moment."""
        names = sorted({name for row in self.rows.values() for name in row} - {"step"})
        part = self.path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", *names])
            writer.writeheader()
            writer.writerows({**row, "step": step} for step, row in sorted(self.rows.items()))
        part.replace(self.path)
