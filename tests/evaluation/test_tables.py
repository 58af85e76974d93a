"""Tables as they should stand in a paper, letter by letter."""

from eclip.evaluation.statistics import Metric
from eclip.evaluation.tables import (
    comparison_latex,
    comparison_markdown,
    evaluation_latex,
    evaluation_markdown,
    write_tables,
)


def metric(value, *, chance=None, direction="higher"):
    return Metric(value=value, low=value - 0.1, high=value + 0.1, n=40, direction=direction, chance=chance)


METRICS = {
    "zero-shot": {"accuracy": metric(0.5, chance=0.2), "auroc/Edema": metric(0.7)},
    "quality": {"uniformity_image": metric(-1.25, direction="lower")},
}
D = {"value": -0.02, "low": -0.05, "high": 0.01, "p": 0.2, "n": 40, "direction": "higher"}
CONTENT = {
    "baseline": "clip",
    "models": {
        "my_m|x": {
            "zero-shot": {
                "accuracy": D | {"p_adjusted": 0.4, "p_swapped": 0.0005, "verdict": "within noise"},
                "auroc/Edema": D | {"verdict": "within noise"},
            },
            "retrieval": {"rank": D | {"p_adjusted": 0.0, "direction": "lower", "verdict": "better"}},
        }
    },
    "values": {
        "clip": {
            "zero-shot": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "direction": "higher"}},
            "retrieval": {"rank": {"value": 12.25, "low": 9.0, "high": 14.0, "direction": "lower"}},
        },
        "my_m|x": {
            "retrieval": {"rank": {"value": 12.23, "low": 9.0, "high": 14.0, "direction": "lower"}},
        },
    },
    "best": {"retrieval": {"rank": "my_m|x"}},
    "meta": {
        "n": 40,
        "patients": 30,
        "bootstrap_replicates": 2000,
        "comparisons": 2,
        "runs": {"clip": 1, "my_m|x": 1},
    },
}


def test_markdown_of_an_evaluation():
    assert evaluation_markdown(METRICS) == (
        "| metric | value | 95 % interval | chance | n |\n"
        "|---|---:|---:|---:|---:|\n"
        "| **zero-shot** |  |  |  |  |\n"
        "| accuracy ↑ | 0.500 | 0.400 to 0.600 | 0.200 | 40 |\n"
        "| **quality** |  |  |  |  |\n"
        "| uniformity_image ↓ | −1.250 | −1.350 to −1.150 |  | 40 |\n"
    )


def test_latex_of_an_evaluation(tmp_path):
    expected = r"""\begin{tabular}{lrrrr}
\toprule
metric & value & 95 \% interval & chance & n \\
\midrule
\multicolumn{5}{l}{\textit{zero-shot}} \\
accuracy $\uparrow$ & 0.500 & 0.400 to 0.600 & 0.200 & 40 \\
\multicolumn{5}{l}{\textit{quality}} \\
uniformity\_image $\downarrow$ & $-$1.250 & $-$1.350 to $-$1.150 &  & 40 \\
\bottomrule
\end{tabular}
"""
    assert evaluation_latex(METRICS) == expected
    write_tables(tmp_path, METRICS)
    assert (tmp_path / "results.tex").read_text() == expected
    assert (tmp_path / "results.md").read_text() == evaluation_markdown(METRICS)


def test_markdown_of_a_comparison_is_bold_only_where_one_is_better():
    lines = comparison_markdown(CONTENT).splitlines()
    assert lines[:6] == [
        "| metric | clip | my_m\\|x |",
        "|---|---:|---:|",
        "| **zero-shot** |  |  |",
        "| accuracy ↑ | 0.500 (0.400 to 0.600) |  |",
        "| **retrieval** |  |  |",
        "| rank ↓ | 12.2 (9.000 to 14.0) | **12.2 (9.000 to 14.0)** |",
    ]
    assert "| accuracy ↑ | −0.020 | −0.050 to +0.010 | 0.200 | 0.400 | < 0.001 | 40 | within noise |" in lines
    assert "| rank ↓ | −0.020 | −0.050 to +0.010 | 0.200 | < 0.001 |  | 40 | better |" in lines
    assert not any("Edema" in line for line in lines)
    assert "40 images of 30 patients." in lines[-3]


def test_latex_of_a_comparison_escapes_names_and_is_balanced():
    text = comparison_latex(CONTENT)
    assert text.startswith("% 40 images of 30 patients.")
    assert r"metric & clip & my\_m\textbar{}x \\" in text
    assert r"\textbf{12.2 (9.000 to 14.0)} \\" in text
    assert r"& \textless{} 0.001 & 40 & within noise \\" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert text.count("{") == text.count("}")
    for line in text.splitlines():
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert line.replace(r"\&", "").count("&") in {2, 7}


def test_all_special_characters_are_escaped():
    name = "a\\b{c}_~^#$%&<|>"
    content = CONTENT | {"baseline": name, "values": {name: CONTENT["values"]["clip"]}, "models": {}}
    assert (
        r"a\textbackslash{}b\{c\}\_\textasciitilde{}\textasciicircum{}\#\$\%\&\textless{}\textbar{}\textgreater{}"
        in comparison_latex(content)
    )
