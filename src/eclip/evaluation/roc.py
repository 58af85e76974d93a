"""ROC curves of zero-shot classification, for the page."""

import numpy as np
from markupsafe import Markup, escape
from sklearn.metrics import auc, roc_curve

from eclip.evaluation.figures import SERIES, Line, line_chart
from eclip.evaluation.results import Evaluation
from eclip.evaluation.zero_shot import LABEL, SCORE, class_names

_DIAGONAL = Line(name="chance", x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0]), style="sq validation")


def roc_curves(evaluation: Evaluation) -> Markup | None:
    """True positive against false positive rate of the six commonest classes, each against the rest.

    Returns:
        The chart and its legend with areas; None where no class has both positives and negatives.
    """
    table = evaluation.task("zero-shot")
    known = {}
    for name in class_names(table):
        label_N, score_N = table[LABEL + name].to_numpy(float), table[SCORE + name].to_numpy(float)
        told_N = ~np.isnan(label_N)
        if 0 < label_N[told_N].sum() < told_N.sum():
            known[name] = label_N[told_N], score_N[told_N]
    if not known:
        return None
    common = sorted(known, key=lambda name: -known[name][0].sum())[:SERIES]
    lines, legend = [], []
    for i, name in enumerate(common):
        false_T, true_T, _ = roc_curve(*known[name])
        area = auc(false_T, true_T)
        lines.append(Line(name=f"{name} (area {area:.3f})", x=false_T, y=true_T, style=f"s{i}"))
        legend.append(
            f'<li><svg class="key" viewBox="0 0 24 12" aria-hidden="true"><line class="line s{i}" x1="1" x2="23" '
            f'y1="6" y2="6"/></svg>{escape(name)} {area:.3f}</li>'
        )
    chart = line_chart(
        [*lines, _DIAGONAL],
        title="True positive rate by false positive rate",
        x_label="false positive rate",
        x_range=(0, 1),
        y_range=(0, 1),
    )
    return chart + Markup(f'<ul class="legend">{"".join(legend)}</ul>')  # noqa: S704 (names are escaped above)
