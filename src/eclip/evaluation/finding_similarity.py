"""How near images of one finding lie to those of another, as in the paper's figure; for the page."""

import numpy as np
from markupsafe import Markup, escape

from eclip.evaluation.classification import targets
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.results import Evaluation

FEWEST = 5
"""Images that a finding needs to have a row."""


def finding_similarities(embeddings: Embeddings) -> tuple[list[str], np.ndarray]:
    """Findings, and the mean cosine (F, F) between two different images of each and of each other one.

    An image counts for its only finding; "No Finding" is one.
    """
    names = list(embeddings.label_names)
    if not names:
        return [], np.empty((0, 0))
    _, target_N = targets(embeddings, names)
    kept = [name for name in names if np.count_nonzero(target_N == name) >= FEWEST]
    sums_FD = np.stack(
        [embeddings.image_ND[target_N == name].sum(0, dtype=np.float64) for name in kept] or [np.empty(0)]
    )
    count_F = np.array([np.count_nonzero(target_N == name) for name in kept])
    if not kept:
        return [], np.empty((0, 0))
    total_FF, pairs_FF = sums_FD @ sums_FD.T, np.outer(count_F, count_F).astype(np.float64)
    own = np.diag_indices(len(kept))
    total_FF[own] -= count_F  # an image with itself has a cosine of 1
    pairs_FF[own] -= count_F
    return kept, total_FF / pairs_FF


def similarity_table(evaluation: Evaluation) -> Markup | None:
    """The table, coloured from its lowest to its highest number; None with fewer than two findings."""
    names, mean_FF = finding_similarities(evaluation.embeddings)
    if len(names) < 2:
        return None
    low = float(mean_FF.min())
    span = max(float(mean_FF.max()) - low, 1e-12) / 0.85  # text stays readable
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = []
    for name, values in zip(names, mean_FF, strict=True):
        cells = "".join(
            f'<td style="background:rgba(var(--hit),{(value - low) / span:.2f})">{value:.2f}</td>'
            for value in values
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return Markup(  # noqa: S704 (names are escaped above)
        f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )
