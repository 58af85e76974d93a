"""Drafts for a split: leaks, baselines, resuming, faults; and the whole way on the phantom."""

import dataclasses
import json

import numpy as np
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation.comparison import compare
from eclip.evaluation.results import Evaluation
from eclip.reporting.baselines import NORMAL
from eclip.reporting.draft import Drafter
from eclip.reporting.findings import FINDINGS, findings_of
from eclip.reporting.generators.extractive import ExtractiveGenerator
from eclip.reporting.generators.language_model import LanguageModelGenerator
from eclip.reporting.generators.protocol import Generated
from eclip.reporting.generators.server import ServerGenerator
from eclip.reporting.index import ReportIndex
from eclip.reporting.index_writer import build_index
from eclip.reporting.report_evaluation import report_split
from eclip.reporting.settings import DraftSettings
from small_evaluations import SpotModel
from small_language_models import save_small_chat_model, served
from small_stores import small_store, small_study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", plain=60, test=15)


@pytest.fixture(scope="module")
def index(store, tmp_path_factory):
    return build_index(SpotModel(), store, tmp_path_factory.mktemp("index") / "index")


def lines(out):
    return [json.loads(line) for line in (out / "drafts.jsonl").read_text().split("\n") if line]


class Unreliable(ExtractiveGenerator):
    """Fails for the images that it is told to."""

    def __init__(self, fails=lambda image_id: False):
        self.fails, self.asked = fails, []

    def generate(self, cases):
        for number, found in super().generate(cases):
            self.asked.append(cases[number].image_id)
            failed = Generated(text="", seconds=0.0, error="status 500", again=True)
            yield number, failed if self.fails(cases[number].image_id) else found


def test_the_folder_holds_drafts_scores_baselines_and_a_page(store, index, tmp_path):
    out = tmp_path / "out"
    results = report_split(SpotModel(), Drafter(index, ExtractiveGenerator()), store, out=out)
    names = {"drafts", "most-frequent", "random", "always-normal", "nearest-report", "nearest-image"}
    assert set(results) == names
    test = [store[int(row)] for row in store.rows(split="test")]
    drafts = lines(out)
    assert [draft["image_id"] for draft in drafts] == [study.image_id for study in test]
    for draft in drafts:
        assert draft["report"]
        assert {"sentences", "retrieved", "generator", "seed", "prompt", "contradictions"} <= set(draft)
        assert " ".join(sentence["text"] for sentence in draft["sentences"]) == draft["report"]
        assert all(s["supported"] and s["sources"][0]["similarity"] == 1 for s in draft["sentences"])
    evaluation = Evaluation.read(out)
    assert evaluation.metrics["reports"]["finding_f1"].value == 1  # the spot model knows what it sees
    assert evaluation.meta["reports_word_for_word_in_index"] == 0
    page = (out / "index.html").read_text()
    assert "not a medical device" in page
    assert "http" not in page
    assert len((out / "timings.csv").read_text().splitlines()) == len(test)
    compared = compare([out / "baselines" / "always-normal", out])
    assert json.dumps(compared).count("reports")


