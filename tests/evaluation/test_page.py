"""The page: parses, loads nothing, tells the numbers, and survives what people write in reports."""

import dataclasses
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation.embedding_map import findings
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.page import RunView, write_page
from eclip.evaluation.results import Evaluation
from eclip.evaluation.wording import metric_label
from small_evaluations import SpotModel, unit_rows
from small_evaluations import embeddings as made_up
from small_stores import small_study

NASTY = "There is edema <script>alert(1)</script> & {{ 7 * 7 }}."
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements, text, and whether every tag is closed."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    studies = [small_study(i, split="test", annotation="gaze" if i % 5 == 0 else None) for i in range(40)]
    studies[7] = dataclasses.replace(studies[7], text=NASTY)
    folder = tmp_path_factory.mktemp("store") / "store"
    write_store(folder, studies, source="test")
    return Store.open(folder)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    views = []
    for i, name in enumerate(("clip", "eclip")):
        run = tmp_path_factory.mktemp(name)
        model = SpotModel(noise=1.0, seed=i, processor=name == "eclip")
        prompts = run / "prompts.yaml"
        prompts.write_text(
            "classes: {Atelectasis: [atelectasis], Cardiomegaly: [cardiomegaly], Edema: [edema]}"
        )
        evaluate(model, store, out=run / "evaluation", prompts=str(prompts))
        (run / "logs").mkdir()
        steps = np.arange(60)
        log = {"step": steps, "train/loss": 3 - steps / 60, "train/priming": np.where(steps < 9, 0.1, np.nan)}
        log |= {"validation/loss": np.where(steps % 20 == 19, 2.5, np.nan), "train/never": np.nan}
        pd.DataFrame(log).to_csv(run / "logs" / "metrics.csv", index=False)
        views.append(RunView(name, run / "evaluation", run, model))
    return views


@pytest.fixture(scope="module")
def sources(runs, store, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "deep" / "index.html"
    write_page(out, title="A <title>", notice="Only a phantom.", runs=runs, store=store)
    return out.read_text()


@pytest.fixture(scope="module")
def page(sources):
    return Page(sources)


def test_nothing_is_loaded_from_anywhere(page, sources):
    assert not page.all("script")
    assert not page.all("link")
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "data:").startswith("data:")
    assert "http" not in sources
    assert "url(" not in sources
    assert "@import" not in sources


def test_what_people_write_stays_text(page, sources):
    assert NASTY in page.text
    assert "<script>" not in sources
    assert "A <title>" in page.text


def test_the_numbers_and_their_differences_are_told(page, runs):
    first, second = (Evaluation.read(view.evaluation) for view in runs)
    for task, name in (
        ("zero-shot", "accuracy"),
        ("retrieval", "image_to_text_recall@10"),
        ("zero-shot", "auroc/Edema"),
    ):
        for evaluation in (first, second):
            m = evaluation.metrics[task][name]
            assert f"{m.value:.3f}{m.low:.3f} to {m.high:.3f}" in page.text
    assert "within noise" in page.text
    assert "eclip − clip" in page.text
    assert "Only a phantom." in page.text
    assert "Research use only; not a medical device" in page.text


def test_pictures_and_drawings_are_described_and_tables_have_headers(page):
    assert all(image["alt"] for image in page.all("img"))
    for drawing in page.all("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing["role"] == "img" and drawing["aria-label"])
    assert all(header.get("scope") for header in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    assert "width=device-width" in page.all("meta")[1]["content"]


def test_curves_show_what_was_logged(sources):
    for title in ("Loss", "Priming loss"):
        assert f"<figcaption>{title}</figcaption>" in sources
    assert "Never" not in sources
    assert sources.count('class="line s1 validation"') >= 1


def test_expert_views_are_those_of_models_with_a_processor(page):
    assert "Expert view, eclip" in page.text
    assert "Expert view, clip" not in page.text
    assert "Expert gaze" in page.text


def test_both_modalities_are_on_the_map(sources):
    for number in range(3):
        assert f'class="disc g{number}"' in sources
        assert f'class="ring g{number}"' in sources


def test_one_evaluation_without_run_or_model_is_enough(runs, store, tmp_path):
    write_page(tmp_path / "page.html", title="One", runs=[RunView("one", runs[0].evaluation)], store=store)
    page = Page((tmp_path / "page.html").read_text())
    assert "within noise" not in page.text
    assert "Training" not in page.text
    assert not [a for a in page.elements if a[1].get("class") == "notice"]


def test_other_studies_are_refused(runs, store, tmp_path):
    folder = tmp_path / "store"
    write_store(folder, [small_study(i, split="test") for i in range(30)], source="test")
    evaluate(SpotModel(), Store.open(folder), out=tmp_path / "other", tasks=["retrieval"])
    with pytest.raises(InputError, match="not the same data"):
        write_page(
            tmp_path / "x.html", title="x", runs=[runs[0], RunView("b", tmp_path / "other")], store=store
        )


def test_metrics_have_names_in_words():
    assert (
        metric_label("image_to_text_recall@10_any_equal_text") == "Image → report: recall@10, any equal text"
    )
    assert metric_label("balanced_accuracy") == "Balanced accuracy"
    assert metric_label("auroc/Edema") == "AUROC, Edema"
    assert metric_label("something_new") == "something_new"


def test_findings_in_a_word_or_two():
    labels = {
        "Edema": [1, 1, 0, np.nan, -1],
        "Nodule": [0, 1, 0, np.nan, 0],
        "No Finding": [0, 0, 1, np.nan, 0],
    }
    case = made_up(unit_rows(5, 3), unit_rows(5, 3), labels=labels)
    assert findings(case) == ["Edema", "Several findings", "No finding", "Not labelled", "No finding"]
    assert findings(made_up(unit_rows(2, 3), unit_rows(2, 3))) == ["Not labelled"] * 2
