"""Tables for papers: an evaluation or a comparison as Markdown and as LaTeX (booktabs).

Rows are metrics, named as in `results.json`. In bold: the model that is better than each of the others once all
comparisons are corrected for their number; where none is, nothing is bold.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eclip.evaluation.statistics import NOISE, Metric
from eclip.evaluation.tasks import headlines

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\ldots{}",
}
Row = tuple[str, ...]  # a row of one cell is the heading of those below it
_BOLD = "\0"  # before a cell that is to be bold


def evaluation_markdown(metrics: Mapping[str, Mapping[str, Metric]]) -> str:
    """The headlines of one evaluation.

    Args:
        metrics: Task to metric name to value with interval.
    """
    return _markdown(*_evaluation(metrics))


def evaluation_latex(metrics: Mapping[str, Mapping[str, Metric]]) -> str:
    """The headlines of one evaluation.

    Args:
        metrics: Task to metric name to value with interval.
    """
    return _latex(*_evaluation(metrics))


def write_tables(folder: Path, metrics: Mapping[str, Mapping[str, Metric]]) -> None:
    """Write both, `results.md` and `results.tex`.

    Args:
        folder: Of the evaluation.
        metrics: Task to metric name to value with interval.
    """
    (folder / "results.md").write_text(evaluation_markdown(metrics), encoding="utf-8")
    (folder / "results.tex").write_text(evaluation_latex(metrics), encoding="utf-8")


def comparison_markdown(content: Mapping[str, Any]) -> str:
    """Each model's values, the differences to the first, and what the numbers mean.

    Args:
        content: What `compare` returns.
    """
    return f"{_markdown(*_values(content))}\n{_markdown(*_differences(content))}\n{remark(content['meta'])}\n"


def comparison_latex(content: Mapping[str, Any]) -> str:
    """Each model's values, the differences to the first, and what the numbers mean.

    Args:
        content: What `compare` returns.
    """
    words = "".join(f"% {line}\n" for line in remark(content["meta"]).splitlines())
    return f"{words}{_latex(*_values(content))}\n{_latex(*_differences(content))}"


def remark(meta: Mapping[str, Any]) -> str:
    """What the numbers of a comparison mean, in words.

    Args:
        meta: Of what `compare` returns.
    """
    runs, patients = meta["runs"], meta["patients"]
    once = [name for name, count in runs.items() if count == 1]
    lines = [
        f"{meta['n']} images of {patients} patients. 95 % intervals and p: paired bootstrap over patients, "
        f"{meta['bootstrap_replicates']:,} draws.",
        f"Adjusted p: Holm, {meta['comparisons']} comparisons. {NOISE.capitalize()}: the interval includes zero, or "
        "adjusted p is above 0.05.",
    ]
    if len(once) == len(runs):
        lines.append("One training run each: how much another seed would change is not in these numbers.")
    else:
        lines.append(
            "Training runs: "
            + ", ".join(f"{name} {count}" for name, count in runs.items())
            + "; their spread is in the intervals and p values"
            + (f", but not that of {', '.join(once)}." if once else ".")
        )
    return "\n".join(lines)


def _evaluation(metrics: Mapping[str, Mapping[str, Metric]]) -> tuple[Row, list[Row]]:
    rows: list[Row] = []
    for task, numbers in metrics.items():
        rows.append((task,))
        for name in headlines(numbers):
            m = numbers[name]
            chance = "" if m.chance is None else _number(m.chance)
            rows.append(
                (_name(name, m.direction), _number(m.value), _interval(m.low, m.high), chance, str(m.n))
            )
    return ("metric", "value", "95 % interval", "chance", "n"), rows


def _values(content: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """Metric by model."""
    models = content["values"]
    rows: list[Row] = []
    for task, numbers in models[content["baseline"]].items():
        rows.append((task,))
        for name, first in numbers.items():
            best = content["best"].get(task, {}).get(name)
            found = [(model, own.get(task, {}).get(name)) for model, own in models.items()]
            cells = [
                (_BOLD if model == best else "")
                + _number(m["value"])
                + f" ({_interval(m['low'], m['high'])})"
                if m
                else ""
                for model, m in found
            ]
            rows.append((_name(name, first["direction"]), *cells))
    return ("metric", *models), rows


def _differences(content: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    rows: list[Row] = []
    for model, tasks in content["models"].items():
        for task, numbers in tasks.items():
            compared = {name: d for name, d in numbers.items() if "p_adjusted" in d}
            if compared:
                rows.append((f"{model} against {content['baseline']}: {task}",))
            for name, d in compared.items():
                tests = [
                    p_words(d["p"]),
                    p_words(d["p_adjusted"]),
                    p_words(d["p_swapped"]) if "p_swapped" in d else "",
                ]
                interval = _interval(d["low"], d["high"], sign="+")
                label = _name(name, d["direction"])
                rows.append((label, _number(d["value"], "+"), interval, *tests, str(d["n"]), d["verdict"]))
    return ("metric", "difference", "95 % interval", "p", "adjusted p", "p, swapping", "n", "verdict"), rows


def _markdown(head: Row, rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [line(head), "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        if len(row) == 1:
            row = (f"**{row[0]}**", *[""] * (len(head) - 1))
        lines.append(line([f"**{cell[1:]}**" if cell.startswith(_BOLD) else cell for cell in row]))
    return "\n".join(lines) + "\n"


def _latex(head: Row, rows: Sequence[Row]) -> str:
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule", _latex_line(head), "\\midrule"]
    for row in rows:
        if len(row) == 1:
            lines.append(f"\\multicolumn{{{len(head)}}}{{l}}{{\\textit{{{_escaped(row[0])}}}}} \\\\")
        else:
            lines.append(_latex_line(row))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _latex_line(cells: Sequence[str]) -> str:
    made = [
        f"\\textbf{{{_escaped(cell[1:])}}}" if cell.startswith(_BOLD) else _escaped(cell) for cell in cells
    ]
    return " & ".join(made) + " \\\\"


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found[0]], text)


def _name(metric: str, direction: str) -> str:
    return f"{metric} {'↑' if direction == 'higher' else '↓'}"


def _number(value: float, sign: str = "") -> str:
    decimals = 1 if abs(value) >= 10 else 3
    return f"{value:{sign}.{decimals}f}".replace("-", "−")


def _interval(low: float, high: float, sign: str = "") -> str:
    return f"{_number(low, sign)} to {_number(high, sign)}"


def p_words(value: float) -> str:
    """A p value as it is printed."""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
