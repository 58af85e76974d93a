"""A server on loopback that does as it is told: busy, failing, dying, slow, answering rubbish, or not there."""

import json
import logging
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from eclip.errors import InputError
from eclip.reporting.generators import server as server_module
from eclip.reporting.generators.protocol import Case
from eclip.reporting.generators.server import ServerGenerator

WORDS = "of patient Jane Roe"


def answer(text, **more):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]} | more


class Scripted:
    """Answers each request by what `script` says for its text and how often that was asked."""

    def __init__(self, script=lambda text, times: answer(f"Draft {text}."), models=("m",)):
        self.script, self.models = script, models
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.reply(
                    {
                        "object": "list",
                        "data": [
                            {"id": m, "object": "model", "created": 0, "owned_by": "x"}
                            for m in scripted.models
                        ],
                    }
                )

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"].split()[0]
                with scripted.lock:
                    scripted.asked[text] += 1
                    scripted.bodies.append(body)
                    times = scripted.asked[text]
                self.reply(scripted.script(text, times))

            def reply(self, what):
                status, headers = 200, {"Content-Type": "application/json"}
                if what == "die":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if isinstance(what, tuple):
                    status, extra, what = what
                    headers |= extra
                content = what.encode() if isinstance(what, str) else json.dumps(what).encode()
                if isinstance(what, str):
                    headers["Content-Type"] = "text/html"
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def cases(*texts):
    return [
        Case(
            image_id=text,
            retrieved=(),
            messages=[{"role": "user", "content": f"{text} {WORDS}"}],
        )
        for text in texts
    ]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """The client sleeps between its tries; tests need not."""
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: real(min(seconds, 0.01)))


def run(scripted, *texts, **options):
    return dict(ServerGenerator(scripted.url, **options).generate(cases(*texts)))


def test_every_case_is_asked_once_and_answered():
    with Scripted() as scripted:
        generator = ServerGenerator(scripted.url, seed=7, max_new_tokens=33, concurrency=3)
        found = dict(generator.generate(cases(*map(str, range(10)))))
        assert {n: one.text for n, one in found.items()} == {n: f"Draft {n}." for n in range(10)}
        assert scripted.asked == Counter(map(str, range(10)))
        assert {(b["temperature"], b["seed"], b["max_tokens"], b["model"]) for b in scripted.bodies} == {
            (0.0, 7, 33, "m")
        }
        assert generator.name == "openai:URL#m"


@pytest.mark.parametrize(
    "failure",
    [
        (429, {"Retry-After": "0.01"}, {"error": {"message": "busy"}}),
        (500, {}, {"error": {"message": WORDS}}),
        (503, {}, "busy"),
        "die",
        "<html>gateway</html>",
        answer(""),
        answer("  \n"),
        {"object": "chat.completion"},
        answer("x", choices=[]),
    ],
    ids=["429", "500", "503", "died", "html", "empty", "blank", "no-choices", "empty-choices"],
)
def test_what_fails_once_or_twice_is_asked_again(failure):
    with Scripted(
        lambda text, times: failure if text == "b" and times <= 2 else answer(f"Draft {text}.")
    ) as scripted:
        found = run(scripted, "a", "b", "c")
        assert {n: one.text for n, one in found.items()} == {0: "Draft a.", 1: "Draft b.", 2: "Draft c."}
        assert scripted.asked == {"a": 1, "b": 3, "c": 1}


@pytest.mark.parametrize(
    ("failure", "error", "times"),
    [
        ((500, {}, {"error": {"message": WORDS}}), "status 500", 4),
        ((429, {}, {"error": {"message": "busy"}}), "status 429", 4),
        ((400, {}, {"error": {"message": WORDS}}), "status 400", 1),
        ("die", "no answer", 4),
        (answer(""), "empty answer", 3),
        ("<html>", "not an answer of the OpenAI protocol", 3),
    ],
)  # fmt: skip
def test_what_fails_for_good_is_reported_and_the_others_are_kept(failure, error, times, caplog):
    caplog.set_level(logging.DEBUG)
    with Scripted(lambda text, _: failure if text == "b" else answer(f"Draft {text}.")) as scripted:
        found = run(scripted, "a", "b", "c", retries=3)
        assert (found[0].text, found[2].text) == ("Draft a.", "Draft c.")
        assert found[1].text == ""
        assert error in found[1].error
        assert scripted.asked["b"] == times
        assert WORDS not in found[1].error
        assert found[1].again == (error in ("status 500", "status 429", "no answer"))
    assert WORDS not in caplog.text
    assert "Draft" not in caplog.text


