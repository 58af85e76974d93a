"""Reliability curves of zero-shot classification, for the page: what is called likely, and how often it is so.

Array names: N images.
"""

import numpy as np
from markupsafe import Markup, escape

from eclip.evaluation.classification import calibration_bins
from eclip.evaluation.figures import SERIES, Line, line_chart
from eclip.evaluation.results import Evaluation
from eclip.evaluation.zero_shot import LABEL, PROBABILITY, class_names

_DIAGONAL = Line(
    name="as it should be", x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0]), style="sq validation"
)


def reliability_curve(evaluation: Evaluation) -> Markup | None:
    """Share of images that are right against their mean probability, in the bins of the calibration error.

    One curve of the decision among classes; where the prompts are pairs, one each for the six commonest classes.

    Returns:
        The chart and its legend; None without probabilities or known labels.
    """
    table = evaluation.task("zero-shot")
    known: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if "probability" in table:
        right_N = (table["target"] == table["prediction"]).to_numpy(float)
        known["decision"] = table["probability"].to_numpy(float), right_N
    for name in class_names(table):
        if PROBABILITY + name in table:
            label_N = table[LABEL + name].to_numpy(float)
            probability_N = table[PROBABILITY + name].to_numpy(float)
            known[name] = np.where(np.isnan(label_N), np.nan, probability_N), label_N
    known = {name: pair for name, pair in known.items() if not np.isnan(pair[0]).all()}
    if not known:
        return None
    common = sorted(known, key=lambda name: -np.nansum(known[name][1]))[:SERIES]
    lines, legend = [], []
    for i, name in enumerate(common):
        confidence_N, right_N = known[name]
        bin_N = calibration_bins(confidence_N)
        bins = [bin_N == b for b in np.unique(bin_N[bin_N >= 0])]
        x, y = (np.array([values[held].mean() for held in bins]) for values in (confidence_N, right_N))
        lines.append(Line(name=name, x=x, y=y, style=f"s{i}"))
        legend.append(
            f'<li><svg class="key" viewBox="0 0 24 12" aria-hidden="true"><line class="line s{i}" x1="1" x2="23" '
            f'y1="6" y2="6"/></svg>{escape(name)}</li>'
        )
    chart = line_chart(
        [*lines, _DIAGONAL],
        title="Share that is right by probability",
        x_label="probability",
        x_range=(0, 1),
        y_range=(0, 1),
    )
    return chart + Markup(f'<ul class="legend">{"".join(legend)}</ul>')  # noqa: S704 (names are escaped above)