def test_the_same_bytes_each_time(store, index, tmp_path):
    for name in ("a", "b"):
        report_split(SpotModel(), Drafter(index, ExtractiveGenerator()), store, out=tmp_path / name)
    for file in ("drafts.jsonl", "results.json", "index.html", "settings.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_reports_of_the_patient_are_left_out_though_they_are_in_the_index(store, tmp_path, capsys):
    """The index is made of the very studies that are judged."""
    leaking = build_index(SpotModel(), store, tmp_path / "index", split="test")
    drafter = Drafter(leaking, ExtractiveGenerator(), DraftSettings(retrieved=100))
    report_split(SpotModel(), drafter, store, out=tmp_path / "out")
    assert Evaluation.read(tmp_path / "out").meta["reports_word_for_word_in_index"] == 0
    study_of = {study.image_id: study for study in store}
    for draft in lines(tmp_path / "out"):
        own = study_of[draft["image_id"]]
        assert own.study_id not in {source["study_id"] for source in draft["retrieved"]}
        assert own.text not in {source["text"] for source in draft["retrieved"]}
        assert own.study_id not in json.dumps(draft["sentences"])
    assert "15 patients of split 'test' are in the index" in capsys.readouterr().err
    for name in ("nearest-image", "nearest-report", "random", "most-frequent"):
        scores = Evaluation.read(tmp_path / "out" / "baselines" / name).task("reports")
        assert (scores["rouge_l"].dropna() < 1).all(), name  # every report of the store is its own


def test_demonstrations_too_leave_the_patient_out(store, tmp_path):
    leaking = build_index(SpotModel(), store, tmp_path / "index", split="test")

    class Reader(ExtractiveGenerator):
        reads_messages = True

    for by in ("seed", "similarity"):
        drafter = Drafter(leaking, Reader(), DraftSettings(demonstrations=9, demonstrations_by=by))
        test = [store[int(row)] for row in store.rows(split="test")]
        vectors = SpotModel().embed_images([study.image for study in test])
        for case, study in zip(
            drafter.cases([s.image_id for s in test], vectors, [{s.patient_id} for s in test]),
            test,
            strict=True,
        ):
            assert sum(message["role"] == "assistant" for message in case.messages) == 9
            assert study.text not in json.dumps(case.messages)


def test_prompts_keep_to_a_length(store, index):
    class Reader(ExtractiveGenerator):
        reads_messages = True
        budget = 10**6

        def tokens(self, messages):
            return sum(len(message["content"].split()) for message in messages)

    vectors = SpotModel().embed_images([store[0].image])
    lengths = []
    for most in (None, 300, 150):
        drafter = Drafter(index, Reader(), DraftSettings(demonstrations=9, prompt_tokens=most))
        (case,) = drafter.cases(["a"], vectors)
        lengths.append(Reader().tokens(case.messages))
    assert lengths[0] > 300 >= lengths[1] > 150 >= lengths[2]


def test_what_failed_is_reported_and_a_second_run_completes_it(store, index, tmp_path, capsys):
    whole, out = tmp_path / "whole", tmp_path / "out"
    report_split(SpotModel(), Drafter(index, Unreliable()), store, out=whole)
    generator = Unreliable(lambda image_id: image_id.endswith("1"))
    with pytest.raises(InputError, match=r"[12] of 15 drafts could not be had \(status 500: [12]\)") as told:
        report_split(SpotModel(), Drafter(index, generator), store, out=out)
    assert "--resume" in str(told.value)
    finished = {draft["image_id"] for draft in lines(out)}
    assert 13 <= len(finished) < 15
    assert not (out / "results.json").exists()
    with pytest.raises(InputError, match="has drafts already"):
        report_split(SpotModel(), Drafter(index, generator), store, out=out)
    (out / "drafts.jsonl").write_text(
        (out / "drafts.jsonl").read_text() + '{"image_id": "cut sh'
    )  # killed here
    again = Unreliable()
    report_split(SpotModel(), Drafter(index, again), store, out=out, resume=True)
    assert not finished & set(again.asked)
    for file in ("drafts.jsonl", "results.json"):
        assert (out / file).read_bytes() == (whole / file).read_bytes()
    drafter = Drafter(index, Unreliable(), DraftSettings(retrieved=3))
    with pytest.raises(InputError, match="made with another retrieved"):
        report_split(SpotModel(), drafter, store, out=out, resume=True)


def test_an_image_that_there_can_be_no_draft_of_scores_nothing(store, tmp_path, capsys):
    """The only patient in the index is one of those that are judged."""
    own = [dataclasses.replace(study, split="train") for study in store if study.split == "test"][:1]
    write_store(tmp_path / "own", own, source="test", rejected=[])
    alone = build_index(SpotModel(), Store.open(tmp_path / "own"), tmp_path / "index")
    out = tmp_path / "out"
    report_split(SpotModel(), Drafter(alone, ExtractiveGenerator()), store, out=out)
    first, *others = lines(out)
    assert (first["report"], first["error"]) == ("", "nothing retrieved")
    assert all(draft["report"] and not draft["error"] for draft in others)
    assert "1 of 15 images have no draft and score 0 (nothing retrieved: 1)" in capsys.readouterr().err
    evaluation = Evaluation.read(out)
    assert evaluation.meta["images_without_draft"] == 1
    assert evaluation.task("reports")["rouge_l"][0] == 0
    assert "None: nothing retrieved." in (out / "index.html").read_text()
    for name in ("most-frequent", "random", "nearest-report", "nearest-image"):
        folder = out / "baselines" / name
        if folder.exists():  # her own report is nobody's baseline
            assert Evaluation.read(folder).task("reports")["rouge_l"][0] == 0, name


def test_what_is_finished_stays_whatever_marks_for_new_lines_it_holds(store, tmp_path):
    odd = [dataclasses.replace(s, text=f"No edema.\u2028Text\u0085of {s.study_id}.") for s in store]
    write_store(tmp_path / "odd", odd, source="test", rejected=[])
    odd = Store.open(tmp_path / "odd")
    index = build_index(SpotModel(), odd, tmp_path / "index")
    generator = Unreliable(lambda image_id: image_id.endswith("1"))
    with pytest.raises(InputError, match="could not be had"):
        report_split(SpotModel(), Drafter(index, generator), odd, out=tmp_path / "out")
    finished = {draft["image_id"] for draft in lines(tmp_path / "out")}
    again = Unreliable()
    report_split(SpotModel(), Drafter(index, again), odd, out=tmp_path / "out", resume=True)
    assert finished
    assert not finished & set(again.asked)


def test_a_damaged_folder_of_drafts_is_told_in_one_line(store, index, tmp_path):
    out = tmp_path / "out"
    report_split(SpotModel(), Drafter(index, Unreliable()), store, out=out)
    whole = (out / "drafts.jsonl").read_text()
    for file, content, message in (
        ("drafts.jsonl", '{"image_id": "cut sh\n' + whole, r"drafts.jsonl, line 1: not a draft"),
        ("settings.json", '{"seed": ', "settings.json: damaged"),
    ):
        (out / file).write_text(content)
        with pytest.raises(InputError, match=message):
            report_split(SpotModel(), Drafter(index, Unreliable()), store, out=out, resume=True)


class Parrot(ExtractiveGenerator):
    """Says what the last turn of its prompt says, without the first line."""

    name, reads_messages = "parrot", True

    def generate(self, cases):
        for number, case in enumerate(cases):
            last = case.messages[-1]["content"].partition("similar radiographs:")[2]
            yield number, Generated(text=" ".join(last.split()), seconds=0.0)


def test_a_language_model_may_read_sentences(store, tmp_path):
    """A Parrot in its place."""
    sentences = build_index(SpotModel(), store, tmp_path / "index", level="sentence")
    drafter = Drafter(sentences, Parrot(), DraftSettings(demonstrations=0, snippets=2))
    results = report_split(SpotModel(), drafter, store, out=tmp_path / "out")
    assert set(results) == {"drafts", "always-normal", "nearest-image"}
    assert results["drafts"]["finding_f1"].value > 0.8
    for draft in lines(tmp_path / "out"):
        assert draft["report"].startswith("1. There is")


def test_baselines_are_what_they_say(store, index, tmp_path):
    report_split(SpotModel(), Drafter(index, ExtractiveGenerator()), store, out=tmp_path / "out")
    other = small_store(tmp_path / "other", plain=12, test=15)
    results = report_split(
        SpotModel(), Drafter(index, ExtractiveGenerator()), other, out=tmp_path / "foreign"
    )
    assert "nearest-image" not in results  # its index holds images of another store
    scores = Evaluation.read(tmp_path / "out" / "baselines" / "always-normal").task("reports")
    stated = {name: scores[f"finding_draft/{name}"].dropna().unique().tolist() for name in FINDINGS}
    assert {name: v[0] for name, v in stated.items() if v} == findings_of(NORMAL)


def test_bad_input_is_told_in_one_line(store, index, tmp_path):
    silent = [dataclasses.replace(small_study(i, split="test"), text=" ") for i in range(3)]
    write_store(tmp_path / "silent", silent, source="test", rejected=[])
    with pytest.raises(InputError, match="has a report to judge drafts by"):
        report_split(
            SpotModel(),
            Drafter(index, ExtractiveGenerator()),
            Store.open(tmp_path / "silent"),
            out=tmp_path / "a",
        )
    sentences = build_index(SpotModel(), store, tmp_path / "sentences", level="sentence")
    with pytest.raises(InputError, match="needs whole reports"):
        Drafter(sentences, ExtractiveGenerator())
    with pytest.raises(InputError, match="no whole reports to demonstrate"):
        Drafter(sentences, Parrot())
    for settings in ({"snippets": 3}, {"indication": "Cough."}, {"demonstrations_by": "similarity"}):
        with pytest.raises(InputError, match="has no effect with --generator extractive"):
            Drafter(index, ExtractiveGenerator(), DraftSettings(**settings))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(InputError, match="has no drafts"):
        report_split(SpotModel(), Drafter(index, ExtractiveGenerator()), store, out=tmp_path / "full")


class Seer(SpotModel):
    """Knows the findings of a phantom image from its own report, but for noise: what a good model would see."""

    def __init__(self, store, *, noise):
        super().__init__(noise=noise)
        self.text_of = {study.image: study.text for study in store}

    def embed_images(self, images, **_):
        texts = [self.text_of[images[i]] for i in range(len(images))]
        return self.seen([(text, f"{text} seen") for text in texts])

    def embed_texts(self, texts, **_):
        return self.seen([(text, text) for text in texts])

    def seen(self, pairs):
        rows = np.zeros((len(pairs), len(FINDINGS) + 1), np.float32)
        for row, (text, key) in zip(rows, pairs, strict=True):
            said = findings_of(text)
            row[:-1] = [said.get(name) == 1 for name in FINDINGS]
            row[-1] = 0.1
            seed = [ord(character) for character in key[:60]]
            row += self.noise * np.random.default_rng(seed).normal(size=len(row))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def phantom_way(phantom_store, tmp_path_factory):
    """Store, a model that sees, and an index of the training reports."""
    store = Store.open(phantom_store)
    model = Seer(store, noise=0.15)
    index = build_index(model, store, tmp_path_factory.mktemp("phantom-index") / "index")
    return store, model, index


def test_on_the_phantom_the_consensus_beats_what_nobody_drafted(phantom_way, tmp_path):
    store, model, index = phantom_way
    report_split(
        model, Drafter(index, ExtractiveGenerator(), DraftSettings(retrieved=8)), store, out=tmp_path / "out"
    )
    for name in ("most-frequent", "always-normal"):
        found = compare(
            [tmp_path / "out" / "baselines" / name, tmp_path / "out"], metrics=["reports/finding_f1"]
        )
        (drafts,) = found["models"].values()
        difference = drafts["reports"]["finding_f1"]
        assert difference["verdict"] == "better", name


def test_on_the_phantom_a_language_model_drafts_from_the_index(phantom_way, tmp_path):
    """A small Llama, trained here for some seconds on prompts and reports of training studies; and the same, served."""
    store, model, index = phantom_way
    settings = DraftSettings(retrieved=6, snippets=2, demonstrations=0)
    rows = store.rows(split="train")[:80]
    studies = [store[int(row)] for row in rows]

    class Reader(ExtractiveGenerator):
        reads_messages = True

    vectors = model.embed_images([study.image for study in studies])
    cases = Drafter(index, Reader(), settings).cases(
        [s.image_id for s in studies], vectors, [{s.patient_id} for s in studies]
    )
    folder = save_small_chat_model(
        tmp_path / "llama",
        [message["content"] for case in cases for message in case.messages],
        conversations=[(case.messages, study.text) for case, study in zip(cases, studies, strict=True)],
        steps=250,
        width=64,
    )
    generator = LanguageModelGenerator(str(folder), max_new_tokens=60)
    results = report_split(model, Drafter(index, generator, settings), store, out=tmp_path / "out")
    drafts = lines(tmp_path / "out")
    assert all(draft["report"] and draft["prompt"] for draft in drafts)
    assert results["drafts"]["rouge_l"].value > 0.1  # it has learned how reports are worded
    again = LanguageModelGenerator(str(folder), max_new_tokens=60, batch_size=3)
    report_split(model, Drafter(ReportIndex.open(index.path), again, settings), store, out=tmp_path / "again")
    assert (tmp_path / "again" / "drafts.jsonl").read_bytes() == (
        tmp_path / "out" / "drafts.jsonl"
    ).read_bytes()
    with served(folder) as url:
        server = ServerGenerator(url, model=str(folder), max_new_tokens=60)
        report_split(model, Drafter(index, server, settings), store, out=tmp_path / "served")
    assert [d["report"] for d in lines(tmp_path / "served")] == [draft["report"] for draft in drafts]
    for metric, found in Evaluation.read(tmp_path / "served").metrics["reports"].items():
        assert found == Evaluation.read(tmp_path / "out").metrics["reports"][metric]


def test_a_seed_that_nothing_can_be_drawn_with_is_refused(index):
    with pytest.raises(InputError, match="--seed -1: expected 0 or more"):
        Drafter(index, ExtractiveGenerator(), DraftSettings(seed=-1))