def test_a_slow_answer_is_not_waited_for():
    release = threading.Event()

    def slow(text, times):
        if text == "b":
            release.wait(20)
        return answer(f"Draft {text}.")

    with Scripted(slow) as scripted:
        found = run(scripted, "a", "b", "c", timeout=0.3, retries=1)
        release.set()
        assert "no answer" in found[1].error
        assert (found[0].text, found[2].text) == ("Draft a.", "Draft c.")
        assert scripted.asked["b"] == 2


def test_a_server_that_dies_in_the_middle_is_given_up_and_what_is_done_stays():
    with Scripted(lambda text, _: answer(f"Draft {text}.") if int(text) < 5 else "die") as scripted:
        found = run(scripted, *map(str, range(100)), retries=1, concurrency=2)
        assert [n for n, one in found.items() if one.text] == list(range(5)) or sorted(
            n for n, one in found.items() if one.text
        ) == list(range(5))
        assert len(found) == 100
        assert len(scripted.asked) < 5 + server_module.GIVE_UP_AFTER + 5
        assert Counter(one.error.split(":")[0] for one in found.values())["not asked for"] > 80


@pytest.mark.parametrize("status", [401, 503])
def test_a_server_that_refuses_everything_is_given_up(status):
    with Scripted(lambda *_: (status, {}, {"error": {"message": "no"}})) as scripted:
        found = run(scripted, *map(str, range(60)), retries=1, concurrency=2)
        assert len(scripted.asked) <= server_module.GIVE_UP_AFTER + 2
        assert all(one.again and not one.text for one in found.values())


def test_a_sentence_that_the_limit_cut_is_left_out():
    cut = answer("No edema. There is a large")
    cut["choices"][0]["finish_reason"] = "length"
    with Scripted(lambda *_: cut) as scripted:
        assert run(scripted, "a")[0].text == "No edema."


def test_a_server_that_cannot_be_used_is_told_in_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = []
    with pytest.raises(InputError, match="no server answers there") as error:
        ServerGenerator(f"http://127.0.0.1:{port}/v1")
    told.append(error)
    with Scripted(models=("a", "b")) as scripted:
        with pytest.raises(InputError, match="has 2 models"):
            ServerGenerator(scripted.url)
        with pytest.raises(InputError, match="no model 'c'; it has a, b") as error:
            ServerGenerator(scripted.url, model="c")
        told.append(error)
        assert ServerGenerator(scripted.url, model="b").model == "b"
    with Scripted(models=()) as scripted, pytest.raises(InputError, match="lists no model"):
        ServerGenerator(scripted.url)
    with pytest.raises(InputError, match="expected an address"):
        ServerGenerator("localhost")
    assert not any("\n" in str(error.value) for error in told)


def test_a_prompt_is_never_longer_than_its_estimate():
    generator = ServerGenerator.__new__(ServerGenerator)
    messages = [{"role": "user", "content": "There is a small pleural effusion. " * 20}]
    assert generator.tokens(messages) >= 20 * 8


def test_who_stops_listening_is_not_kept_waiting():
    release = threading.Event()

    answered = []

    def slow(text, times):
        if text != "a":
            release.wait(20)
            answered.append(text)
        return answer("Draft.")

    with Scripted(slow) as scripted:
        drafts = ServerGenerator(scripted.url, retries=0).generate(cases("a", "b", "c"))
        assert next(drafts)[0] == 0
        drafts.close()  # the server is still busy, and stays so until it is told
        assert not release.is_set()
        assert not answered
        release.set()
