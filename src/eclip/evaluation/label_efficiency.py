"""How a linear probe gets better with more labelled training data, for the page."""

import numpy as np
from markupsafe import Markup

from eclip.evaluation.figures import Line, line_chart
from eclip.evaluation.linear_probe import FRACTIONS
from eclip.evaluation.results import Evaluation


def label_efficiency(evaluation: Evaluation) -> Markup | None:
    """Accuracy and AUROC by the share of the training patients, with their 95 % intervals; None with fewer than two."""
    numbers = evaluation.metrics["linear-probe"]
    lines = []
    for i, metric in enumerate(("accuracy", "auroc")):
        known = [f for f in FRACTIONS if f"{metric}@{f:.0%}" in numbers]
        if len(known) < 2:
            continue
        found = [numbers[f"{metric}@{f:.0%}"] for f in known]
        lines.append(
            Line(
                name=metric,
                x=np.log10([100 * f for f in known]),
                y=np.array([m.value for m in found]),
                style=f"s{i}",
                band_2n=np.array([[m.low for m in found], [m.high for m in found]]),
            )
        )
    if not lines:
        return None
    title = "Accuracy and AUROC with their intervals, by labelled patients"
    chart = line_chart(
        lines,
        title=title,
        x_label="labelled training patients",
        x_names={float(np.log10(100 * f)): f"{f:.0%}" for f in FRACTIONS},
    )
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 24 12" aria-hidden="true"><line class="line s{i}" x1="1" x2="23" y1="6" '
        f'y2="6"/></svg>{name}</li>'
        for i, name in enumerate(("accuracy", "AUROC"))
    )
    return chart + Markup(f'<ul class="legend">{keys}</ul>')  # noqa: S704 (nothing of a user's)
