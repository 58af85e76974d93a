"""A map of images and reports for each model on the page, coloured by finding."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.figures import flat_map, scatter
from eclip.evaluation.results import Evaluation

_PAIRS = 300
_GROUPS = 7  # colours that can be told apart


def embedding_maps(names: Sequence[str], evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """What the page shows: `legend` that the models share, `drawings` by their names, `pairs` that are drawn."""
    kinds = findings(evaluations[0].embeddings)
    with_text = np.flatnonzero([text != "" for text in evaluations[0].embeddings.text])
    if len(with_text) < 3:
        return {"legend": [], "drawings": []}
    rows = with_text[np.linspace(0, len(with_text) - 1, min(len(with_text), _PAIRS)).astype(int)]
    groups, legend = _groups([kinds[row] for row in rows])
    drawings = []
    for name, evaluation in zip(names, evaluations, strict=True):
        embeddings = evaluation.embeddings
        points = flat_map(np.concatenate([embeddings.image_ND[rows], embeddings.text_ND[rows]]))
        labels = [f"{kinds[row]}, {what}" for what in ("image", "report") for row in rows]
        drawing = scatter(
            points,
            groups * 2,
            labels,
            [False] * len(rows) + [True] * len(rows),
            label=f"Map of {len(rows)} images and their reports as {name} embeds them",
        )
        drawings.append((name, drawing))
    return {"legend": legend, "drawings": drawings, "pairs": len(rows)}


def findings(embeddings: Embeddings) -> list[str]:
    """What each image shows, in a word or two: its only finding, "Several findings", "No finding", "Not labelled"."""
    names = [name for name in embeddings.label_names if name != "No Finding"]
    columns = [embeddings.label_names.index(name) for name in names]
    present_NC = embeddings.label_NC[:, columns] == 1
    labelled_N = (
        ~np.isnan(embeddings.label_NC).all(1) if embeddings.label_NC.size else np.zeros(len(embeddings), bool)
    )
    words = []
    for present_C, labelled in zip(present_NC, labelled_N, strict=True):
        found = np.flatnonzero(present_C)
        if len(found) == 1:
            words.append(names[found[0]])
        else:
            words.append("Several findings" if len(found) else "No finding" if labelled else "Not labelled")
    return words


def _groups(kinds: Sequence[str]) -> tuple[list[int], list[tuple[int, str]]]:
    """A colour number for each; the commonest findings have colours, the rest are grey (7 and 8)."""
    neutral = {"No finding": _GROUPS, "Not labelled": _GROUPS, "Several findings": _GROUPS + 1}
    common = [kind for kind, _ in Counter(k for k in kinds if k not in neutral).most_common(_GROUPS)]
    number = {kind: i for i, kind in enumerate(sorted(common))} | neutral
    groups = [number.get(kind, _GROUPS + 1) for kind in kinds]
    legend = [(number[kind], kind) for kind in (*sorted(common), *neutral) if kind in kinds]
    if set(kinds) - set(number):
        legend.append((_GROUPS + 1, "Other findings"))
    return groups, legend
