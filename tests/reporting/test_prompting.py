"""The prompt: turns, order, budget, and templates of one's own."""

import pytest

from eclip.errors import InputError
from eclip.reporting.prompting import Demonstration, PromptTemplate

EXAMPLES = [Demonstration((f"snippet {i}a", f"snippet {i}b"), f"report {i}") for i in range(2)]


def length(messages):
    return sum(len(message["content"]) for message in messages)


def test_turns_take_turns_and_the_last_is_the_request():
    messages = PromptTemplate().messages(["one", "two"], EXAMPLES, indication="Cough.", comparison="None.")
    assert [m["role"] for m in messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [messages[1]["content"], messages[3]["content"]] == ["report 0", "report 1"]
    assert messages[0]["content"].startswith("You are an experienced radiologist.")
    assert "1. snippet 0a\n2. snippet 0b" in messages[0]["content"]
    assert messages[-1]["content"] == (
        "Indication: Cough.\nComparison: None.\nReports of similar radiographs:\n1. one\n2. two"
    )
    assert "Cough" not in messages[0]["content"]


def test_without_demonstrations_there_is_one_turn():
    (message,) = PromptTemplate().messages(["<b>one & two</b>"])
    assert message["role"] == "user"
    assert "1. <b>one & two</b>" in message["content"]  # text, not HTML
    assert "Indication" not in message["content"]


def test_the_budget_takes_the_last_demonstration_first_then_the_last_snippets():
    template = PromptTemplate()
    whole = template.messages(["one", "two", "three"], EXAMPLES)
    assert template.messages(["one", "two", "three"], EXAMPLES, tokens=length, budget=length(whole)) == whole
    fewer = template.messages(["one", "two", "three"], EXAMPLES, tokens=length, budget=length(whole) - 1)
    assert fewer == template.messages(["one", "two", "three"], EXAMPLES[:1])
    none = length(template.messages(["one", "two", "three"]))
    assert template.messages(
        ["one", "two", "three"], EXAMPLES, tokens=length, budget=none - 1
    ) == template.messages(["one", "two"])
    assert template.messages(["one", "two"], EXAMPLES, tokens=length, budget=1) == template.messages(["one"])


def write(path, text):
    path.write_text(text)
    return path


def test_a_template_of_ones_own(tmp_path):
    own = write(
        tmp_path / "own.j2",
        "{% block instruction %}Be short.{% endblock %}"
        "{% block request %}{{ snippets|join('|') }} {{ indication }}{% endblock %}",
    )
    (message,) = PromptTemplate(own).messages(["a", "b"], indication="Pain.")
    assert message["content"] == "Be short.\n\na|b Pain."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{% block instruction %}", "not a Jinja template"),
        ("{% block instruction %}{% endblock %}", "no block 'request'"),
        (
            "{% block instruction %}{% endblock %}{% block request %}{{ nothing }}{% endblock %}",
            "'nothing' is undefined",
        ),
        (
            "{% block instruction %}{{ ''.__class__.__mro__ }}{% endblock %}{% block request %}{% endblock %}",
            "unsafe",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "own.j2"
    if text is not None:
        write(path, text)
    with pytest.raises(InputError, match=message) as told:
        PromptTemplate(path).messages(["a"])
    assert "\n" not in str(told.value)
