"""A real (small) chat model: greedy, the same in any batch, and what is refused."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

from eclip.errors import InputError
from eclip.reporting.generators.language_model import LanguageModelGenerator
from eclip.reporting.generators.protocol import Case
from eclip.reporting.generators.registry import open_generator
from eclip.reporting.generators.wording import cleaned
from small_language_models import save_small_chat_model

TEXTS = [
    "There is a small right pleural effusion.",
    "No edema.",
    "Heart size is normal.",
    "The lungs are clear.",
]


def asking(*contents):
    return [
        Case(image_id=f"i{n}", retrieved=(), messages=[{"role": "user", "content": content}])
        for n, content in enumerate(contents)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trained for a few seconds to say one of two things."""
    pairs = [([{"role": "user", "content": f"{text} {n}"}], text) for text in TEXTS for n in range(5)]
    out = tmp_path_factory.mktemp("models") / "chat"
    return save_small_chat_model(out, TEXTS, conversations=pairs, steps=60, width=64, positions=256)


@pytest.fixture(scope="module")
def generator(folder):
    return LanguageModelGenerator(str(folder), max_new_tokens=40, batch_size=3)


CASES = asking(
    *(f"{text} {n}" for n in range(2) for text in TEXTS),
    "Something else altogether, and longer than the others.",
)


def test_answers_are_those_of_generate_one_at_a_time(generator, folder):
    found = dict(generator.generate(CASES))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    for number, case in enumerate(CASES):
        ids = tokenizer.apply_chat_template(
            case.messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**ids, do_sample=False, max_new_tokens=40)
        answer = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        ended = out.shape[1] - ids["input_ids"].shape[1] < 40
        assert found[number].text == cleaned(answer, finished=ended)
    assert found[0].text == TEXTS[0]  # it has learned something
    assert all(not one.error and one.seconds > 0 for one in found.values())


def test_any_batch_gives_the_same_and_so_does_a_second_time(generator, folder):
    expected = {n: one.text for n, one in generator.generate(CASES)}
    for size in (1, 9):
        other = LanguageModelGenerator(str(folder), max_new_tokens=40, batch_size=size)
        assert {n: one.text for n, one in other.generate(CASES)} == expected


def test_sampling_settings_of_the_model_do_not_count(generator, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "sampling")
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 5.0, "top_k": 900}
    (tmp_path / "sampling" / "generation_config.json").write_text(json.dumps(settings))
    other = LanguageModelGenerator(str(tmp_path / "sampling"), max_new_tokens=40)
    assert {n: o.text for n, o in other.generate(CASES)} == {n: o.text for n, o in generator.generate(CASES)}


def test_a_prompt_that_does_not_fit_is_an_error_of_its_case(generator):
    cases = asking("word " * 600, TEXTS[0] + " 1")
    found = dict(generator.generate(cases))
    assert "fit" in found[0].error
    assert found[0].text == ""
    assert found[1].text == TEXTS[0]
    assert generator.budget == 256 - 40
    assert generator.tokens(cases[0].messages) > generator.budget


def test_it_is_frozen(generator):
    assert not generator.model.training
    assert not any(p.requires_grad for p in generator.model.parameters())


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Findings: No edema.", "No edema."),
        ("**Report:**\nNo edema.\n\nNo effusion.</s>", "No edema. No effusion."),
        ('"No edema."', "No edema."),
        ("<|assistant|>No edema.<|end|>", "No edema."),
        ("FINDINGS:", ""),
        ("The findings: two nodules.", "The findings: two nodules."),
        ("<think>\nThe user wants a report.\n\n</think>\n\nNo edema.", "No edema."),
        ("So there may be an effusion.</think>Report: No edema.", "No edema."),
        ("<think>There may be an effusion, so", ""),
        ("Heart < 50 % and > 40 %.", "Heart < 50 % and > 40 %."),
    ],
)
def test_answers_are_cleaned(answer, text):
    assert cleaned(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("No edema. There is a large right pneumo", "No edema."),
        ("1. No edema.\n2. There is", "1. No edema."),
        ("No edema. Nodule of 1.5", "No edema."),
        ("There is a large right pneumo", "There is a large right pneumo"),
        ("No edema. No effusion.", "No edema. No effusion."),
    ],
)
def test_a_sentence_that_was_cut_short_is_left_out(answer, text):
    assert cleaned(answer, finished=False) == text


def test_what_cannot_be_used_is_told_in_one_line(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "no-template")
    for name in ("chat_template.jinja",):
        (tmp_path / "no-template" / name).unlink(missing_ok=True)
    path = tmp_path / "no-template" / "tokenizer_config.json"
    path.write_text(
        json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "chat_template"})
    )
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    shutil.copytree(folder, tmp_path / "cut-short")
    weights = tmp_path / "cut-short" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    bert = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    shutil.copytree(folder, tmp_path / "bert")
    BertModel(bert).save_pretrained(tmp_path / "bert")  # a tokenizer, but nothing that predicts words
    for name, message in (
        ("no-template", "no chat template"),
        ("pickled", "not a causal language model"),
        ("cut-short", "not a causal language model"),
        ("bert", "not a causal language model"),
        ("nowhere", "not a causal language model"),
    ):
        with pytest.raises(InputError, match=message) as told:
            open_generator(f"transformers:{tmp_path / name}")
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="expected extractive"):
        open_generator("gpt")
    with pytest.raises(InputError, match="1 or more tokens"):
        LanguageModelGenerator(str(folder), max_new_tokens=0)
