"""The client of an OpenAI-compatible server, against a process that speaks the protocol."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from server_processes import ChatServerProcess, chat_server
from voicebot.engines.openai_llm import ChatServer, OpenAiLlm
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.engines.sampling import Sampling
from voicebot.errors import EngineError, EngineStuckError

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLY = "The capital of France is Paris."
QUESTION = [Message("system", "Be brief."), Message("user", "What is the capital of France?")]
KEY = "sk-secret-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServerProcess]:
    with chat_server("small", "slow") as running:
        yield running


def load(
    server: ChatServerProcess, model: str, *, api_key: str = "", timeout_s: float = 5.0
) -> OpenAiLlm:
    """The client; a scripted model that is not listed is tried with a request of its own."""
    place = ChatServer(server.url, "LLM_KEY", 2.0, timeout_s)
    return OpenAiLlm(place, model=model, api_key=api_key)


class asking:  # noqa: N801
    """The client of a scripted model that nobody has asked anything yet."""

    def __init__(self, server: ChatServerProcess, model: str, *, timeout_s: float = 5.0) -> None:
        self.llm = load(server, "small", timeout_s=timeout_s)
        self.llm._model = model

    def __enter__(self) -> OpenAiLlm:
        return self.llm

    def __exit__(self, *raised: object) -> None:
        self.llm.close()


def written(llm: OpenAiLlm) -> tuple[str, int]:
    """The reply and its tokens."""
    items = list(llm.generate(QUESTION, threading.Event()))
    assert isinstance(items[0], Prefilled)
    assert items[0].turn_end_probability is None
    pieces = items[1:]
    assert all(isinstance(piece, TextPiece) for piece in pieces)
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    return text, sum(piece.tokens for piece in pieces if isinstance(piece, TextPiece))


def test_a_reply_is_streamed_and_its_tokens_are_the_servers_count(
    server: ChatServerProcess,
) -> None:
    with asking(server, "small") as llm:
        assert written(llm) == (REPLY, 9)
        request = server.log()[-1]["request"]
    assert request["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    assert request["max_tokens"] == 48
    assert request["temperature"] == 0.0
    assert not {"seed", "top_p", "top_k", "min_p", "repetition_penalty"} & set(request)


def test_sampling_that_is_set_is_sent(server: ChatServerProcess) -> None:
    place = ChatServer(server.url, "LLM_KEY", 2.0, 5.0)
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.1, seed=3)
    llm = OpenAiLlm(place, model="small", sampling=sampling)
    try:
        written(llm)
    finally:
        llm.close()
    request = server.log()[-1]["request"]
    sent = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1, "seed": 3}
    assert {name: request[name] for name in sent} == sent
    assert "min_p" not in request


def test_what_a_server_refuses_of_sampling_is_left_out_with_a_warning(
    server: ChatServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with asking(server, "no_temperature") as llm:
        assert written(llm)[0] == REPLY
        asked = len(server.log())
        assert written(llm)[0] == REPLY
        assert len(server.log()) == asked + 1
    assert "takes no temperature" in caplog.text


def test_one_connection_serves_loading_and_all_turns(server: ChatServerProcess) -> None:
    with asking(server, "small") as llm:
        loaded = server.log()[-1]["connection"]
        written(llm)
        written(llm)
        assert {entry["connection"] for entry in server.log()[-3:]} == {loaded}


@pytest.mark.parametrize("model", ["busy_once", "broken_once", "reset_once", "closes_before_token"])
def test_what_fails_once_before_the_first_token_is_asked_again(
    server: ChatServerProcess, model: str
) -> None:
    with asking(server, model) as llm:
        assert written(llm)[0] == REPLY
        asked = [entry for entry in server.log() if entry.get("request", {}).get("model") == model]
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("model", "line", "asked"),
    [
        ("malformed", "no chat completion", 1),
        ("malformed_shape", "no chat completion", 1),
        ("error_mid", "out of memory", 1),
        ("abort_mid", "in the middle", 1),
        ("ends_early", "in the middle", 1),
        ("huge_line", "too much", 1),
        ("status_400", "refused the request (400", 1),
        ("status_401", "refused the key (401): put a valid one into the environment", 1),
        ("status_404", "knows no such model", 1),
        ("busy_long", "refused the request (429: slow down)", 1),
    ],
)
def test_what_fails_for_good_is_one_line_and_never_asked_again(
    server: ChatServerProcess, model: str, line: str, asked: int
) -> None:
    with asking(server, model) as llm:
        with pytest.raises(EngineError) as raised:
            written(llm)
        assert line in str(raised.value)
        assert "\n" not in str(raised.value)
        log = [entry for entry in server.log() if entry.get("request", {}).get("model") == model]
        assert len(log) == asked
        llm._model = "small"
        assert written(llm)[0] == REPLY


@pytest.mark.parametrize("model", ["status_500", "no_json_error"])
def test_a_server_that_stays_broken_is_given_up_in_time(
    server: ChatServerProcess, model: str
) -> None:
    with asking(server, model, timeout_s=0.6) as llm, pytest.raises(EngineError) as raised:
        written(llm)
    assert "500" in str(raised.value)


@pytest.mark.parametrize(("model", "said"), [("hang", ""), ("hang_mid", "The capital of ")])
def test_a_hang_ends_in_its_time(server: ChatServerProcess, model: str, said: str) -> None:
    with asking(server, model, timeout_s=0.4) as llm:
        heard: list[str] = []
        items = llm.generate(QUESTION, threading.Event())
        with pytest.raises(EngineStuckError, match=r"no sign of life for 0\.4 s"):
            heard.extend(item.text for item in items if isinstance(item, TextPiece))
        assert "".join(heard) == said
        llm._model = "small"
        assert written(llm)[0] == REPLY


@pytest.mark.parametrize("model", ["hang", "hang_mid"])
def test_stop_closes_the_stream_even_while_nothing_comes(
    server: ChatServerProcess, model: str
) -> None:
    with asking(server, model, timeout_s=60.0) as llm:
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        for _ in llm.generate(QUESTION, stop):
            pass
        assert wait_until(lambda: server.log()[-1]["aborted"])


def test_closing_the_iterator_closes_the_stream(server: ChatServerProcess) -> None:
    with asking(server, "hang_mid", timeout_s=60.0) as llm:
        items = iter(llm.generate(QUESTION, threading.Event()))
        assert isinstance(next(items), Prefilled)
        items.close()  # type: ignore[attr-defined]
        assert wait_until(lambda: server.log()[-1]["aborted"])


def wait_until(holds: object) -> bool:
    for _ in range(200):
        if holds():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_reasoning_is_counted_and_not_said(server: ChatServerProcess) -> None:
    with asking(server, "thinks") as llm:
        text, tokens = written(llm)
    assert text == REPLY
    assert tokens >= 9


def test_a_server_that_cannot_count_is_not_asked_to(server: ChatServerProcess) -> None:
    with asking(server, "no_stream_options") as llm:
        assert written(llm) == (REPLY, 6)


def test_reading_ahead_is_a_request_for_one_token(server: ChatServerProcess) -> None:
    llm = OpenAiLlm(ChatServer(server.url, "K", 2.0, 5.0), model="small", reads_ahead=True)
    try:
        read = llm.prepare(QUESTION, threading.Event())
        assert read == Prefilled(None, read_tokens=5, cached_tokens=15)
        assert server.log()[-1]["request"]["max_tokens"] == 1
        llm._model = "hang"
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        assert llm.prepare(QUESTION, stop) is None
        assert wait_until(lambda: server.log()[-1]["aborted"])
    finally:
        llm.close()


def test_preparing_opens_a_connection_that_was_idle_and_asks_nothing_else(
    server: ChatServerProcess,
) -> None:
    with asking(server, "small") as llm:
        before = len(server.log())
        assert llm.prepare(QUESTION, threading.Event()) == Prefilled(None, 0, 0)
        assert len(server.log()) == before
        llm._used_s -= 60.0
        llm.prepare(QUESTION, threading.Event())
        assert [entry["path"] for entry in server.log()[before:]] == ["/v1/models"]


# Loading.


def test_the_only_model_is_found() -> None:
    with chat_server("small") as server:
        llm = load(server, "")
        assert llm.model == "small"
        llm.close()


def test_several_models_want_a_choice(server: ChatServerProcess) -> None:
    with pytest.raises(EngineError, match=r"several models \(small, slow\): choose one"):
        load(server, "")


def test_a_model_that_is_not_listed_may_still_be_served(server: ChatServerProcess) -> None:
    llm = load(server, "thinks")
    assert llm.model == "thinks"
    llm.close()


def test_an_unknown_model_is_one_line_with_those_there_are(server: ChatServerProcess) -> None:
    with pytest.raises(EngineError, match="does not know the model unknown: it has small, slow"):
        load(server, "unknown")


@pytest.mark.parametrize("kind", ["no_list", "no_json"])
def test_a_server_without_a_list_serves_a_named_model(kind: str) -> None:
    with chat_server(kind) as server:
        llm = load(server, "small")
        assert written(llm)[0] == REPLY
        llm.close()
        with pytest.raises(EngineError, match=r"name one with llm\.model"):
            load(server, "")


def test_a_server_that_is_down_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = ChatServer(f"http://127.0.0.1:{port}/v1", "K", 2.0, 5.0)
    with pytest.raises(EngineError, match=r"cannot be reached .*start it, or correct llm\.url"):
        OpenAiLlm(place, model="small")


def test_a_server_that_went_down_is_given_up_soon() -> None:
    with chat_server("small") as server:
        llm = load(server, "small", timeout_s=60.0)
    begun_s = time.monotonic()
    with pytest.raises(EngineError, match=r"cannot be reached \(Connection refused\): start it"):
        written(llm)
    assert time.monotonic() - begun_s < 30.0  # of the 60 that a server has which is there
    llm.close()


def test_a_busy_server_is_not_waited_for_where_somebody_else_can_answer(
    server: ChatServerProcess,
) -> None:
    llm = OpenAiLlm(ChatServer(server.url, "K", 2.0, 5.0, retry_for_s=0.2), model="small")
    llm._model = "status_503"
    before = len(server.log())
    with pytest.raises(EngineError, match="503"):
        written(llm)
    assert len(server.log()) - before <= 3
    llm.close()


def test_a_server_that_hangs_at_load_is_one_line() -> None:
    with chat_server("hang_list") as server, pytest.raises(EngineStuckError, match=r"0\.3 s"):
        load(server, "small", timeout_s=0.3)


def test_the_key_is_sent_and_shown_nowhere(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with chat_server("needs_key") as server:
        with pytest.raises(EngineError, match="variable LLM_KEY") as raised:
            load(server, "", api_key=KEY)
        assert server.log()[-1]["key"] == KEY
        llm = load(server, "", api_key="right")
        llm.close()
    with chat_server("small") as server:
        llm = load(server, "small", api_key="was none of your business")
        llm._model = "status_400"
        with pytest.raises(EngineError) as echoed:
            written(llm)
        llm.close()
    assert "none of your business" not in str(echoed.value)
    assert KEY not in f"{raised.value!r} {raised.value} {llm!r} {raised.value.__cause__!r}"
    assert KEY not in caplog.text
    assert KEY not in "".join(capsys.readouterr())
