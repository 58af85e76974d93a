"""Does a model serve everybody alike? Its decisions and its retrieval by sex, age and view.

Array names: N images.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from eclip.errors import InputError
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.figures import interval_chart
from eclip.evaluation.results import Evaluation
from eclip.evaluation.statistics import Statistic, mean
from eclip.evaluation.wording import metric_label

FEWEST = 20
"""Patients that a group needs to be reported."""
AGES = {"below 40": (0, 40), "40 to 59": (40, 60), "60 to 79": (60, 80), "80 and above": (80, 1000)}
QUALITIES = ("accuracy", "image_to_text_recall@10")


def per_sample(
    qualities: Mapping[str, np.ndarray],
    *,
    sex: Sequence[str],
    age: Sequence[int | None],
    view: Sequence[str],
) -> pd.DataFrame:
    """Values and groups of each image.

    Args:
        qualities: Name out of `QUALITIES` to values (N,), NaN where an image takes no part.
        sex: As the store has it; "" where it is not known.
        age: Years, or None.
        view: As the store has it.

    Returns:
        The qualities, and `group/sex`, `group/age`, `group/view`, None where it is not known.

    Raises:
        InputError: The store knows none of the three, or all images are alike in each.
    """
    bands = [
        next((name for name, (low, high) in AGES.items() if years is not None and low <= years < high), None)
        for years in age
    ]
    groups = {"sex": [s or None for s in sex], "age": bands, "view": [v or None for v in view]}
    if all(len({value for value in values if value}) < 2 for values in groups.values()):
        raise InputError("subgroups: the store tells no sex, age or view by which images differ")
    columns = {f"group/{name}": np.array(values, dtype=object) for name, values in groups.items()}
    return pd.DataFrame(dict(qualities) | columns)


def statistics(per_sample: pd.DataFrame, embeddings: Embeddings) -> dict[str, Statistic]:
    """`QUALITY/ATTRIBUTE GROUP` for groups of 20 patients or more, and `QUALITY_gap_ATTRIBUTE`, highest minus lowest.

    A gap is never below 0, and chance alone makes one: the more groups and the smaller, the larger.
    """
    patients = np.array(embeddings.patient_id, dtype=object)
    numbers: dict[str, Statistic] = {}
    for quality in QUALITIES:
        if quality not in per_sample:
            continue
        value_N = per_sample[quality].to_numpy(float)
        for attribute in ("sex", "age", "view"):
            group_N = per_sample[f"group/{attribute}"].to_numpy(object)
            found: dict[str, Statistic] = {}
            for name in sorted({g for g in group_N if isinstance(g, str)}):
                own_N = (group_N == name) & ~np.isnan(value_N)
                if len(set(patients[own_N])) >= FEWEST:
                    found[name] = mean(np.where(own_N, value_N, np.nan))
            if len(found) > 1:
                numbers[f"{quality}_gap_{attribute}"] = _gap(list(found.values()))
                numbers |= {f"{quality}/{attribute} {name}": one for name, one in found.items()}
    return numbers


def groups_drawn(quality: str) -> Callable[[Evaluation], Markup | None]:
    """What draws one quality of each group for the page; nothing where no group is large enough."""

    def draw(evaluation: Evaluation) -> Markup | None:
        found = evaluation.metrics["subgroups"]
        rows = [(n.partition("/")[2], m) for n, m in found.items() if n.startswith(f"{quality}/")]
        return interval_chart(rows, title=metric_label(quality)) if rows else None

    return draw


def _gap(groups: Sequence[Statistic]) -> Statistic:
    def of(weights_BN: np.ndarray) -> np.ndarray:
        values_GB = np.stack([group.of(weights_BN) for group in groups])
        return values_GB.max(0) - values_GB.min(0)  # NaN where a draw leaves a group out

    return Statistic(of=of, n=sum(group.n for group in groups), direction="lower")
