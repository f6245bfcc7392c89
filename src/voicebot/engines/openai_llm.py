"""The language model of an OpenAI-compatible server: vLLM, SGLang, Ollama, llama.cpp and others.

Chat completions, streamed, through the ``openai`` client. A request is tried again only before the
first token, since what was said cannot be taken back; the client's own retries are off.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx2
import openai

from voicebot.engines.private_loop import PrivateLoop
from voicebot.engines.protocols import Prefilled, TextPiece
from voicebot.engines.sampling import GREEDY, Sampling
from voicebot.engines.server_url import why_not_connected
from voicebot.engines.thoughts import ThoughtFilter
from voicebot.errors import EngineError, EngineStuckError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from voicebot.engines.protocols import Message, StopFlag
    from voicebot.errors import VoicebotError

__all__ = ["ChatServer", "OpenAiLlm"]

_KEEP_ALIVE_S = 300.0
_IDLE_S = 4.0
"""Servers close connections that were idle for some seconds (uvicorn: 5)."""

_LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_NOBODY_THERE_S = 0.5
_LONGEST_QUOTE = 200
_NAMES_SHOWN = 8
_NO_KEY = "none"
"""Sent where no key is set: the client wants one, and a server without keys ignores it."""

_AGAIN_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_NO_LIST_STATUS = frozenset({404, 405, 501})
_REFUSED_STATUS = frozenset({401, 403})
_NOT_FOUND_STATUS = frozenset({404})
_ADAPTABLE_STATUS = frozenset({400, 422})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatServer:
    """Where the server is and how it is waited for.

    Attributes:
        url: of its API, without a slash at its end: ``http://127.0.0.1:8000/v1``.
        api_key_variable: the environment variable that the key came from, for error lines.
        connect_timeout_s: how long a connection may take.
        answer_timeout_s: how long the first token, with all retries, and each further one may take.
        retry_for_s: how long a request that failed before its first token is tried again; half a
            second at most where nobody listens, since a server takes longer to come up.
    """

    url: str
    api_key_variable: str
    connect_timeout_s: float
    answer_timeout_s: float
    retry_for_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class _Delta:
    """What one event of the stream brings."""

    text: str = ""
    is_token: bool = False
    is_last: bool = False
    completion_tokens: int | None = None


class OpenAiLlm:
    """A model behind an OpenAI-compatible chat endpoint (the ``Llm`` protocol).

    How finished the user's words read is not known: ``turn_end_probability`` is None.

    Args:
        server: where it is.
        model: the name that the server knows; empty takes the only one that it lists.
        api_key: sent as a bearer token; empty for a server without keys. It is in no log, line or
            repr of this object.
        max_tokens: the most tokens of a reply.
        reads_ahead: whether ``prepare`` lets the server read the prompt, by a request for one
            token; worth it where the server keeps a prefix cache and has time to spare.
        sampling: how tokens are chosen. The temperature is always sent, the rest where it differs
            from the default. What the server refuses is left out, with a warning.

    Raises:
        EngineError: the server cannot be reached, refuses the key or does not know the model.
    """

    def __init__(
        self,
        server: ChatServer,
        *,
        model: str = "",
        api_key: str = "",
        max_tokens: int = 48,
        reads_ahead: bool = False,
        sampling: Sampling = GREEDY,
    ) -> None:
        self._server = server
        self._model = model
        self._secret = api_key
        self._max_tokens = max_tokens
        self._reads_ahead = reads_ahead
        self._counts_usage = True
        self._limit_name = "max_tokens"
        self._sampling = _sampling_options(sampling)
        self._used_s = 0.0
        self._loop = PrivateLoop()
        try:
            self._client = self._loop.run(self._new_client())
        except BaseException:
            self._loop.close()
            raise
        try:
            self._loop.run(self._check())
        except BaseException:
            self.close()
            raise

    @property
    def _name(self) -> str:
        return f"the language model's server {self._server.url}"

    @property
    def model(self) -> str:
        """The model in use, by the server's name."""
        return self._model

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """See :class:`voicebot.engines.protocols.Llm`.

        ``Prefilled`` comes with the first event of the server. Reasoning is counted, not given:
        its pieces have no text.

        Raises:
            EngineError: the server fails, closes in the middle, or sends what is no completion.
            EngineStuckError: it gave no sign of life in its time.
        """
        yield from self._loop.iterate(self._pieces(messages), stop)

    def prepare(
        self,
        messages: Sequence[Message],
        stop: StopFlag,
        write_tokens: int = 0,  # noqa: ARG002  # a server keeps no reply that was begun
    ) -> Prefilled | None:
        """Open the connection ahead if it was idle; let the server read, if so configured.

        A failure is left to ``generate``.
        """
        if stop.is_set():
            return None
        if self._reads_ahead:
            return self._loop.run_unless(self._read(messages), stop)
        if time.monotonic() - self._used_s > _IDLE_S:
            self._loop.run_unless(self._open_ahead(), stop)
        return None if stop.is_set() else Prefilled(None, 0, 0)

    def close(self) -> None:
        """Close the connection."""
        self._loop.run(self._client.close())
        self._loop.close()

    # Loading.

    async def _new_client(self) -> openai.AsyncOpenAI:
        server = self._server
        timeout = httpx2.Timeout(
            # The engine's own limit comes first, and has the better line.
            server.answer_timeout_s + 1.0,
            connect=server.connect_timeout_s,
        )
        return openai.AsyncOpenAI(
            base_url=server.url,
            api_key=self._secret or _NO_KEY,
            organization="",
            project="",
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=timeout,
                limits=httpx2.Limits(keepalive_expiry=_KEEP_ALIVE_S),
                event_hooks={"response": [_limit_length]},
            ),
        )

    async def _check(self) -> None:
        """Find the server and its model."""
        async with self._time_limit(self._server.answer_timeout_s):
            names = await self._model_names()
            if not self._model:
                self._model = self._only_one(names)
            elif names is not None and not {self._model, f"{self._model}:latest"} & set(names):
                await self._try_model(names)

    async def _model_names(self) -> list[str] | None:
        """What the server lists; None if it does not list models."""
        try:
            response = await self._client.get("/models", cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            if error.status_code in _NO_LIST_STATUS:
                return None
            raise self._as_engine_error(error) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
            raise self._as_engine_error(error) from None
        self._used_s = time.monotonic()
        try:
            rows = response.json()["data"] or []
            return [row["id"] for row in rows if isinstance(row["id"], str)]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _only_one(self, names: list[str] | None) -> str:
        if names is None:
            raise EngineError(
                f"the server {self._server.url} does not say which models it has",
                "name one with llm.model; if it is another kind of server, correct llm.url",
            )
        if not names:
            raise EngineError(f"the server {self._server.url} has no model", "load one there")
        if len(names) > 1:
            raise EngineError(
                f"the server {self._server.url} has several models ({_listed(names)})",
                "choose one with llm.model",
            )
        return names[0]

    async def _try_model(self, names: list[str]) -> None:
        """Some servers take models that they do not list, so ask for a word of this one."""
        try:
            await self._read_once([{"role": "user", "content": "Hello"}])
        except openai.APIStatusError as error:
            if error.status_code in _AGAIN_STATUS | _REFUSED_STATUS:
                raise self._as_engine_error(error) from None
            raise EngineError(
                f"the server {self._server.url} does not know the model {self._model}",
                f"it has {_listed(names) or 'none'}; choose one with llm.model",
            ) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
            raise self._as_engine_error(error) from None

    # Reading ahead.

    async def _open_ahead(self) -> None:
        try:
            async with asyncio.timeout(self._server.connect_timeout_s):
                await self._client.get("/models", cast_to=httpx2.Response)
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TimeoutError) as error:
            _log.debug("the connection could not be opened ahead: %s", type(error).__name__)
        self._used_s = time.monotonic()

    async def _read(self, messages: Sequence[Message]) -> Prefilled:
        try:
            async with self._time_limit(self._server.answer_timeout_s):
                usage = await self._read_once(_as_json(messages))
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
            raise self._as_engine_error(error) from None
        read = _whole(getattr(usage, "prompt_tokens", None)) or 0
        details = getattr(usage, "prompt_tokens_details", None)
        cached = _whole(getattr(details, "cached_tokens", None)) or 0
        return Prefilled(None, max(0, read - cached), cached)

    async def _read_once(self, messages: list[dict[str, str]]) -> object:
        response = await self._client.chat.completions.create(
            model=self._model,
            messages=cast("Any", messages),
            **cast("Any", {self._limit_name: 1}),
        )
        self._used_s = time.monotonic()
        return getattr(response, "usage", None)

    # Writing.

    async def _pieces(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        thoughts = ThoughtFilter()
        tokens = 0
        has_begun = is_over = False
        deltas = self._deltas(_as_json(messages))
        try:
            async for delta in deltas:
                if not has_begun:
                    has_begun = True
                    yield Prefilled(None, 0, 0)
                if delta.is_token:
                    tokens += 1
                    yield TextPiece(thoughts.feed(delta.text), 1)
                is_over = is_over or delta.is_last
                if delta.completion_tokens is not None and delta.completion_tokens > tokens:
                    # An event may bring several tokens; the count at the end is the server's own.
                    yield TextPiece("", delta.completion_tokens - tokens)
                    tokens = delta.completion_tokens
        finally:
            await deltas.aclose()
        if not is_over:
            raise self._closed_early()
        if rest := thoughts.held_text():
            yield TextPiece(rest, 0)

    async def _deltas(self, messages: list[dict[str, str]]) -> AsyncGenerator[_Delta, None]:
        """The server's events; tries again as long as no token has come and there is time."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        deadline_s = begun_s + self._server.answer_timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            has_token = False
            try:
                events = self._request(messages, deadline_s - loop.time())
                try:
                    async for delta in events:
                        has_token = has_token or delta.is_token
                        yield delta
                finally:
                    await events.aclose()
            except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError) as error:
                if not has_token and self._adapts_to(error):
                    continue
                wait_s = max(pause_s, _retry_after_s(error))
                give_up_s = min(deadline_s, begun_s + self._retry_for_s(error))
                if has_token or not _is_passing(error) or loop.time() + wait_s >= give_up_s:
                    raise self._as_engine_error(error) from None
                _log.info("the language model's server is asked again in %.1f s", wait_s)
                await asyncio.sleep(wait_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return

    async def _request(
        self, messages: list[dict[str, str]], first_timeout_s: float
    ) -> AsyncGenerator[_Delta, None]:
        options: dict[str, Any] = {
            self._limit_name: self._max_tokens,
            # Beside OpenAI's own parameters, so that its client takes every server's.
            "extra_body": dict(self._sampling),
        }
        if self._counts_usage:
            options["stream_options"] = {"include_usage": True}
        timeout_s = first_timeout_s
        async with self._time_limit(timeout_s):
            stream: Any = await self._client.chat.completions.create(
                model=self._model, messages=cast("Any", messages), stream=True, **options
            )
        if not isinstance(stream, openai.AsyncStream):
            raise self._malformed()
        try:
            while True:
                async with self._time_limit(timeout_s):
                    event = await anext(stream, None)
                self._used_s = time.monotonic()
                if event is None:
                    return
                delta = _delta_of(event)
                if delta is None:
                    raise self._malformed()
                if delta.is_token:
                    timeout_s = self._server.answer_timeout_s
                yield delta
        finally:
            await stream.response.aclose()

    def _retry_for_s(self, error: Exception) -> float:
        is_nobody_there = isinstance(error.__cause__, httpx2.ConnectError)
        return min(self._server.retry_for_s, _NOBODY_THERE_S if is_nobody_there else float("inf"))

    def _adapts_to(self, error: Exception) -> bool:
        """Whether a request was refused for an option that can be left out or named otherwise."""
        if not isinstance(error, openai.APIStatusError):
            return False
        if error.status_code not in _ADAPTABLE_STATUS:
            return False
        said = str(error.body or error.message)
        if self._counts_usage and "stream_options" in said:
            self._counts_usage = False
            return True
        if self._limit_name == "max_tokens" and "max_completion_tokens" in said:
            self._limit_name = "max_completion_tokens"
            return True
        if refused := next((name for name in self._sampling if name in said), None):
            del self._sampling[refused]
            _log.warning("%s takes no %s: it goes without", self._name, refused)
            return True
        return False

    # What goes wrong.

    def _time_limit(self, timeout_s: float) -> AbstractAsyncContextManager[None]:
        return _limited(timeout_s, self._stuck())

    def _stuck(self) -> EngineStuckError:
        server = self._server
        return EngineStuckError(
            f"{self._name} gave no sign of life for {server.answer_timeout_s:g} s",
            "see what it is doing, or raise servers.answer_timeout_s",
        )

    def _closed_early(self) -> EngineError:
        return EngineError(
            f"{self._name} ended the reply in the middle",
            "see the server's own log",
        )

    def _malformed(self) -> EngineError:
        return EngineError(
            f"{self._name} sent what is no chat completion",
            "see that llm.url is an OpenAI-compatible API, mostly with /v1 at its end",
        )

    def _as_engine_error(self, error: Exception) -> VoicebotError:
        """One line for it; nothing that may hold the key is chained to it."""
        if isinstance(error, openai.APITimeoutError):
            return self._stuck()
        if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
            return self._as_lost_connection(error)
        if isinstance(error, openai.APIError):
            return self._as_refusal(error)
        if isinstance(error, httpx2.DecodingError | _TooLongError):
            return EngineError(
                f"{self._name} sent too much or what cannot be read", "see the server's own log"
            )
        return self._malformed()

    def _as_lost_connection(self, error: Exception) -> EngineError:
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectError):
            return EngineError(
                f"{self._name} cannot be reached ({why_not_connected(cause)})",
                "start it, or correct llm.url",
            )
        return self._closed_early()

    def _as_refusal(self, error: openai.APIError) -> EngineError:
        said = self._quoted(error)
        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        if status in _REFUSED_STATUS:
            return EngineError(
                f"{self._name} refused the key ({status})",
                f"put a valid one into the environment variable {self._server.api_key_variable}",
            )
        if status in _NOT_FOUND_STATUS:
            return EngineError(
                f"{self._name} knows no such model or address ({said})",
                "see llm.model and llm.url",
            )
        if status is None:
            return EngineError(
                f"{self._name} failed while it wrote ({said})", "see the server's own log"
            )
        return EngineError(
            f"{self._name} refused the request ({status}: {said})", "see the server's own log"
        )

    def _quoted(self, error: openai.APIError) -> str:
        """What the server said, without the key that it may have repeated."""
        body = error.body
        said = body.get("message") if isinstance(body, dict) else None
        said = " ".join(str(said or error.message).split())
        if self._secret:
            said = said.replace(self._secret, "…")
        return said if len(said) <= _LONGEST_QUOTE else said[: _LONGEST_QUOTE - 1] + "…"


def _sampling_options(sampling: Sampling) -> dict[str, float]:
    """What is sent of ``sampling``, as vLLM, SGLang and llama.cpp call it."""
    options: dict[str, float] = {"temperature": sampling.temperature}
    if sampling.temperature > 0:
        options["seed"] = sampling.seed
        for name in ("top_p", "top_k", "min_p"):
            if getattr(sampling, name) != getattr(GREEDY, name):
                options[name] = getattr(sampling, name)
    if sampling.repetition_penalty != GREEDY.repetition_penalty:
        options["repetition_penalty"] = sampling.repetition_penalty
        options["repeat_penalty"] = sampling.repetition_penalty  # llama.cpp's name
    return options


@asynccontextmanager
async def _limited(timeout_s: float, error: VoicebotError) -> AsyncIterator[None]:
    """``asyncio.timeout`` that raises an error of the tree."""
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            yield
    except TimeoutError:
        raise error from None


class _TooLongError(ValueError):
    """A response has no end."""


class _LimitedStream(httpx2.AsyncByteStream):
    """Passes a response's bytes on, up to a limit: a line without an end must not fill memory."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream
        self._left = _LARGEST_ANSWER_BYTES

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise _TooLongError
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _limit_length(response: httpx2.Response) -> None:
    response.stream = _LimitedStream(cast("httpx2.AsyncByteStream", response.stream))


def _as_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _delta_of(event: object) -> _Delta | None:
    """What ``event`` brings; None if it is no part of a chat completion."""
    choices = getattr(event, "choices", None)
    completion_tokens = _whole(getattr(getattr(event, "usage", None), "completion_tokens", None))
    if not isinstance(choices, list):
        return None if completion_tokens is None else _Delta(completion_tokens=completion_tokens)
    if not choices:
        return _Delta(completion_tokens=completion_tokens)
    delta = getattr(choices[0], "delta", None)
    text = getattr(delta, "content", None)
    # vLLM, SGLang and llama.cpp say reasoning_content, Ollama and newer vLLM reasoning.
    thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
    if not isinstance(text, str | None):
        return None
    return _Delta(
        text=text or "",
        is_token=bool(text or thought),
        is_last=getattr(choices[0], "finish_reason", None) is not None,
        completion_tokens=completion_tokens,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _AGAIN_STATUS
    if isinstance(error, openai.APITimeoutError):
        return False  # its time is used up
    return isinstance(error, openai.APIConnectionError | httpx2.TransportError)


def _retry_after_s(error: Exception) -> float:
    """How long the server asks to be left alone; 0 if it does not say."""
    if not isinstance(error, openai.APIStatusError):
        return 0.0
    text = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown
