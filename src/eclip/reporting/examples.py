"""A page of drafts: image, draft with its sources, the radiologist's report, and where the two differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

import eclip
from eclip.data.images import decode
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.figures import picture
from eclip.evaluation.results import Evaluation
from eclip.evaluation.statistics import Metric
from eclip.evaluation.wording import metric_label
from eclip.reporting.draft import NOT_A_DEVICE
from eclip.reporting.findings import NO_FINDING, PRESENT, findings_of
from eclip.reporting.sentences import split_sentences

_TEMPLATE = Path(__file__).with_name("examples.html")
_SHOWN = (
    "finding_f1",
    "finding_f1_micro",
    "finding_precision",
    "finding_recall",
    "bleu_2",
    "rouge_l",
    "meteor",
    "text_similarity",
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A sentence of the radiologist's report; `missed` where the draft lacks a finding that it states."""

    text: str
    missed: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its draft as JSON and what to mark."""

    picture: str
    draft: Mapping[str, Any]
    invented: list[bool]
    reference: list[Marked]
    agreed: list[str]
    missed: list[str]
    added: list[str]


def write_examples(
    path: Path,
    evaluation: Evaluation,
    drafts: Sequence[Mapping[str, Any]],
    store: Store,
    results: Mapping[str, Mapping[str, Metric]],
    *,
    count: int = 12,
) -> None:
    """Write the page: drafts evenly spread over the split, in the order of their agreement with the report.

    Args:
        path: HTML file.
        evaluation: Of the drafts.
        drafts: As in drafts.jsonl.
        store: The studies.
        results: Numbers of the drafts ("drafts") and of each baseline.
        count: How many drafts are shown.
    """
    text_of = dict(zip(evaluation.embeddings.image_id, evaluation.embeddings.text, strict=True))
    row_of = {name: row for row, name in enumerate(store.column("image_id"))}
    chosen = [drafts[i] for i in np.linspace(0, len(drafts) - 1, min(count, len(drafts))).astype(int)]
    examples = [_example(draft, text_of[draft["image_id"]], store, row_of) for draft in chosen]
    examples.sort(
        key=lambda e: (len(e.missed) + len(e.added)) / max(1, len(e.agreed) + len(e.missed) + len(e.added))
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    shown = [name for name in _SHOWN if name in results["drafts"]]
    page = environment.get_template(_TEMPLATE.name).render(
        examples=examples,
        drafts=len(drafts),
        meta=evaluation.meta,
        metrics=[(name, metric_label(name)) for name in shown],
        results=results,
        notice=NOT_A_DEVICE,
        version=eclip.__version__,
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _example(draft: Mapping[str, Any], reference: str, store: Store, row_of: Mapping[str, int]) -> Example:
    stated, written = _present(draft["report"]), _present(reference)
    return Example(
        picture=picture(decode(store[row_of[draft["image_id"]]].image)),
        draft=draft,
        invented=[bool(_present(sentence["text"]) - written) for sentence in draft["sentences"]],
        reference=[Marked(text, bool(_present(text) - stated)) for text in split_sentences(reference)],
        agreed=sorted(stated & written),
        missed=sorted(written - stated),
        added=sorted(stated - written),
    )


def _present(text: str) -> set[str]:
    return {name for name, value in findings_of(text).items() if value == PRESENT and name != NO_FINDING}
