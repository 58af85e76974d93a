"""A real server: `transformers serve` with a small saved Llama, on loopback."""

import pytest

from eclip.reporting.generators.language_model import LanguageModelGenerator
from eclip.reporting.generators.protocol import Case
from eclip.reporting.generators.server import ServerGenerator
from small_language_models import save_small_chat_model, served

TEXTS = [
    "There is a small right pleural effusion.",
    "No edema.",
    "Heart size is normal.",
    "The lungs are clear.",
]
pytest.importorskip("fastapi", reason="needs transformers[serving]")
pytest.importorskip("uvicorn", reason="needs transformers[serving]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pairs = [([{"role": "user", "content": f"{text} {n}"}], text) for text in TEXTS for n in range(5)]
    out = tmp_path_factory.mktemp("models") / "chat"
    return save_small_chat_model(out, TEXTS, conversations=pairs, steps=60, width=64, positions=256)


@pytest.fixture(scope="module")
def url(folder):
    with served(folder) as address:
        yield address


def test_the_server_writes_what_the_model_writes_here(url, folder):
    cases = [
        Case(image_id=text, retrieved=(), messages=[{"role": "user", "content": f"{text} 1"}])
        for text in TEXTS
    ]
    served = dict(ServerGenerator(url, model=str(folder), max_new_tokens=40, concurrency=2).generate(cases))
    local = dict(LanguageModelGenerator(str(folder), max_new_tokens=40).generate(cases))
    assert [served[n].error for n in range(4)] == [""] * 4
    assert [served[n].text for n in range(4)] == [local[n].text for n in range(4)] == TEXTS
