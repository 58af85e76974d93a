"""The folder of an evaluation, and how it is read back.

results.json         {task: {metric: {value, low, high, n, direction, chance}}, "meta": {…}}
per_sample.parquet   one row an image: image_id, patient_id, TASK/COLUMN
embeddings.parquet   one row an image: ids, text, labels, image and text embedding
results.md, .tex     a table of what stands first
index.html           the page
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from eclip.errors import InputError
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Metric

RESULTS, PER_SAMPLE, EMBEDDINGS, PAGE = (
    "results.json",
    "per_sample.parquet",
    "embeddings.parquet",
    "index.html",
)
_DECIMALS = 6


@dataclass(frozen=True)
class Evaluation:
    """An evaluation folder.

    Attributes:
        folder: Where it is.
        metrics: Task to metric name to value with interval.
        meta: Seed, split, fingerprints, command.
    """

    folder: Path
    metrics: dict[str, dict[str, Metric]]
    meta: dict[str, Any]

    @classmethod
    def read(cls, folder: Path | str) -> "Evaluation":
        """Open an evaluation folder.

        Raises:
            InputError: Not one, or a file of it is missing or broken.
        """
        folder = Path(folder)
        path = folder / RESULTS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            meta = content.pop("meta")
            metrics = {
                task: {name: Metric(**m) for name, m in numbers.items()} for task, numbers in content.items()
            }
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{folder}: not an evaluation (no {RESULTS}); `eclip evaluate --out` makes one"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); run `eclip evaluate` again") from error
        return cls(folder, metrics, meta)

    @property
    def name(self) -> str:
        """What to call it in tables: its folder, or the run that a folder named `evaluation` belongs to."""
        folder = self.folder.resolve()
        return folder.parent.name if folder.name == "evaluation" else folder.name

    @cached_property
    def per_sample(self) -> pd.DataFrame:
        """One row an image: `image_id`, `patient_id`, `TASK/COLUMN`."""
        path = self.folder / PER_SAMPLE
        try:
            return pd.read_parquet(path)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: missing or broken; run `eclip evaluate` again") from error

    @cached_property
    def embeddings(self) -> Embeddings:
        """The embeddings that were judged."""
        return Embeddings.read(self.folder / EMBEDDINGS)

    def task(self, name: str) -> pd.DataFrame:
        """The columns of one task, by their own names."""
        prefix = f"{name}/"
        columns = [column for column in self.per_sample.columns if column.startswith(prefix)]
        return self.per_sample[columns].rename(columns=lambda column: column.removeprefix(prefix))


def write_results(
    out: Path,
    metrics: Mapping[str, Mapping[str, Metric]],
    *,
    meta: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    embeddings: Embeddings,
) -> dict[str, Any]:
    """Write an evaluation folder, but for its page; same input, same bytes of `results.json`.

    Args:
        out: Folder.
        metrics: Task to metric name to value with interval.
        meta: What the numbers come from.
        tables: Task to its per-sample table, in the order of `embeddings`.
        embeddings: What was judged.

    Returns:
        What stands in `results.json`.
    """
    results = {
        task: {name: rounded(asdict(m)) for name, m in numbers.items()} for task, numbers in metrics.items()
    }
    results["meta"] = dict(meta)
    ids = pd.DataFrame({"image_id": embeddings.image_id, "patient_id": embeddings.patient_id})
    columns = [table.add_prefix(f"{task}/") for task, table in tables.items()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        pd.concat([ids, *columns], axis=1).to_parquet(out / PER_SAMPLE, index=False)
        embeddings.write(out / EMBEDDINGS)
        write_json(out / RESULTS, results)  # last: it marks a whole folder
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    return results


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as every program reads it: no NaN, a newline at the end."""
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


def rounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's fields for JSON: six decimals, and without those that are not known."""
    return {
        name: round(value, _DECIMALS) if isinstance(value, float) else value
        for name, value in fields.items()
        if value is not None
    }
